"""The same documents, as they arrive at each schema, and a schema's database that takes them in.

    arrivals = Arrivals(parameters, Corpus(100_000))
    store = Store(subject, parameters)
    store.ingest(arrivals.batch(1, 1000))

A document comes over the wire as to a real pipeline: by COPY into the temporary table `arrived`,
from which each schema takes it by a statement of its own; or alone, as the parameters of the same
statement. Every content comes once: the other schemas could not hold it twice.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions

from benchmarks import corpus
from benchmarks.corpus import CLASSES, Corpus
from benchmarks.schemas import Subject

TAGS = 200
TENANT = "1"  # they are all of one, for the other schemas know none

# Name, type and source of each column.
_ARRIVED = (
    ("sha256", "bytea", "digest"),
    ("size_bytes", "bigint", "1000 + id * 7919 %% 9000000"),
    ("storage_uri", "text", "'s3://contents/' || encode(digest, 'hex')"),
    ("filename", "text", "filename"),
    ("title", "text", "title"),
    ("author", "text", "author"),
    ("mime_type", "text", "mime_type"),
    ("language", "text", "language"),
    ("page_count", "integer", "page_count"),
    ("document_date", "date", "document_date"),
    ("source_system", "text", "source_system"),
    ("source_id", "text", "source_id"),
    ("source_uri", "text", "source_uri"),
    ("batch", "bigint", "batch_id"),
    ("attributes", "jsonb", "attributes"),
    ("created_at", "timestamptz", "created_at"),
    ("deleted_at", "timestamptz", "deleted_at"),
    (
        "tags",
        "bigint[]",
        "ARRAY(SELECT DISTINCT 1 + floor({tags} * power(pg_temp.draw(id, 60 + j), 2))::bigint"
        " FROM generate_series(1, 2) AS j WHERE pg_temp.draw(id, 63 + j) < 0.5)",
    ),
    ("fails", "boolean", "pg_temp.draw(id, 52) < 0.02"),
)
NAMES = ", ".join(name for name, _, _ in _ARRIVED)
TYPES = ", ".join(kind for _, kind, _ in _ARRIVED)
_TABLE = f"CREATE TEMP TABLE arrived ({', '.join(f'{n} {t}' for n, t, _ in _ARRIVED)})"


class Arrivals:
    """The documents of a corpus, by number from 1 on; more of them may be asked for than it has."""

    def __init__(self, parameters: Mapping[str, Any], documents: Corpus) -> None:
        self._connection = corpus.session(parameters, documents)
        sources = ", ".join(
            f"({source.format(tags=TAGS)})::{kind} AS {name}" for name, kind, source in _ARRIVED
        )
        digest = documents.digest(TENANT, "id")
        self._query = (
            f"SELECT {sources} FROM {documents.documents_query}"  # noqa: S608
            f" CROSS JOIN LATERAL (SELECT {digest} AS digest) AS hashed"
        )
        self.runs = CLASSES * (documents.groups + 1)

    def batch(self, first: int, last: int) -> bytes:
        """Return these documents as COPY sends them."""
        cursor, sent = self._connection.cursor(), BytesIO()
        query = cursor.mogrify(self._query, {"first": first, "last": last}).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", sent)
        return sent.getvalue()

    def rows(self, first: int, last: int) -> list[tuple[str | None, ...]]:
        """Return these documents as rows of text."""
        cursor = self._connection.cursor()
        text = ", ".join(f"{name}::text" for name, _, _ in _ARRIVED)
        cursor.execute(
            f"SELECT {text} FROM ({self._query}) AS made",  # noqa: S608
            {"first": first, "last": last},
        )
        return cursor.fetchall()

    def close(self) -> None:
        """End the session."""
        self._connection.close()


@dataclass
class Cost:
    """Of some work: seconds on the clock, CPU seconds of its server processes, bytes of WAL.

    `cpu` is not a number where the system has no /proc.
    """

    wall: float = 0.0
    cpu: float = 0.0
    wal: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.wall + other.wall, self.cpu + other.cpu, self.wal + other.wal)


class Meter:
    """Measures what one store does while all others do nothing."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._connection = psycopg2.connect(**parameters)
        self._connection.autocommit = True

    @contextmanager
    def of(self, pid: int) -> Iterator[Cost]:
        """Yield a cost that is known at the end; `pid` is the server process that does the work."""
        found = Cost()
        wal, cpu, started = self._wal(), cpu_seconds(pid), time.perf_counter()
        yield found
        found.wall = time.perf_counter() - started
        found.cpu = cpu_seconds(pid) - cpu
        found.wal = self._wal() - wal

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def _wal(self) -> int:
        cursor = self._connection.cursor()
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'")
        return int(cursor.fetchall()[0][0])


def cpu_seconds(pid: int) -> float:
    """Return what a process has used so far; not a number where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return float("nan")


class Store:
    """The database of one subject, and the session of its client."""

    def __init__(self, subject: Subject, parameters: Mapping[str, Any]) -> None:
        self.subject = subject
        self._parameters = parameters
        self.connection = self.session()
        self.pid: int = self.connection.get_backend_pid()

    def session(self) -> extensions.connection:
        """Return another session of the client; every statement is a transaction of its own."""
        made: extensions.connection = psycopg2.connect(**self._parameters)
        made.autocommit = True
        cursor = made.cursor()
        if "session" in self.subject.parts:
            cursor.execute(self.subject.parts["session"].sql)
        cursor.execute(_TABLE)
        for name, part in self.subject.parts.items():
            if part.parameters or name == "take":
                cursor.execute(f"PREPARE {name} AS {part.sql}")
        cursor.execute(f"PREPARE ingest_one ({TYPES}) AS {_one(self.subject.parts['ingest'].sql)}")
        return made

    def arrive(self, batch: bytes) -> None:
        """Put a batch into `arrived`."""
        cursor = self.connection.cursor()
        cursor.copy_expert("COPY arrived FROM STDIN (FORMAT binary)", BytesIO(batch))

    def ingest(self) -> None:
        """Take in what arrived, in one transaction."""
        self.connection.cursor().execute(self.subject.parts["ingest"].sql)

    def fill(self) -> None:
        """Hang on the documents that arrived what belongs to them, unrecorded; empty `arrived`."""
        if "fill" in self.subject.parts:
            self.connection.cursor().execute(
                "BEGIN; SET LOCAL ROLE NONE; SET LOCAL session_replication_role = replica;"
                f"SET LOCAL enable_seqscan = off; {self.subject.parts['fill'].sql} COMMIT"
            )
        self.connection.cursor().execute("TRUNCATE arrived")

    def maintain(self, command: str) -> None:
        """Run a command such as VACUUM, for which the client has no right."""
        with closing(psycopg2.connect(**self._parameters)) as connection:
            connection.autocommit = True
            connection.cursor().execute(command)

    def execute(self, name: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Execute a prepared part with as many of the arguments as it takes."""
        part = self.subject.parts[name]
        return executed(self.connection, name, arguments[: part.parameters])

    def ask(self, name: str, **arguments: object) -> list[tuple[Any, ...]]:
        """Run a part that is only a means to measure another."""
        cursor = self.connection.cursor()
        cursor.execute(self.subject.parts[name].sql, arguments)
        return cursor.fetchall()

    def does(self, name: str) -> bool:
        """Whether the subject has such a part."""
        return name in self.subject.parts


def executed(
    connection: extensions.connection, name: str, arguments: Sequence[object]
) -> list[tuple[Any, ...]]:
    """Execute a prepared statement; returns its rows, if it has any."""
    cursor = connection.cursor()
    places = ", ".join(["%s"] * len(arguments))
    cursor.execute(f"EXECUTE {name} ({places})" if places else f"EXECUTE {name}", arguments)
    return cursor.fetchall() if cursor.description else []


def _one(ingest: str) -> str:
    """Return the same statement for one document, whose facts are its parameters."""
    facts = ", ".join(f"${number}" for number in range(1, len(_ARRIVED) + 1))
    arrived = f"WITH arrived ({NAMES}) AS (VALUES ({facts}))"
    return f"{arrived}, {ingest[5:]}" if ingest.startswith("WITH ") else f"{arrived} {ingest}"
