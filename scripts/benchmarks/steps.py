"""The steps of `bench online`: each migration forward, back, the obvious way, and forward again.

    run = Run(parameters, Path("sql"), seconds=8, tell=print)
    run.each_way(migration, before="0001_initial_schema", ways=[])
    run.spans

What a step costs besides time is counted, too: log, size and dead rows, less what the clients made
of them in that time, as they did just before.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions
from yoyo.migrations import Migration

from benchmarks import load
from benchmarks.obvious import Way
from pgproof import runner, scratch, trace
from pgproof.database import Database
from pgproof.errors import UserError

AFTER = 1.0  # seconds after a step that still count to it: queues are emptied, plans made anew
PATIENCE = 300.0  # seconds that clients may take to work off what has queued up
VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
OVERRIDES = "-c docmeta.open_tenants=yes"  # or one rollback refuses: there are several tenants
_COUNTS = """
    SELECT pg_current_wal_insert_lsn() - '0/0',
        (SELECT sum(pg_total_relation_size(c.oid))
         FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         WHERE nspname ~ '^docmeta' AND relkind IN ('r', 'm')),
        (SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE schemaname ~ '^docmeta')
"""
_HELD = """
    SELECT relation::regclass::text, mode FROM pg_locks JOIN pg_class c ON c.oid = relation
    WHERE pid = pg_backend_pid() AND relkind IN ('r', 'p')
        AND relnamespace = 'docmeta'::regnamespace AND relname !~ '^bench_'
"""
_REPORT = "SELECT FROM docmeta.documents, docmeta.audit_log LIMIT 1"
# A rollback that keeps rows elsewhere, or brings them back from there.
_COPIES = re.compile(r"\b(?:parks?|parked|cop(?:y|ies|ied))\b")

Locks = Mapping[str, str]  # the strongest mode by relation


@dataclass(frozen=True)
class Span:
    """A time in which one thing was done, from `start` to `end` on the clock.

    `operation` is quiet, forward, rollback, again, obvious or tidy; `name` the migration's id,
    `words` say what was done in its place. `seconds` is what the migration itself took. `wal` and
    `growth` are in bytes, `dead` in rows. `apart` says why no bound holds for it, if none does;
    `failure` what went wrong.
    """

    operation: str
    name: str
    start: float
    end: float
    words: str = ""
    seconds: float = 0.0
    wal: float = 0.0
    growth: float = 0.0
    dead: float = 0.0
    apart: str = ""
    failure: str | None = None
    locks: Locks = field(default_factory=dict)  # of an obvious way, as its own session holds them

    @property
    def is_ours(self) -> bool:
        """Whether it is a step of a migration, not what it is compared with."""
        return self.operation in ("forward", "rollback", "again")

    @property
    def until(self) -> float:
        """The moment up to which it counts."""
        return self.end + (0.0 if self.operation == "quiet" else AFTER)


class Run:
    """Runs the steps on the database with these parameters, and notes each as a span."""

    def __init__(
        self, parameters: Mapping[str, Any], sql: Path, seconds: float, tell: Callable[[str], None]
    ) -> None:
        self.spans: list[Span] = []
        self._parameters = parameters
        self._sql = sql
        self._seconds = seconds
        self._tell = tell
        self._pace: Sequence[float] = (
            0.0,
            0.0,
            0.0,
        )  # what the clients alone add to the counts in a second

    def bring_to(self, name: str) -> None:
        """Apply all up to a migration, which is not measured; UserError if that fails."""
        start = time.time()
        _, failure = self._migrate("up", name)
        if failure:
            raise UserError(failure)
        self._join_roles()
        self.spans.append(Span("tidy", name, start, time.time()))

    def quiet(self, seconds: float) -> None:
        """Do nothing, and see what the clients do to the counts; before that, let them catch up.

        At half of what the machine can take, a queue is worked off in the time that it took to
        grow; without that the stall of an obvious way would be part of what it is compared with.
        """
        self._catch_up()
        start = time.time()
        before = self._counts()
        time.sleep(seconds)
        after = self._counts()
        end = time.time()
        self._pace = tuple((b - a) / (end - start) for a, b in zip(before, after, strict=True))
        self.spans.append(Span("quiet", "", start, end))

    def _catch_up(self) -> None:
        start = time.time()
        with closing(psycopg2.connect(**self._parameters)) as connection:
            connection.autocommit = True
            if load.is_calm(connection):
                return
            while not load.is_calm(connection):
                if time.time() - start > PATIENCE:
                    self._tell(f"the clients have not caught up in {PATIENCE:g} s")
                    break
        self.spans.append(Span("tidy", "", start, time.time()))

    def each_way(self, migration: Migration, before: str, ways: Sequence[Way]) -> None:
        """Measure one migration: forward, back to `before`, in the obvious ways, and again.

        Raises UserError if it cannot be applied; a rollback that fails is noted, no more.
        """
        said = " ".join(str(migration.module.__doc__).split())
        _, _, rollback = said.partition("Rollback:")
        apart = "rows are kept or come back" if _COPIES.search(rollback) else ""
        reader = max((way.reader for way in ways), default=0.0)
        self._step(migration.id, "forward", migration.id)
        self._join_roles()
        if self._step(migration.id, "rollback", before, apart):
            for way in ways:
                self._obvious(migration, way)
            apart = f"while a report reads for {reader:g} s" if reader else apart
            self._step(migration.id, "again", migration.id, apart, reader)

    def _step(
        self, name: str, operation: str, to: str, apart: str = "", reader: float = 0.0
    ) -> bool:
        self.quiet(self._seconds)
        self._tell(f"{name}: {operation}")
        before = self._counts()
        with self._report(reader):
            start = time.time()
            seconds, failure = self._migrate("down" if operation == "rollback" else "up", to)
            end = time.time()
        after = self._counts()
        span = Span(operation, name, start, end, seconds=seconds, apart=apart, failure=failure)
        self._note(span, before, after)
        if failure and operation != "rollback":
            raise UserError(f"{name} could not be applied:\n{failure}")
        return failure is None

    def _obvious(self, migration: Migration, way: Way) -> None:
        self.quiet(self._seconds)
        name = way.instead_of or migration.id
        self._tell(f"{name}: the obvious way, {way.words}")
        failure = None
        held: Locks = {}
        before = self._counts()
        start = time.time()
        with (
            self._report(way.reader),
            closing(psycopg2.connect(**self._parameters)) as connection,
        ):
            connection.autocommit = way.commits
            cursor = connection.cursor()
            try:
                for statement in way.statements(migration):
                    cursor.execute(statement)
                end = time.time()
                after = _read(cursor)
                held = _held(cursor)
            except psycopg2.Error as error:
                end = time.time()
                failure = str(error).splitlines()[0]
            if not way.commits:
                connection.rollback()
        if failure:
            after = self._counts()
        span = Span(
            "obvious", name, start, end, way.words, end - start, failure=failure, locks=held
        )
        self._note(span, before, after)
        if way.undo or way.cleanup:
            self._tidy(name, [*way.undo, *way.cleanup])

    @contextmanager
    def _report(self, seconds: float) -> Iterator[None]:
        """Let somebody read in one transaction that ends so many seconds after this begins."""
        if not seconds:
            yield
            return
        with closing(psycopg2.connect(**self._parameters)) as connection:
            connection.cursor().execute(_REPORT)
            timer = threading.Timer(seconds, connection.rollback)
            timer.start()
            try:
                yield
            finally:
                timer.join()

    def _tidy(self, name: str, statements: Sequence[str]) -> None:
        start = time.time()
        with closing(psycopg2.connect(**self._parameters)) as connection:
            connection.autocommit = True
            for statement in statements:
                connection.cursor().execute(statement)
        self.spans.append(Span("tidy", name, start, time.time()))

    def _note(self, span: Span, before: Sequence[float], after: Sequence[float]) -> None:
        """Note a step, with what it added; dead rows are told a second later."""
        time.sleep(AFTER)
        wal, growth, _ = self._added(before, after, span.end - span.start)
        _, _, dead = self._added(before, self._counts(), time.time() - span.start)
        self.spans.append(replace(span, wal=wal, growth=growth, dead=dead))

    def _added(
        self, before: Sequence[float], after: Sequence[float], seconds: float
    ) -> list[float]:
        """Return what was added to each count, beyond what the clients add in that time."""
        both = zip(before, after, self._pace, strict=True)
        return [max(0.0, b - a - pace * seconds) for a, b, pace in both]

    def _migrate(self, command: str, to: str) -> tuple[float, str | None]:
        """Run `migrate up` or `down`; returns the seconds by its own clock, and why it failed."""
        words = [sys.executable, "-P", "-m", "pgproof", command, "--json", "--to", to]
        words += ["--sql", str(self._sql), *(["--yes"] if command == "down" else [])]
        kept = {k: v for k, v in os.environ.items() if not re.match("PG|DATABASE_URL", k)}
        named = {variable: str(self._parameters[name]) for name, variable in VARIABLES.items()}
        done = subprocess.run(
            words,
            env={**kept, **named, "PGOPTIONS": OVERRIDES},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return 0.0, "\n".join(done.stderr.strip().splitlines()[-6:])
        (rows,) = json.loads(done.stdout).values()
        return sum(row["seconds"] for row in rows), None

    def _join_roles(self) -> None:
        with closing(psycopg2.connect(**self._parameters)) as connection:
            connection.autocommit = True
            load.join_roles(connection)

    def _counts(self) -> tuple[float, ...]:
        with closing(psycopg2.connect(**self._parameters)) as connection:
            return _read(connection.cursor())


def locks(files: Sequence[Any]) -> dict[tuple[str, str], Locks]:
    """Return what each migration and its rollback lock, seen in a scratch database without rows.

    By (id, "forward" or "rollback"); only what makes anybody wait: SHARE UPDATE EXCLUSIVE or more.
    """
    found: dict[tuple[str, str], Locks] = {}
    with scratch.databases() as made:
        target = Database(made.parameters(made.create()), "scratch")
        # A lock is waited for only where the tracer stands in the way.
        with runner.open_backend(target, {"lock_timeout": "5s"}, {}) as backend:
            for migration in files:
                for word, operation in (
                    ("forward", "apply"),
                    ("rollback", "rollback"),
                    ("again", "apply"),
                ):
                    with backend.changing(), trace.traced(backend) as effects:
                        backend.run_one(migration, operation)
                    found[migration.id, word] = _weighty(trace.strongest(effects).items())
    return found


def _read(cursor: extensions.cursor) -> tuple[float, ...]:
    cursor.execute(_COUNTS)
    return tuple(float(value or 0) for value in cursor.fetchall()[0])


def _held(cursor: extensions.cursor) -> Locks:
    cursor.execute(_HELD)
    return _weighty((name, trace.worded(mode)) for name, mode in cursor.fetchall())


def _weighty(taken: Iterable[tuple[str, str]]) -> Locks:
    """Return the strongest mode of each relation, where that makes anybody wait."""
    found: dict[str, str] = {}
    for name, mode in sorted(taken, key=lambda pair: trace.MODES.index(pair[1])):
        if trace.MODES.index(mode) >= trace.WEIGHTY:
            found[name] = mode
    return found
