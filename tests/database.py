"""A test's own database: connections to it, and the migrations run on it in each way there is."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg2
from psycopg2.extensions import connection

from pgproof import database, migrations, runner
from pgproof.backend import PgproofBackend
from pgproof.server import Server

ROOT = Path(__file__).parent.parent
SQL = ROOT / "sql"
MIGRATIONS = sorted(path for path in SQL.glob("*.sql") if not path.stem.endswith(".rollback"))
IDS = [path.stem for path in MIGRATIONS]
# The sample rows are of two tenants, and 0014 refuses to lay these open unasked.
OPEN_TENANTS = "-c docmeta.open_tenants=yes"
TABLES = (
    "import_batches",
    "hash_index",
    "documents",
    "duplicate_log",
    "document_classifications",
    "tags",
    "document_tags",
    "audit_log",
    "error_log",
)


@dataclass(frozen=True)
class Database:
    """One database on the test server; `close` ends every connection that was made to it."""

    host: str
    port: str
    user: str
    password: str | None
    dbname: str
    _connections: list[connection] = field(default_factory=list)

    @classmethod
    def on(cls, server: Server, dbname: str = "postgres") -> "Database":
        """Return a database of an embedded server, as its superuser."""
        told = server.parameters(dbname)
        return cls(told["host"], told["port"], told["user"], None, dbname)

    @property
    def parameters(self) -> dict[str, str]:
        """Return libpq's connection parameters."""
        every = {"host": self.host, "port": self.port, "user": self.user, "dbname": self.dbname}
        return {**every, "password": self.password} if self.password else every

    @property
    def url(self) -> str:
        """Return the same as a URL."""
        return f"postgresql://?{urlencode(self.parameters)}"

    @property
    def environment(self) -> dict[str, str]:
        """Return an environment in which libpq's variables name this database."""
        named = {"dbname": "PGDATABASE"}
        variables = {named.get(k, f"PG{k.upper()}"): v for k, v in self.parameters.items()}
        variables["PGOPTIONS"] = OPEN_TENANTS
        return {**os.environ, **variables, "PGPROOF_PROJECT": str(ROOT)}

    def connect(self, **more: str) -> connection:
        """Return a new autocommit connection; `more` are parameters of libpq, such as options."""
        made = psycopg2.connect(**{**self.parameters, **more})  # type: ignore[call-overload]
        made.autocommit = True
        self._connections.append(made)
        assert isinstance(made, connection)
        return made

    @cached_property
    def _own(self) -> connection:
        return self.connect()

    def query(self, sql: str, arguments: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run statements, and return the rows of the last one (none where it gives none)."""
        with self._own.cursor() as cursor:
            cursor.execute(sql, arguments)
            # psycopg2 shows no rows of a SELECT without columns: a test of these cannot fail.
            assert cursor.description or not str(cursor.statusmessage).startswith("SELECT"), sql
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, arguments: Sequence[Any] | None = None) -> Any:
        """Return the first column of the one row of a query."""
        ((first, *_),) = self.query(sql, arguments)
        return first

    def advisory_locks(self, key: int) -> list[int]:
        """Return the processes that hold or want an advisory lock of this database."""
        found = self.query(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())",
            [key % 2**32],
        )
        return [pid for (pid,) in found]

    def rows(self, schema: str = "docmeta") -> dict[str, list[str]]:
        """Return every row of every table of a schema, as sorted JSON texts by table."""
        tables = self.query(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s)::oid "
            "AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname",
            [schema],
        )
        return {
            table: [
                row
                for (row,) in self.query(
                    f'SELECT to_jsonb(t)::text FROM "{schema}"."{table}" t ORDER BY 1'
                )
            ]
            for (table,) in tables
        }

    def sequences(self) -> dict[str, tuple[int, bool]]:
        """Return where each sequence of docmeta stands: its last value, and if it was given out."""
        names = self.query(
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('docmeta')::oid "
            "AND relkind = 'S' ORDER BY relname"
        )
        return {
            name: self.query(f'SELECT last_value, is_called FROM docmeta."{name}"')[0]
            for (name,) in names
        }

    def backend(self, **settings: str) -> PgproofBackend:
        """Return the runner's backend on this database; `settings` are those of yoyo.ini."""
        options = {"options": self.environment["PGOPTIONS"]}
        target = database.Database({**self.parameters, **options}, "a test")
        return runner.open_backend(target, {"wait": "5s"}, settings)

    def up(self, backend: PgproofBackend, to: str) -> None:
        """Apply what is pending up to and with the migration `to`, in this process."""
        runner.up(backend, migrations.read([SQL]), to, lambda _: None)

    def down(self, backend: PgproofBackend, to: str | None) -> None:
        """Roll back what came after the migration `to`, or everything, in this process."""
        files = migrations.read([SQL])
        runner.down(backend, files, runner.to_roll_back(backend, files, to, None), lambda _: None)

    def close(self) -> None:
        """End every connection."""
        for made in self._connections:
            made.close()


def run(
    *command: str | Path, environment: dict[str, str], cwd: Path = ROOT, code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it said; its exit code must be `code`, if one is given."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    assert code is None or done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
    return done


@dataclass(frozen=True)
class Runner:
    """One way to run migrations, as a process: its words for all the way up and all the way down.

    `folder` is the folder of migrations, the project's own by default.
    """

    name: str
    program: tuple[str, ...]
    all_up: tuple[str, ...]
    all_down: tuple[str, ...]
    folder: Path = SQL

    def up(
        self, db: Database, code: int | None = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Apply all, with more environment variables where given."""
        return self._run(self.all_up, db, code, variables)

    def down(
        self, db: Database, code: int | None = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Roll all back."""
        return self._run(self.all_down, db, code, variables)

    def on(self, folder: Path) -> "Runner":
        """Return the same runner for another folder of migrations."""
        return replace(self, folder=folder)

    def _run(
        self, words: tuple[str, ...], db: Database, code: int | None, variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        command = (*self.program, *words, str(self.folder))
        options = f"{db.environment['PGOPTIONS']} {variables.get('PGOPTIONS', '')}"
        environment = {**db.environment, **variables, "PGOPTIONS": options}
        return run(*command, environment=environment, code=code)


# yoyo as a DBA runs it, with nothing of ours; the same on our backend; and our own command.
YOYO = Runner(
    "yoyo",
    (str(Path(sys.executable).with_name("yoyo")),),
    ("apply", "--batch", "-d", "postgresql://"),
    ("rollback", "--batch", "--all", "-d", "postgresql://"),
)
SAFE_YOYO = Runner(
    "yoyo+pgproof",
    YOYO.program,
    ("apply", "--batch", "-d", "postgresql+pgproof://"),
    ("rollback", "--batch", "--all", "-d", "postgresql+pgproof://"),
)
MIGRATE = Runner(
    "migrate",
    (sys.executable, "-m", "pgproof"),
    ("up", "--sql"),
    ("down", "--all", "--yes", "--sql"),
)


def apply_all(
    *, host: str, port: str | int, user: str, dbname: str, password: str | None, **_: Any
) -> None:
    """Apply every migration to a template, as pytest-postgresql calls it."""
    MIGRATE.up(Database(host, str(port), user, password, dbname))


def fill(
    *, host: str, port: str | int, user: str, dbname: str, password: str | None, **_: Any
) -> None:
    """Apply every migration to a template, and after each put its sample rows in.

    Rows grow with the schema, as in life: the oldest may be such as no client may write today.
    """
    db = Database(host, str(port), user, password, dbname)
    with db.backend() as backend:
        for id_ in IDS:
            db.up(backend, id_)
            put_rows(db, id_)


def put_rows(db: Database, migration: str) -> None:
    """Put the sample rows of a migration in, if it has some, in a session of their own."""
    path = ROOT / "tests" / "rows" / f"{migration}.sql"
    if path.exists():
        with closing(db.connect()) as session, session.cursor() as cursor:
            cursor.execute(path.read_text(encoding="utf-8"))
