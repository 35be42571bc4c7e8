"""An embedded PostgreSQL: start it, stop it, say where it listens, make a database in it.

It exists so that a bare machine needs no PostgreSQL of its own. It makes no account, opens no port
(a unix socket only), and changes no permission of a folder that it did not make.

    python -c "from pgproof.server import Server; s = Server.default(); s.start(); print(s.url())"
"""

import fcntl
import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2 import errors, extensions, sql

from pgproof.binaries import (
    find_binaries,
    is_server_of,
    major_version,
    reachable,
    spawn,
    with_a_name,
)
from pgproof.errors import UserError
from pgproof.folders import MEND, default_home, make_home, make_private

__all__ = ["Server", "default_home", "find_binaries", "major_version"]

START_SECONDS = 120.0  # a start after a crash replays the log first
ORPHAN_SECONDS = 10.0  # how long the children of a server killed by force may take to end
STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
SOCKET_BYTES = 103  # of a socket's path on macOS; Linux allows 107

# What libpq would else take from its variables or from a service, and so end up elsewhere (hostaddr
# goes before host) or fail: our socket knows no password, no TLS and no GSSAPI.
PINNED = {
    "hostaddr": "",
    "options": "",
    "requirepeer": "",
    "channel_binding": "disable",
    "gssencmode": "disable",
    "target_session_attrs": "any",
}
PINNED_SINCE_16 = {"require_auth": "", "sslcertmode": "disable"}  # an older libpq knows neither

# A stranger's server need not let us read the setting. As bytes, for a path need not be UTF-8.
_IS_OURS = """
    SELECT pg_has_role('pg_read_all_settings', 'USAGE')
        AND textsend(current_setting('data_directory')) = %s
"""


@dataclass(frozen=True)
class Server:
    """One PostgreSQL with its data in ``home``; ``settings`` are more lines of postgresql.conf."""

    home: Path
    bindir: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def default(cls) -> Self:
        """The user's own embedded server."""
        return cls(default_home(), find_binaries())

    def start(self) -> bool:
        """Start the server, and make its data first if there is none; False if it ran already."""
        try:
            make_home(self.home)
            with self._locked():
                if (pid := self._postmaster()) and self._is_whole():
                    self._comes_up(pid, lambda: self._is_ours(pid))  # its starter may be gone
                    return False
                if pid:
                    self._end(pid)
                bindir = reachable(self.bindir, self._path().parent)
                self._make_data(bindir)
                make_private(self._sockets())
                self._write_settings()
                self._launch(bindir)
                return True
        except OSError as error:
            raise UserError(f"cannot start a server in {self.home}: {error}:\n{MEND}") from None

    def stop(self) -> bool:
        """Stop the server, by force in the end; False if it was not running."""
        if not self.is_running():
            return False
        with self._locked():
            pid = self._postmaster()
            if pid:
                self._end(pid)
            return pid is not None

    def _end(self, pid: int) -> None:
        for number, patience in STOP_STEPS:
            deadline = time.monotonic() + patience
            if self._is_ours(pid):
                os.kill(pid, number)
            while self._is_ours(pid) and time.monotonic() < deadline:
                time.sleep(0.01)
        if self._is_ours(pid):
            raise UserError(f"the server (process {pid}) does not end, not even by force")

    def _is_whole(self) -> bool:
        """Whether the program that runs is still there: its time zones go with its environment."""
        try:
            program = self._path().joinpath("postmaster.opts").read_text(errors="surrogateescape")
        except OSError:
            return True
        return Path(program.split(' "')[0].strip()).exists()

    def is_running(self) -> bool:
        """Whether the server of this data folder runs."""
        return self._postmaster() is not None

    def url(self, database: str = "postgres") -> str:
        """A libpq URL of a database, over the unix socket, whatever libpq's variables say."""
        query = urlencode({**self._place(), **PINNED}, quote_via=quote, safe="")
        return f"postgresql:///{quote(database, safe='')}?{query}"

    def parameters(self, database: str = "postgres") -> dict[str, Any]:
        """The same for ``psycopg2.connect(**…)``."""
        newer = PINNED_SINCE_16 if extensions.libpq_version() >= 16_00_00 else {}
        return {**self._place(), "dbname": database, **PINNED, **newer}

    def _place(self) -> dict[str, str]:
        return {"host": str(self._sockets()), "port": "5432", "user": "postgres"}

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Yield the cursor of an autocommit session; UserError if no server answers, or another.

        To be asked before anything is made on the server, for it would be made on that other one.
        """
        try:
            with closing(psycopg2.connect(**self.parameters())) as connection:
                connection.autocommit = True
                cursor = connection.cursor()
                cursor.execute(_IS_OURS, [os.fsencode(self._path())])
                if cursor.fetchone() != (True,):
                    raise UserError(
                        f"another server answers in place of the embedded one in {self.home}\n"
                        "Nothing was made there. Unset libpq's variables (env | grep ^PG), and "
                        "run again."
                    )
                yield cursor
        except psycopg2.OperationalError as error:
            raise UserError(f"the embedded server does not answer: {error}".strip()) from None

    def create_database(self, name: str) -> bool:
        """Create a database; False if it was there, or if another process made it meanwhile."""
        with self.session() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s::name", [name])
            if cursor.fetchone():
                return False
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                return True
            return False

    def log(self) -> Path:
        """The server's log, which is appended to at every start."""
        return self._path(".log")

    def _path(self, suffix: str = "") -> Path:
        # By major version: PostgreSQL cannot open the data folder of another one.
        return self.home.resolve() / f"pg{major_version(self.bindir)}{suffix}"

    def _sockets(self) -> Path:
        """The folder of the socket: in ``home``, unless its path is one that libpq cannot take."""
        inside = self._path(".run")
        text = str(inside / ".s.PGSQL.5432")
        # A comma separates hosts in libpq's host, and what cannot be printed is not valid UTF-8.
        if len(os.fsencode(text)) <= SOCKET_BYTES and text.isprintable() and "," not in text:
            return inside
        digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
        return Path(f"/tmp/pgproof-{os.geteuid()}-{digest}")  # noqa: S108 - _private() guards it

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = (self.home / "lock").open("ab")  # Python's files are not inherited by a daemon
        except OSError as error:
            raise UserError(f"cannot lock the server in {self.home}: {error}:\n{MEND}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _recorded(self) -> list[str]:
        """The lines of postmaster.pid: the pid first, the state eighth; none without the file."""
        try:
            return (self._path() / "postmaster.pid").read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise UserError(f"the server in {self.home} is not yours: {error}:\n{MEND}") from None

    def _postmaster(self) -> int | None:
        first = (self._recorded() or [""])[0]
        return int(first) if first.isdecimal() and self._is_ours(int(first)) else None

    def _is_ours(self, pid: int) -> bool:
        return is_server_of(pid, self._path())

    def _make_data(self, bindir: Path) -> None:
        """Make the data folder under another name first: one that is half made is never used."""
        data = self._path()
        if (data / "PG_VERSION").exists():
            return
        for leftover in data.parent.glob(f"{data.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # an initdb that lost us may still write
        start = self._log_size()
        for locale in ("C.UTF-8", "C"):
            draft = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
            make_private(draft)
            command = [str(bindir / "initdb"), "--no-sync", "--no-instructions", "--auth=trust"]
            command += ["-U", "postgres", "--encoding=UTF8", f"--locale={locale}", "-D", str(draft)]
            with self.log().open("ab") as output:
                code = spawn(with_a_name(command), output).wait()
            if code == 0:
                draft.rename(data)
                return
            shutil.rmtree(draft, ignore_errors=True)
        raise self._failure("initdb failed", start)

    def _write_settings(self) -> None:
        """Write a file, not words of a command: in a file any value can be quoted."""
        folder = str(self._sockets()).replace('"', '""')
        values = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": f'"{folder}"',
            "max_connections": "100",
        }
        lines = ["# Written by pgproof at every start; edit the included file instead."]
        lines += [f"include '{self._path().name}/postgresql.conf'"]
        for name, value in {**values, **self.settings}.items():
            escaped = value.replace("\\", "\\\\").replace("'", "''")
            lines.append(f"{name} = '{escaped}'")
        path = self._path(".conf")
        path.write_bytes(os.fsencode("\n".join(lines) + "\n"))
        path.chmod(0o644)

    def _launch(self, bindir: Path) -> None:
        command = [str(bindir / "postgres"), "-D", str(self._path())]
        command += ["-c", f"config_file={self._path('.conf')}"]
        # After a crash the pid in postmaster.pid may be a stranger's, and PostgreSQL would yield to
        # it. It passes over its grandparent's, and still asks the shared memory who is there.
        recorded = self._recorded()
        environment = {"PG_GRANDPARENT_PID": recorded[0]} if recorded else {}
        deadline = time.monotonic() + ORPHAN_SECONDS
        while failure := self._try(command, environment):
            if "shared memory block" not in str(failure) or time.monotonic() > deadline:
                raise failure
            time.sleep(0.2)

    def _try(self, command: list[str], environment: Mapping[str, str]) -> UserError | None:
        start = self._log_size()
        with self.log().open("ab") as output:
            process = spawn(command, output, environment)
        if self._comes_up(process.pid, lambda: process.poll() is None):
            process.returncode = 0  # it outlives us: nothing is to wait for it
            return None
        return self._failure("PostgreSQL did not start", start)

    def _comes_up(self, pid: int, lives: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while lives() and time.monotonic() < deadline:
            lines = self._recorded()
            if lines[:1] == [str(pid)] and lines[7:8] == ["ready   "]:
                return True
            time.sleep(0.02)
        return False

    def _log_size(self) -> int:
        return self.log().stat().st_size if self.log().exists() else 0

    def _failure(self, what: str, start: int) -> UserError:
        text = self.log().read_bytes()[start:].decode(errors="replace")
        last = "\n".join(text.splitlines()[-6:])
        return UserError(f"{what}; the last lines of its log, {self.log()}:\n{last}")
