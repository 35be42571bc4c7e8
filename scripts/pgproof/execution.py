"""One migration run on one session: its statements, its history, and nothing in between.

    Execution(session, Settings(), "public", print).run(migration, "apply")

A transactional file and its history row commit together. Of a file that cannot be in a
transaction, history follows the last statement, and a line of log comes before the first.
"""

import getpass
import os
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql

from pgproof import concurrently, history, refusals
from pgproof.errors import UserError
from pgproof.session import Session, Settings, check_interrupted, lost_settings
from pgproof.statements import Statement

LOCK_ERRORS = (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED)
LONGEST_PAUSE = 2.0  # seconds between two tries to get a table's lock
STRANGER = " is not the server process that holds the migration lock"

# What a file may have changed in the session, and the next one must not inherit. Not DISCARD ALL:
# it would let go of the migration lock.
CLEAN = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; "
    "DISCARD TEMP; DISCARD SEQUENCES"
)


# Called around each statement, with the cursor that runs it, and whether in a transaction.
Observe = Callable[[Any, Statement, bool], AbstractContextManager[None]]


class Failed(UserError):
    """A statement failed; `again` if that was for a lock, and trying again may help."""

    again = False


class Execution:
    """How one session runs migrations; `notify` gets each NOTICE and WARNING of the server."""

    def __init__(
        self, session: Session, settings: Settings, home: str, notify: Callable[[str], None]
    ) -> None:
        self.session = session
        self.settings = settings
        self.home = home
        self.notify = notify
        self.holder: object = None  # the server process that holds the migration lock
        self.observe: Observe = lambda *_: nullcontext()
        self._clean = CLEAN
        self._lines: dict[str, str] = {}  # what records each operation, but for the values
        self._newest = datetime.min  # of the log: nothing that we write is older
        if settings.schema:
            schema = sql.Literal(settings.schema).as_string(session)
            self._clean += f"; SELECT set_config('search_path', quote_ident({schema}), false)"

    def hold(self, server: object) -> None:
        """Run on the server process `server` alone, which has the lock, and with our settings.

        The tables of history are there by now.
        """
        self.holder = server
        self._lines.clear()
        log = sql.Identifier(self.home, "_yoyo_log")
        with self.session.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT max(created_at_utc) FROM {}").format(log))
            ((newest,),) = cursor.fetchall()
        self._newest = newest or self._newest
        for name, value in lost_settings(self.session):
            pair = sql.SQL("; SELECT set_config({}, {}, false)")
            both = pair.format(sql.Literal(name), sql.Literal(value))
            self._clean += both.as_string(self.session)

    def clean(self) -> None:
        """Undo what a file that failed outside a transaction has changed in the session."""
        with suppress(psycopg2.Error), self.session.cursor() as cursor:
            cursor.execute(self._clean)

    def run(self, migration: Any, operation: str) -> None:
        """Apply, roll back, mark or unmark one migration, or run a hook; Failed if it cannot."""
        self.session.running = migration.id
        if operation in ("mark", "unmark"):
            self._transaction(migration, operation, ())
        elif migration.use_transactions:
            half = _half(migration, operation)
            self._patiently(lambda: self._transaction(migration, operation, half))
        else:
            self._statements(migration, operation)

    def note(self, migration: Any, operation: str) -> None:
        """Write a line of log alone: 'begin' of what is not transactional, 'repair'."""
        with self.session.cursor() as cursor:
            cursor.execute(self.history_of(cursor, migration, operation, None))

    def _transaction(
        self,
        migration: Any,
        operation: str,
        statements: Sequence[Statement],
        before: float = 0.0,
    ) -> None:
        """Run statements and write history, all in one transaction; `before` took seconds, too."""
        started = time.perf_counter() - before
        opening = f"{self._clean}; BEGIN; "  # goes with the first statement: one round trip less
        with self.session.cursor() as cursor:
            try:
                for statement in statements:
                    self._send(cursor, migration, operation, statement, opening)
                    check_interrupted(self.session)
                    opening = ""
                seconds = time.perf_counter() - started
                self._end(cursor, migration, operation, seconds, opening)
            except BaseException:
                with suppress(psycopg2.Error):
                    cursor.execute("ROLLBACK")
                self.session.notices.clear()  # that there was nothing to roll back
                raise

    def _end(
        self, cursor: Any, migration: Any, operation: str, seconds: float, opening: str
    ) -> None:
        """Write history and commit: one message to the server, so one moment."""
        line = self.history_of(cursor, migration, operation, seconds)
        try:
            # A file may have become another role, which need not have a right to history.
            cursor.execute(f"{opening}RESET SESSION AUTHORIZATION; RESET ROLE; {line}; COMMIT")
        except psycopg2.Error as error:
            if STRANGER in str(error):
                raise refusals.pooled() from None
            raise self._failed(error, migration, operation, None) from error
        finally:
            self._pass_on_notices()

    def history_of(self, cursor: Any, migration: Any, operation: str, seconds: float | None) -> str:
        """Return the statement that records one operation; none for a hook."""
        if operation == "hook":
            return ""
        if operation not in self._lines:
            self._lines[operation] = self._line(operation)
        # The server's clock, for those of the clients differ; and even if that was put back since,
        # the order of the log is that of what happened.
        self._newest += timedelta(microseconds=1)
        sums = getattr(migration, "checksums", None)
        values = {
            "key": os.urandom(16).hex(),  # as random as the uuid that yoyo puts there
            "hash": migration.hash,
            "id": migration.id,
            "note": sums and history.comment(sums["forward"], sums["rollback"], seconds),
            "after": self._newest,
        }
        line: bytes = cursor.mogrify(self._lines[operation], values)
        return line.decode()

    def _line(self, operation: str) -> str:
        """Return the statement that records an operation, with a place for each value of one."""
        # A transaction stays on one server, whatever pooler is in between: it must be the one that
        # holds the lock. The cast fails elsewhere, with this text in its message.
        line = (
            "INSERT INTO {log} (id, migration_hash, migration_id, operation, username, hostname, "
            "comment, created_at_utc) VALUES (CASE pg_backend_pid() WHEN {holder} THEN %(key)s "
            "ELSE (pg_backend_pid() || {stranger})::integer::text END, "
            "%(hash)s, %(id)s, {operation}, {user}, {host}, %(note)s, "
            "greatest(clock_timestamp() AT TIME ZONE 'UTC', %(after)s)) RETURNING created_at_utc"
        )
        if operation in ("apply", "mark"):
            row = "SELECT %(hash)s, %(id)s, created_at_utc FROM log"
            line = f"WITH log AS ({line}) INSERT INTO {{applied}} {row}"
        elif operation in ("rollback", "unmark"):
            line = f"WITH log AS ({line}) DELETE FROM {{applied}} WHERE migration_hash = %(hash)s"
        quoted = {
            "log": sql.Identifier(self.home, "_yoyo_log"),
            "applied": sql.Identifier(self.home, "_yoyo_migration"),
            "holder": sql.Literal(self.holder),
            "stranger": sql.Literal(STRANGER),
            "operation": sql.Literal(operation),
            "user": sql.Literal(user_name()),
            "host": sql.Literal(host_name()),
        }
        return line.format(
            **{k: v.as_string(self.session).replace("%", "%%") for k, v in quoted.items()}
        )

    def _patiently(self, run: Callable[[], None]) -> None:
        """Run until it gets its locks: again, after a growing pause of random length."""
        for attempt in range(self.settings.lock_retries + 1):
            try:
                return run()
            except Failed as error:
                if not error.again or attempt == self.settings.lock_retries:
                    raise
            # Who queued up behind us is served meanwhile: the first pause is as long as the wait
            # was. Random, so that two that meet do not meet again.
            first = max(0.05, self.settings.lock_timeout)
            pause = min(LONGEST_PAUSE, first * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
            until = time.monotonic() + pause
            while time.monotonic() < until:
                check_interrupted(self.session)
                time.sleep(0.02)
        return None

    def _statements(self, migration: Any, operation: str) -> None:
        """Run what cannot be in a transaction; history follows the last statement.

        A first line of log tells the next run that this one began; but a hook runs each time.
        """
        begun = history.begun(self.session, self.home).get(migration.id)
        if begun is None and operation != "hook":
            self.note(migration, "begin")
        started = time.perf_counter()
        with self.session.cursor() as cursor:
            cursor.execute(self._clean)
            for statement in _half(migration, operation):
                check_interrupted(self.session)
                self._patiently(partial(self._once, cursor, migration, operation, statement, begun))
                concurrently.assert_valid(cursor, statement)
        self._transaction(migration, operation, (), time.perf_counter() - started)

    def _once(
        self,
        cursor: Any,
        migration: Any,
        operation: str,
        statement: Statement,
        begun: Mapping[str, str | None] | None,
    ) -> None:
        """Run a statement outside a transaction, unless the run that had `begun` has done it.

        What that one, or a try before this, left INVALID is dropped first.
        """
        half = "rollback" if operation == "rollback" else "forward"
        edited = begun is not None and begun[half] != migration.checksums[half]
        try:
            if concurrently.is_done(cursor, statement, begun is not None, edited):
                return
        except psycopg2.Error as error:
            check_interrupted(self.session)
            raise self._failed(error, migration, operation, statement) from error
        with concurrently.unhurried(cursor, statement):
            self._send(cursor, migration, operation, statement)

    def _send(
        self, cursor: Any, migration: Any, operation: str, statement: Statement, opening: str = ""
    ) -> None:
        """Send one statement behind `opening`, and pass on what the server says, as it says it."""
        self.session.on_notice = self._pass_on_notices
        try:
            with self.observe(cursor, statement, migration.use_transactions):
                cursor.execute(opening + statement.text)
        except psycopg2.Error as error:
            self._pass_on_notices()
            check_interrupted(self.session)
            raise self._failed(error, migration, operation, statement, len(opening)) from error
        finally:
            self.session.on_notice = None
        self._pass_on_notices()

    def _pass_on_notices(self) -> None:
        for notice in self.session.notices:
            self.notify(notice.strip())
        self.session.notices.clear()

    def _failed(
        self,
        error: psycopg2.Error,
        migration: Any,
        operation: str,
        statement: Statement | None,
        before: int = 0,
    ) -> Failed:
        """Say which file and line failed, what the server said, and what is left.

        `before` counts the characters that were sent before the statement.
        """
        failed = Failed(
            refusals.failure(error, migration, operation, statement, before, self.session)
        )
        failed.again = error.pgcode in LOCK_ERRORS
        return failed


def _half(migration: Any, operation: str) -> Sequence[Statement]:
    half: Sequence[Statement] = migration.rollback if operation == "rollback" else migration.forward
    return half


@cache
def host_name() -> str:
    """Return this machine's name; not its full one, which yoyo asks the network for."""
    return socket.gethostname()


@cache
def user_name() -> str:
    """Return who runs this; a container's user need have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
