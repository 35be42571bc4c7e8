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
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql

from pgproof import concurrently, history, refusals
from pgproof.errors import UserError
from pgproof.session import Session, Settings, check_interrupted, lost_settings
from pgproof.statements import Statement

LOCK_ERRORS = (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED)
LONGEST_PAUSE = 2.0  # seconds between two tries to get a table's lock

# What a file may have changed in the session, and the next one must not inherit. Not DISCARD ALL:
# it would let go of the migration lock.
CLEAN = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; "
    "DISCARD TEMP; DISCARD SEQUENCES"
)


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
        self._clean = CLEAN
        # Quoted, and for queries with arguments.
        self._log, self._applied = (
            sql.Identifier(home, name).as_string(session).replace("%", "%%")
            for name in ("_yoyo_log", "_yoyo_migration")
        )
        if settings.schema:
            schema = sql.Literal(settings.schema).as_string(session)
            self._clean += f"; SELECT set_config('search_path', quote_ident({schema}), false)"

    def hold(self, server: object) -> None:
        """Run on the server process `server` alone, which has the lock, and with our settings."""
        self.holder = server
        for name, value in lost_settings(self.session):
            pair = sql.SQL("; SELECT set_config({}, {}, false)")
            both = pair.format(sql.Literal(name), sql.Literal(value))
            self._clean += both.as_string(self.session)

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
        text, arguments = self.history_of(migration, operation, None)
        with self.session.cursor() as cursor:
            cursor.execute(text, arguments)

    def _transaction(
        self,
        migration: Any,
        operation: str,
        statements: Sequence[Statement],
        before: float = 0.0,
    ) -> None:
        """Run statements and write history, all in one transaction; `before` took seconds, too."""
        started = time.perf_counter() - before
        with self.session.cursor() as cursor:
            try:
                self._begin(cursor, migration)
                for statement in statements:
                    self._send(cursor, migration, operation, statement)
                    check_interrupted(self.session)
                self._end(cursor, migration, operation, time.perf_counter() - started)
            except BaseException:
                with suppress(psycopg2.Error):
                    cursor.execute("ROLLBACK")
                raise

    def _begin(self, cursor: Any, migration: Any) -> None:
        """Begin on a clean session, and on the server process that holds the lock.

        A transaction stays on one server, whatever pooler is in between.
        """
        try:
            cursor.execute(f"{self._clean}; BEGIN; SELECT pg_backend_pid()")
        except psycopg2.Error as error:
            check_interrupted(self.session)
            if not migration.use_transactions:
                raise  # its statements are done, but for the history
            raise UserError(
                f"{refusals.told(error)}\nNothing of {migration.id} was kept; run again."
            ) from error
        if self.holder is not None and cursor.fetchone() != (self.holder,):
            raise refusals.pooled()

    def _end(self, cursor: Any, migration: Any, operation: str, seconds: float) -> None:
        """Write history and commit: one message to the server, so one moment."""
        text, arguments = self.history_of(migration, operation, seconds)
        try:
            # A file may have become another role, which need not have a right to history.
            cursor.execute(f"RESET SESSION AUTHORIZATION; RESET ROLE; {text} COMMIT", arguments)
        except psycopg2.Error as error:
            raise self._failed(error, migration, operation, None) from error
        finally:
            self._pass_on_notices()

    def history_of(
        self, migration: Any, operation: str, seconds: float | None
    ) -> tuple[str, list[Any]]:
        """Return the statements, and their arguments, that record one operation."""
        if operation == "hook":
            return "", []
        now = datetime.now(UTC).replace(tzinfo=None)
        sums = getattr(migration, "checksums", None)
        note = history.comment(sums["forward"], sums["rollback"], seconds) if sums else None
        log = (
            f"INSERT INTO {self._log} (id, migration_hash, migration_id, operation, "
            "username, hostname, comment, created_at_utc) VALUES (%s, %s, %s, %s, %s, %s, %s, %s);"
        )
        arguments = [str(uuid.uuid4()), migration.hash, migration.id, operation]
        arguments += [user_name(), host_name(), note, now]
        if operation in ("apply", "mark"):
            text = f"INSERT INTO {self._applied} VALUES (%s, %s, %s);"
            return log + text, [*arguments, migration.hash, migration.id, now]
        if operation in ("rollback", "unmark"):
            text = f"DELETE FROM {self._applied} WHERE migration_hash = %s;"
            return log + text, [*arguments, migration.hash]
        return log, arguments

    def _patiently(self, run: Callable[[], None]) -> None:
        """Run until it gets its locks: again, after a growing pause of random length."""
        for attempt in range(self.settings.lock_retries + 1):
            try:
                return run()
            except Failed as error:
                if not error.again or attempt == self.settings.lock_retries:
                    raise
            # Random, so that two that meet do not meet again.
            pause = min(LONGEST_PAUSE, 0.05 * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
            until = time.monotonic() + pause
            while time.monotonic() < until:
                check_interrupted(self.session)
                time.sleep(0.02)
        return None

    def _statements(self, migration: Any, operation: str) -> None:
        """Run what cannot be in a transaction; history follows the last statement.

        A first line of log tells the next run that this one began.
        """
        resumed = migration.id in history.begun(self.session, self.home)
        if not resumed:
            self.note(migration, "begin")
        started = time.perf_counter()
        with self.session.cursor() as cursor:
            cursor.execute(self._clean)
            for statement in _half(migration, operation):
                check_interrupted(self.session)
                if concurrently.is_done(cursor, statement, resumed=resumed):
                    continue
                with concurrently.unhurried(cursor, statement):
                    self._patiently(
                        lambda s=statement: self._send(cursor, migration, operation, s)  # type: ignore[misc]
                    )
                concurrently.assert_valid(cursor, statement)
        self._transaction(migration, operation, (), time.perf_counter() - started)

    def _send(self, cursor: Any, migration: Any, operation: str, statement: Statement) -> None:
        """Send one statement, and pass on what the server has to say."""
        try:
            cursor.execute(statement.text)
        except psycopg2.Error as error:
            self._pass_on_notices()
            check_interrupted(self.session)
            raise self._failed(error, migration, operation, statement) from error
        self._pass_on_notices()

    def _pass_on_notices(self) -> None:
        for notice in self.session.notices:
            self.notify(notice.strip())
        self.session.notices.clear()

    def _failed(
        self, error: psycopg2.Error, migration: Any, operation: str, statement: Statement | None
    ) -> Failed:
        """Say which file and line failed, what the server said, and what is left."""
        failed = Failed(refusals.failure(error, migration, operation, statement, self.session))
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
