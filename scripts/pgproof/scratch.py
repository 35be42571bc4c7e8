"""Throw-away databases, on a server of their own or on one that is named; all are gone at the end.

    with scratch.databases() as made:
        name = made.create()
        psycopg2.connect(**made.parameters(name))

Nothing here outlives its run, so nothing is worth an fsync, and memory is a good enough disk.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2
from psycopg2 import extensions

from pgproof.binaries import find_binaries
from pgproof.database import refused
from pgproof.errors import UserError
from pgproof.server import Server
from pgproof.session import Interrupted

UNSAFE_BUT_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "2GB",
    "autovacuum": "off",
    # Not in /dev/shm: a server that is killed with -9 leaves its segments there.
    "dynamic_shared_memory_type": "mmap",
}
LEAVING = 5.0  # seconds that a closed session may take to be gone
ENOUGH = 1 << 30  # bytes free in memory, else the disk is taken: containers may have 64 MiB


_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = %s"


@dataclass
class Databases:
    """Makes databases on one server, whose connection parameters are `server`."""

    server: Mapping[str, Any]
    _names: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def create(self) -> str:
        """Return the name of a new, empty database."""
        return self._create("TEMPLATE template0 ENCODING 'UTF8'")

    def copy(self, name: str) -> str:
        """Return the name of a copy of a database to which nobody is connected any more."""
        # A session that was closed is gone a moment later, and the server would look again only
        # after a tenth of a second.
        deadline = time.monotonic() + LEAVING
        while self._run(_SESSIONS, [name]) and time.monotonic() < deadline:
            time.sleep(0.001)
        # Files are copied faster than they are logged page by page.
        return self._create(f"TEMPLATE {name} STRATEGY file_copy")

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._names.remove(name)

    def parameters(self, name: str) -> dict[str, Any]:
        """Return the parameters of libpq for one of the databases."""
        return {**self.server, "dbname": name}

    def drop_all(self) -> None:
        """Drop what is left."""
        for name in list(self._names):
            with suppress(psycopg2.Error, UserError):
                self.drop(name)
        self._session.close()

    @cached_property
    def _session(self) -> extensions.connection:
        try:
            made: extensions.connection = psycopg2.connect(**self.server)
        except psycopg2.OperationalError as error:
            raise refused(error) from None
        made.autocommit = True
        return made

    def _create(self, how: str) -> str:
        name = f"pgproof_scratch_{os.getpid()}_{next(self._numbers)}"
        self._names.append(name)
        self._run(f"CREATE DATABASE {name} {how}")
        return name

    def _run(self, statement: str, arguments: Sequence[str] | None = None) -> list[Any]:
        try:
            with self._session.cursor() as cursor:
                cursor.execute(statement, arguments)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.errors.InsufficientPrivilege as error:
            raise UserError(
                f"{error.diag.message_primary}\n"
                "Name a server on which you may create databases, or none: then one is started."
            ) from None


@contextmanager
def databases(
    on: Mapping[str, Any] | None = None, major: int | None = None, options: str = ""
) -> Iterator[Databases]:
    """Yield a maker of databases: on the server with the parameters `on`, else on a new one.

    A new server is of the PostgreSQL version `major`, or of the newest that is there. `options`
    are what each session starts with, as in PGOPTIONS. Raises UserError where there is no server,
    or it cannot be reached.
    """
    with _ended_in_order():
        if on is None:
            yield from _on_own_server(major, options)
        else:
            given = f"{on.get('options', '')} {options}".strip()
            yield from _dropped_at_the_end(Databases({**on, "options": given} if given else on))


def _dropped_at_the_end(made: Databases) -> Iterator[Databases]:
    try:
        yield made
    finally:
        made.drop_all()


def _on_own_server(major: int | None, options: str) -> Iterator[Databases]:
    home = scratch_folder()
    server = Server(home, find_binaries(major), UNSAFE_BUT_FAST)
    try:
        server.start()
        with server.session():
            pass  # it is ours, and no other that libpq's variables lead to
        # PGOPTIONS may well say that the session with the live server is to write nothing.
        writable = {"options": f"-c default_transaction_read_only=off {options}"}
        yield from _dropped_at_the_end(Databases({**server.parameters(), **writable}))
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM, too, end the process by way of its `finally` clauses."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(128 + number)

    former: Any = signal.SIG_DFL
    with suppress(ValueError):  # not the main thread: signals are somebody else's
        former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, former)


def scratch_folder(room: int = ENOUGH) -> Path:
    """Make a folder for a server: in memory where there is room, short, and open to all.

    `room` is in bytes.
    As root the server runs as another user, which could not enter a folder of root's own.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder that is ours alone
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > room
    home = Path(tempfile.mkdtemp(prefix="pgproof-", dir=memory if roomy else None))
    home.chmod(0o755)
    return home
