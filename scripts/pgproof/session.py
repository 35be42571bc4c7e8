"""The one connection that runs migrations: its settings, and what happens while it waits.

    session = connect({"dbname": "docs"}, Settings())
    session.cursor().execute("CREATE INDEX …")     # Ctrl-C ends it on the server too

A plain psycopg2 connection sleeps inside libpq until the server answers: no signal gets through,
nobody looks at who blocks it, and after kill -9 the server goes on without us. This one wakes
every tenth of a second.
"""

import os
import re
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import psycopg2
from psycopg2 import extensions

from pgproof import database
from pgproof.errors import UserError

WAKE = 0.1  # seconds between two looks around while a statement runs
LOOK_FOR_BLOCKERS = 0.06  # seconds of waiting after which somebody may be in the way
GHOST_CHECK = "-c client_connection_check_interval=500ms"
ARRIVED = "-c pgproof.settings=arrived"  # shows whether a pooler dropped the others
LONGEST = 596 * 3600  # seconds that a lock_timeout can be: its milliseconds are an int of C
ASIDE = 10.0  # seconds that a question on a second connection may take

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}

_BLOCKERS = """
    SELECT format('process %%s (%%s, %%s) for %%s s: %%s', pid, usename,
        coalesce(nullif(application_name, ''), 'no application name'),
        round(extract(epoch FROM clock_timestamp() - coalesce(xact_start, backend_start))),
        left(regexp_replace(query, '\\s+', ' ', 'g'), 80))
    FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids(%s)) ORDER BY xact_start
"""


class Interrupted(SystemExit):
    """Ctrl-C or SIGTERM: what ran was ended and rolled back; `code` is 128 plus the signal."""


@dataclass(frozen=True)
class Settings:
    """How long to wait: for a lock on a table, how often again, and for the migration lock.

    `lock_timeout` in seconds (a file's own SET LOCAL goes first), `lock_retries` a count,
    `wait` in seconds. `schema` is where history lies, and the head of the search_path if given.
    """

    lock_timeout: float = 0.2
    insists: bool = False  # that lock_timeout was given, and goes before that of PGOPTIONS
    lock_retries: int = 20
    wait: float = 30.0
    schema: str | None = None

    @classmethod
    def take(cls, arguments: dict[str, str]) -> "Settings":
        """Take the settings out of a URL's arguments; UserError for one that is no duration."""
        taken: dict[str, Any] = {"insists": "lock_timeout" in arguments}
        for name in ("lock_timeout", "wait"):
            if name in arguments:
                taken[name] = seconds(name, arguments.pop(name))
        if taken.get("lock_timeout", 0) > LONGEST:
            raise UserError("lock_timeout is more than PostgreSQL takes\nGive 596h at most.", 2)
        if "lock_retries" in arguments:
            text = arguments.pop("lock_retries")
            if not text.isdecimal():
                raise UserError(f"lock_retries={text} is not a count\nGive 0 or more.", 2)
            taken["lock_retries"] = int(text)
        return cls(**taken, schema=arguments.pop("schema", None))


def seconds(name: str, text: str) -> float:
    """Read a duration such as 200ms, 2s, 5min or 0; UserError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise UserError(f"{name}={text} is not a duration\nWrite 200ms, 2s or 5min.", exit_code=2)
    return float(match[1]) * _UNITS[match[2] or "s"]


class Session(extensions.connection):
    """A connection that can be interrupted, and knows who blocked its last statement."""

    blockers: tuple[str, ...] = ()
    signal: int | None = None
    running: str = ""  # the migration that it is at
    on_wait: Callable[["Session", float], None] | None = None
    on_notice: Callable[[], None] | None = None  # called when `notices` has some, as they come
    monitor: extensions.connection | None = None
    started_with: str = ""  # the start-up options

    def look_for_blockers(self) -> None:
        """Ask, on a second connection, who holds what this one waits for."""
        with suppress(psycopg2.Error):
            if rows := self.ask_aside(_BLOCKERS, [self.info.backend_pid]):
                self.blockers = tuple(text for (text,) in rows)

    def ask_aside(self, query: str, arguments: list[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        """Run a query on a second connection while this one is busy."""
        if self.monitor is None or self.monitor.closed:
            self.monitor = self.beside()
        with self.monitor.cursor() as cursor:
            cursor.execute(query, arguments)
            return cursor.fetchall()

    def beside(self) -> extensions.connection:
        """Return a new plain connection to the same database, as the same user."""
        # psycopg2 keeps the password out of its dsn.
        secret: dict[str, Any] = {"password": self.info.password} if self.info.password else {}
        made: extensions.connection = psycopg2.connect(
            self.dsn, connect_timeout=round(ASIDE), **secret
        )
        made.autocommit = True
        return made

    def close(self) -> None:
        """Close this connection and its monitor."""
        if self.monitor is not None:
            self.monitor.close()
        super().close()


def connect(parameters: Mapping[str, str], settings: Settings) -> Session:
    """Return an autocommit session; UserError where the server cannot be reached.

    The timeouts are start-up options, so that a RESET in a file does not lose them. They are put
    before PGOPTIONS and the URL's own `options`, which psycopg2's argument would discard; but a
    lock_timeout that was given comes last, which counts.
    """
    # What is no whole millisecond is not to become 0, which is to wait for ever.
    milliseconds = max(round(settings.lock_timeout * 1000), int(settings.lock_timeout > 0))
    timeout = f"-c lock_timeout={milliseconds}ms"
    others = f"{os.environ.get('PGOPTIONS', '')} {parameters.get('options', '')}"
    options = f"{others} {timeout}" if settings.insists else f"{timeout} {others}"
    arguments: dict[str, Any] = {
        "application_name": "migrate",
        **parameters,
        "client_encoding": "UTF8",
        "connection_factory": Session,
    }
    try:
        try:
            made = psycopg2.connect(
                **{**arguments, "options": f"{ARRIVED} {GHOST_CHECK} {options}"}
            )
        except psycopg2.OperationalError as error:
            # Not every platform can watch a socket, and the server says so on connecting.
            if "client_connection_check_interval" not in str(error):
                raise
            made = psycopg2.connect(**{**arguments, "options": f"{ARRIVED} {options}"})
    except psycopg2.OperationalError as error:
        if "unsupported startup parameter" in str(error):
            raise UserError(
                "a connection pooler refuses the session's settings\n"
                "Connect to the server itself: a migration needs a session of its own."
            ) from None
        raise database.refused(error) from None
    made.started_with = f"{ARRIVED} {options}"
    made.autocommit = True
    made.notices = deque()  # psycopg2 would drop all but the last fifty from its list
    return cast(Session, made)


@contextmanager
def watched(session: Session) -> Iterator[None]:
    """Wait for the server awake, and turn SIGINT and SIGTERM into the end of the statement.

    Raises Interrupted at the end of a block in which a signal came.
    """

    def note(number: int, _frame: FrameType | None) -> None:
        session.signal = number

    former: dict[int, Any] = {}
    with suppress(ValueError):  # not the main thread: signals are somebody else's
        former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    former_wait = extensions.get_wait_callback()
    extensions.set_wait_callback(_wait)
    try:
        yield
    finally:
        extensions.set_wait_callback(former_wait)
        for number, handler in former.items():
            signal.signal(number, handler)


def lost_settings(session: Session) -> list[tuple[str, str]]:
    """Return the start-up options that did not arrive: a pooler may drop them all, and say nothing.

    Raises UserError for one that cannot be set later.
    """
    with session.cursor() as cursor:
        cursor.execute("SELECT current_setting('pgproof.settings', true)")
        if cursor.fetchone() == ("arrived",):
            return []
    # A blank parts two of them, unless it stands behind a backslash.
    words = [re.sub(r"\\(.)", r"\1", w) for w in re.findall(r"(?:\\.|\S)+", session.started_with)]
    joined = re.sub(r"(?:^|\x00)-c\x00", "\x00--", "\x00".join(words)).split("\x00")
    pairs = [word.removeprefix("-c").removeprefix("--").partition("=") for word in joined if word]
    if any(not equals for _, equals, _ in pairs):
        raise UserError(
            f"a connection pooler drops the session's options: {session.started_with}\n"
            "Connect to the server itself."
        )
    return [(name.replace("-", "_"), value) for name, _, value in pairs]


def check_interrupted(session: Session) -> None:
    """Raise Interrupted if a signal has come; called between two statements."""
    if session.signal is not None:
        raise Interrupted(128 + session.signal)


def _wait(connection: extensions.connection) -> None:
    """Wait until libpq is done: psycopg2's wait callback, for every connection of the process."""
    session = connection if isinstance(connection, Session) else None
    started = time.monotonic()
    looked = cancelled = False
    while (state := connection.poll()) != extensions.POLL_OK:
        reading = [connection] if state == extensions.POLL_READ else []
        writing = [connection] if state == extensions.POLL_WRITE else []
        patience = WAKE if looked or session is None else LOOK_FOR_BLOCKERS
        if session is not None and session.notices and session.on_notice is not None:
            session.on_notice()
        ready = select.select(reading, writing, [], patience)
        if session is None and time.monotonic() - started > ASIDE:
            raise psycopg2.OperationalError(f"no answer in {ASIDE:g} s on a second connection")
        if session is None or any(ready):
            continue
        if session.signal is not None and not cancelled:
            cancelled = True
            session.cancel()
        if not looked:
            looked = True
            session.blockers = ()
            session.look_for_blockers()
        if session.on_wait is not None:
            session.on_wait(session, time.monotonic() - started)
