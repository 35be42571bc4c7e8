"""Readers and writers at a steady rate, as pgbench drives them: arrivals are scheduled.

    with load.running(server, "bench", corpus, reads=400, writes=200) as clients:
        ...
    clients.latencies("read", start, end)

A latency counts from the moment at which a transaction was to begin, so that a stall counts against
all who wait, and not only against those whom it met. Each client is a process of its own with a
login of its own and a tenant, and keeps its connections and prepared statements throughout.
pgbench writes a line a transaction to a file; at the end they are read into arrays of 12 bytes a
transaction (its end as a double, its latency as a float), so that every percentile is exact.
"""

import os
import re
import subprocess
import tempfile
import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions

from benchmarks.corpus import TAGS, TENANTS, Corpus
from pgproof.errors import UserError

READER, WRITER = "bench_reader", "bench_writer"
ROLES = {READER: "docmeta_reader", WRITER: "docmeta_ingest"}  # from when there are such
SHARES = {1: 0.8, 2: 0.2}  # of the rates, by tenant
CONNECTIONS = 6  # of each process: who finds none free waits, and that counts
STARTING = 30.0  # seconds that the connections may take to be there
GONE = "terminating connection due to administrator command"

# Before there are roles to be members of, and while a rollback takes them away.
_GRANTS = f"""
    GRANT USAGE ON SCHEMA docmeta TO {READER}, {WRITER};
    GRANT SELECT ON docmeta.documents, docmeta.document_tags, docmeta.audit_log TO {READER};
    GRANT SELECT, INSERT, UPDATE ON docmeta.documents, docmeta.hash_index,
        docmeta.document_classifications, docmeta.document_tags TO {WRITER};
    GRANT SELECT ON docmeta.tags, docmeta.audit_log TO {WRITER};
"""

_IDLE = """
    SELECT 2 * count(*) FILTER (WHERE state = 'idle') >= count(*) FROM pg_stat_activity
    WHERE usename = ANY (%s) AND datname = current_database() AND pid <> pg_backend_pid()
    GROUP BY application_name
"""
LOOKS = 10

# The variables of a script: an id of the tenant among the corpus' documents, and a name.
_DRAW = """
\\set class random({first}, {last})
\\set id 20 * random(1, {reach}) + :class
\\set name random(1, 1000000000000)
"""
_INGEST = """
\\set batch 20 * random(1, {groups}) + :class
\\set tag 20 * random(3, {tags}) + :class
BEGIN;
INSERT INTO docmeta.hash_index (tenant_id, sha256, size_bytes, storage_uri)
VALUES (:tenant, sha256(convert_to('load ' || (:name)::text, 'UTF8')), 4096, 's3://contents/load')
ON CONFLICT DO NOTHING;
INSERT INTO docmeta.documents (tenant_id, batch_id, content_sha256, filename, title, mime_type)
VALUES (:tenant, :batch, sha256(convert_to('load ' || (:name)::text, 'UTF8')),
    'Invoice ' || (:name)::text || '.pdf', 'Invoice of today ' || (:name)::text, 'application/pdf')
RETURNING id AS made \\gset
INSERT INTO docmeta.document_classifications (tenant_id, document_id, category, confidence,
    is_primary, source, model_name, model_version)
VALUES (:tenant, :made, 'category 1', 0.9, true, 'model', 'layout', '2');
INSERT INTO docmeta.document_tags (tenant_id, document_id, tag_id) VALUES (:tenant, :made, :tag);
COMMIT;
"""
_CHANGE = """
UPDATE docmeta.documents SET status = 'ready', title = 'Looked at ' || (:name)::text
WHERE tenant_id = :tenant AND id = :id;
"""
_TRASH = """
UPDATE docmeta.documents SET deleted_at = now(), deleted_by = 'bench'
WHERE tenant_id = :tenant AND id = :id;
"""
_BY_ID = """
SELECT id, filename, title, status, language FROM docmeta.documents
WHERE tenant_id = :tenant AND id = :id;
"""
_BY_CONTENT = """
SELECT id, filename FROM docmeta.documents
WHERE tenant_id = :tenant AND content_sha256 = {digest};
"""
_NEWEST = """
SELECT id, filename, title, status FROM docmeta.documents
WHERE tenant_id = :tenant AND deleted_at IS NULL ORDER BY id DESC LIMIT 20;
"""
_HISTORY = """
SELECT id, action, occurred_at FROM docmeta.audit_log
WHERE tenant_id = :tenant AND document_id = :id ORDER BY id DESC LIMIT 50;
"""
# By kind: each script, and how often it comes.
SCRIPTS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "write": {"ingest": (_INGEST, 6), "change": (_CHANGE, 3), "trash": (_TRASH, 1)},
    "read": {
        "id": (_BY_ID, 4),
        "content": (_BY_CONTENT, 3),
        "newest": (_NEWEST, 1),
        "history": (_HISTORY, 2),
    },
}
READS_A_WRITE = 2
WHAT_THEY_DO = (
    "Writers ingest a document (content, document, classification, tag in one transaction: 6 of "
    "10), change its title and status (3) or put it in the trash (1); readers ask for a document "
    "by id (4 of 10), for those of a content (3), for the newest twenty (1), and for a document's "
    "history in the audit log (2)."
)


@dataclass
class Log:
    """The transactions of one kind that one pgbench did, in the order of their ends."""

    kind: str
    ends: "array[float]" = field(default_factory=lambda: array("d"))
    latencies: "array[float]" = field(default_factory=lambda: array("f"))

    def between(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        """Yield (scheduled, latency) of each that was under way at some moment of the span."""
        for place in range(bisect_left(self.ends, start), len(self.ends)):
            latency = self.latencies[place]
            scheduled = self.ends[place] - latency
            if scheduled <= end:
                yield scheduled, latency
            elif self.ends[place] > end + self.longest:
                return

    @property
    def longest(self) -> float:
        """The longest latency of all: who ends later than that after a moment came after it."""
        if not hasattr(self, "_longest"):
            self._longest = max(self.latencies, default=0.0)
        return self._longest


@dataclass
class Clients:
    """The running processes; `errors` are (moment, text) of all that a client was refused."""

    program: Path
    parameters: Mapping[str, Any]
    folder: Path
    errors: list[tuple[float, str]] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str, kind: str, tenant: int, words: Sequence[str]) -> None:
        """Keep a process of this name running until `stop`: one that errs is begun anew."""
        login = WRITER if kind == "write" else READER
        command = [str(self.program), "-n", "-j1", "-Mprepared", f"-c{CONNECTIONS}", *words]
        environment = _environment(self.parameters, login, tenant, name)

        def keep() -> None:
            number = 0
            while not self._ending.is_set():
                number += 1
                prefix = self.folder / f"{kind}-{name}-{number}.log"
                self._run([*command, "--log", f"--log-prefix={prefix}"], environment, name)
                self._ending.wait(0.1)

        self._threads.append(threading.Thread(target=keep, daemon=True))
        self._threads[-1].start()

    def _run(self, command: Sequence[str], environment: Mapping[str, str], name: str) -> None:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        is_cut = False
        for line in process.stderr:
            if "error" not in line.lower() or GONE in line:
                continue
            if not self._ending.is_set() and "Run was aborted" not in line:
                self.errors.append((time.time(), line.strip()))
            if not is_cut:
                is_cut = True
                self._cut(name)
        process.wait()

    def _cut(self, name: str) -> None:
        """End the connections of a process: pgbench then writes the rest of its log, and ends."""
        with closing(psycopg2.connect(**self.parameters)) as connection:
            connection.autocommit = True
            connection.cursor().execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [name],
            )

    def count(self) -> int:
        """Return how many connections of clients there are."""
        with closing(psycopg2.connect(**self.parameters)) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = ANY (%s)", [list(ROLES)]
            )
            return int(cursor.fetchall()[0][0])

    def stop(self, names: Sequence[str]) -> None:
        """End all, and read what they wrote."""
        self._ending.set()
        while any(thread.is_alive() for thread in self._threads):
            for name in names:
                self._cut(name)
            for thread in self._threads:
                thread.join(1)
        for path in sorted(self.folder.glob("*.log.*")):
            self.logs.append(self._read(path))
        self.errors.sort()

    def _read(self, path: Path) -> Log:
        log = Log(path.name.partition("-")[0])
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                words = line.split()
                if len(words) < 6:
                    continue
                end = int(words[4]) + int(words[5]) / 1e6
                if words[2].isdecimal():
                    log.ends.append(end)
                    log.latencies.append(int(words[2]) / 1e6)
                elif words[2] != "skipped":
                    self.errors.append((end, f"a transaction of {log.kind} ended as {words[2]}"))
        path.unlink()
        return log

    def between(self, kind: str, start: float, end: float) -> Iterator[tuple[float, float]]:
        """Yield (scheduled, latency) of what was under way in the span, in no order."""
        for log in self.logs:
            if log.kind == kind:
                yield from log.between(start, end)


@contextmanager
def running(
    program: Path, parameters: Mapping[str, Any], corpus: Corpus, reads: float, writes: float
) -> Iterator[Clients]:
    """Run the clients at these rates a second; at the end of the block their latencies are read.

    Raises UserError if they do not get their connections.
    """
    with tempfile.TemporaryDirectory(prefix="pgproof-load-") as name:
        clients = Clients(program, parameters, Path(name))
        names: list[str] = []
        try:
            for tenant, share in SHARES.items():
                for kind, rate in (("read", reads), ("write", writes)):
                    names.append(f"bench-{kind}-{tenant}")
                    words = [f"-R{rate * share:.3f}", "-T1000000", f"-Dtenant={tenant}"]
                    words += [f"--random-seed={corpus.seed + tenant}"]
                    words += _scripts(Path(name), corpus, tenant, [kind])
                    clients.start(names[-1], kind, tenant, words)
            deadline = time.monotonic() + STARTING
            while clients.count() < CONNECTIONS * len(names):
                if clients.errors or time.monotonic() > deadline:
                    what = clients.errors[0][1] if clients.errors else "no connections"
                    raise UserError(f"the clients did not start: {what}")
                time.sleep(0.1)
            yield clients
        finally:
            clients.stop(names)


def make_logins(connection: extensions.connection) -> None:
    """Make the logins of the clients, which belong to the server."""
    for login in ROLES:
        connection.cursor().execute(f"CREATE ROLE {login} LOGIN")


def let_in(connection: extensions.connection) -> None:
    """Grant the logins what they need in a database at its first migration, or at any later one."""
    connection.cursor().execute(_GRANTS)
    join_roles(connection)


def join_roles(connection: extensions.connection) -> None:
    """Make the logins members of the roles that the migrations made, as far as there are any."""
    cursor = connection.cursor()
    for login, role in ROLES.items():
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
        if cursor.rowcount:
            cursor.execute(f"GRANT {role} TO {login}")


def is_calm(connection: extensions.connection, logins: Iterable[str] = ROLES) -> bool:
    """Whether nobody is waiting to begin: in most looks half the connections of each have nothing.

    Who has a queue to work off begins the next transaction as the last one ends, on all of them.
    """
    cursor = connection.cursor()
    calm = 0
    for _ in range(LOOKS):
        cursor.execute(_IDLE, [list(logins)])
        calm += all(is_idle for (is_idle,) in cursor.fetchall())
        time.sleep(0.05)
    return calm > LOOKS / 2


def capacity(program: Path, parameters: Mapping[str, Any], corpus: Corpus, seconds: int) -> float:
    """Return how many transactions a second are done if each client begins as the last one ended.

    They are of both kinds, in the mix that `running` has.
    """
    with tempfile.TemporaryDirectory(prefix="pgproof-load-") as name:
        kinds = ["write", *["read"] * READS_A_WRITE]
        words = _scripts(Path(name), corpus, 1, kinds)
        done = subprocess.run(
            [program, "-n", "-j2", "-Mprepared", "-c8", f"-T{seconds}", "-Dtenant=1", *words],
            env=_environment(parameters, WRITER, 1, "bench-capacity"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise UserError(f"pgbench failed:\n{done.stderr.strip()}")
    return float(found[1])


def _scripts(folder: Path, corpus: Corpus, tenant: int, kinds: Sequence[str]) -> list[str]:
    """Write the scripts of a tenant, and return pgbench's words for them."""
    first, last = TENANTS[tenant]
    words: list[str] = []
    for kind in dict.fromkeys(kinds):
        for name, (script, weight) in SCRIPTS[kind].items():
            path = folder / f"{name}-{tenant}.sql"
            text = _DRAW + script
            path.write_text(
                text.format(
                    first=first,
                    last=last,
                    reach=corpus.documents // 20 - 1,
                    groups=corpus.groups,
                    tags=TAGS * 3,
                    digest=corpus.digest(":tenant", ":id"),
                )
            )
            words += ["-f", f"{path}@{weight * kinds.count(kind)}"]
    return words


def _environment(
    parameters: Mapping[str, Any], login: str, tenant: int, name: str
) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not re.match("PG|DATABASE_URL", k)}
    return {
        **kept,
        "PGHOST": parameters["host"],
        "PGPORT": parameters["port"],
        "PGDATABASE": parameters["dbname"],
        "PGUSER": login,
        "PGAPPNAME": name,
        "PGOPTIONS": f"-c docmeta.tenant_id={tenant} -c docmeta.actor={name}",
    }
