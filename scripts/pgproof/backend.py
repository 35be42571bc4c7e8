"""The yoyo backend `postgresql+pgproof`: yoyo's own commands, unable to lose or double a migration.

    yoyo apply -d postgresql+pgproof://

A migration and its history row commit in one transaction, on the session that holds the lock. What
yoyo believes blindly (an edited, missing or empty file, a pooler, a read-only role) is refused
before anything is touched: see refusals.py. Found by yoyo through the entry point `yoyo.backends`.
"""

import getpass
import os
import random
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from yoyo import internalmigrations
from yoyo.backends.core.postgresql import PostgresqlBackend

from pgproof import concurrently, history, migrations, refusals
from pgproof.errors import UserError
from pgproof.lock import MigrationLock
from pgproof.session import Session, Settings, check_interrupted, connect, watched
from pgproof.statements import Statement

LOCK_ERRORS = (errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED)
LONGEST_PAUSE = 2.0  # seconds between two tries to get a table's lock

# What a file may have changed in the session, and the next one must not inherit. Not DISCARD ALL:
# it would let go of the migration lock. The last word opens the next file's transaction.
CLEAN = (
    "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; "
    "DISCARD TEMP; DISCARD SEQUENCES"
)


class Failed(UserError):
    """A statement failed; `again` if that was for a lock, and trying again may help."""

    again = False


class PgproofBackend(PostgresqlBackend):  # type: ignore[misc]
    """yoyo's PostgreSQL backend on one session: see the module.

    `notify` is called with each NOTICE and WARNING of the server.
    """

    connection: Session

    def __init__(self, dburi: Any, migration_table: str) -> None:
        arguments = dict(dburi.args)
        self.settings = Settings.take(arguments)
        self.schema = self.settings.schema
        self.home = self.schema or "public"
        self.notify: Callable[[str], None] = _log_notice
        self._wants_lock = False
        self._files: Sequence[Any] | None = None
        if Path(sys.argv[0]).name in ("yoyo", "yoyo-migrate"):
            sys.excepthook = _told_in_a_line
        super().__init__(dburi._replace(args=arguments), migration_table)
        self.migration_lock = MigrationLock(self.connection, self.home, self.settings.wait)

    # The session ---------------------------------------------------------------------------

    def connect(self, dburi: Any) -> Session:
        """Open the one session, with libpq's defaults for what the URL leaves out."""
        parts = {
            "dbname": dburi.database,
            "user": dburi.username,
            "password": dburi.password,
            "port": dburi.port,
            "host": dburi.hostname,
        }
        given = {name: str(value) for name, value in parts.items() if value}
        return connect({**given, **dburi.args}, self.settings)

    def init_connection(self, connection: Session) -> None:
        """Put the URL's schema, if any, at the head of the search_path."""
        if self.schema:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('search_path', quote_ident(%s), false)", [self.schema]
                )

    def init_database(self) -> None:
        """Make nothing: a command that only reads needs no table and no right to make one."""

    def quote_identifier(self, s: str) -> str:
        """Quote a name; yoyo's own tables lie in one schema, whatever the search_path says."""
        quoted: str = super().quote_identifier(s)
        if s in history.TABLES:
            return f"{super().quote_identifier(self.home)}.{quoted}"
        return quoted

    def list_tables(self, **_: Any) -> list[str]:
        """Return the tables of the history's schema, also those that the role may not read."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname = %s AND relkind = 'r'",
                [self.home],
            )
            return [name for (name,) in cursor.fetchall()]

    # Reading -------------------------------------------------------------------------------

    def records(self) -> dict[str, history.Record]:
        """Return what is applied, by id; refuses two histories in one database."""
        refusals.one_history(self.connection, self.home)
        return history.read(self.connection, self.home)

    def get_applied_migration_hashes(self) -> list[str]:
        """Return the hashes of what is applied, the earliest first; takes no lock."""
        return [migrations.hash_of(id_) for id_ in self.records()]

    def ensure_internal_schema_updated(self) -> None:
        """Make or upgrade yoyo's tables; only under the lock, and so never for a reader."""
        if self.migration_lock.is_held and internalmigrations.needs_upgrading(self):
            internalmigrations.upgrade(self)

    def to_apply(self, migrations_: Any) -> Any:
        """Return what is not applied, in order, each file read as psql reads it."""
        return super().to_apply(self._read(migrations_))

    def to_rollback(self, migrations_: Any) -> Any:
        """Return what is applied, the last first."""
        return super().to_rollback(self._read(migrations_))

    def _read(self, found: Any) -> Any:
        if self._files is None:
            refusals.some_file(found)
            self._files = migrations.all_beside(found)
        migrations.prepare(found)
        return found

    # The lock ------------------------------------------------------------------------------

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        """Let the lock be taken by the first change inside, and let it go at the end.

        yoyo asks for it before `list`, too, and while it asks the user: a reader needs none, and
        nobody else is to wait for an answer. What changed meanwhile is found at the first change.
        """
        del timeout  # the URL's `wait` says how long
        former, self._wants_lock = self._wants_lock, True
        try:
            yield
        finally:
            self._wants_lock = former
            if not former:
                self.migration_lock.release()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock for a block that changes something, after all that can be refused is."""
        with watched(self.connection), self.lock():
            if not self.migration_lock.is_held:
                refusals.unfit_session(self.connection, self.home)
                self.migration_lock.acquire()
                self.ensure_internal_schema_updated()
            yield
            check_interrupted(self.connection)

    def break_lock(self) -> None:
        """Remove the lock of a run that is dead; a live one keeps it."""
        self.migration_lock.remove_dead()

    # Changing ------------------------------------------------------------------------------

    def apply_migrations(self, migrations_: Any, force: bool = False) -> None:
        """Apply migrations, and after any the post-apply hooks."""
        self.apply_migrations_only(migrations_, force=force)
        if migrations_:
            self.run_post_apply(migrations_, force=force)

    def apply_migrations_only(self, migrations_: Any, force: bool = False) -> None:
        """Apply migrations in the order given; see `change`."""
        self.change(migrations_, "apply", force=force)

    def rollback_migrations(self, migrations_: Any, force: bool = False) -> None:
        """Roll migrations back in the order given; see `change`."""
        self.change(migrations_, "rollback", force=force)

    def mark_migrations(self, migrations_: Any) -> None:
        """Record migrations as applied, without running them."""
        self.change(migrations_, "mark")

    def unmark_migrations(self, migrations_: Any) -> None:
        """Record migrations as not applied, without rolling them back."""
        self.change(migrations_, "unmark")

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        """Apply one migration; a post-apply hook is not recorded."""
        self.change([migration], "apply" if mark else "hook", force=force)

    def rollback_one(self, migration: Any, force: bool = False) -> None:
        """Roll one migration back."""
        self.change([migration], "rollback", force=force)

    def change(
        self,
        chosen: Sequence[Any],
        operation: str,
        *,
        force: bool = False,
        done: Callable[[Any, float], None] | None = None,
    ) -> None:
        """Apply, roll back, mark or unmark migrations under the lock, and record each.

        `done` is called with each and its seconds. Raises UserError at the first that is refused
        (nothing is touched) or fails (it leaves nothing; those before it stay).
        """
        chosen = list(chosen)
        if not chosen:
            # Nothing to do is no reason to say that all is well.
            refusals.unfit_files(self._files or (), (), self.records(), operation)
            return
        with self.changing():
            for migration in self._still_to_do(chosen, operation):
                check_interrupted(self.connection)
                started = time.perf_counter()
                self._change_one(migration, operation, force)
                if done:
                    done(migration, time.perf_counter() - started)

    def _still_to_do(self, chosen: list[Any], operation: str) -> list[Any]:
        """Return what of `chosen` nobody has done meanwhile; refuses what cannot be done safely."""
        if operation == "hook":
            return chosen
        records = self.records()
        goes_back = operation in ("rollback", "unmark")
        wanted = [m for m in chosen if (m.id in records) == goes_back]
        files = self._files if self._files is not None else migrations.all_beside(chosen)
        refusals.unfit_files(files, wanted, records, operation)
        return wanted

    def _change_one(self, migration: Any, operation: str, force: bool) -> None:
        self.connection.running = migration.id
        if operation in ("mark", "unmark"):
            self._transaction(migration, operation, ())
        elif not migration.is_raw_sql():
            self._python(migration, operation, force)
        elif migration.use_transactions:
            self._patiently(
                lambda: self._transaction(migration, operation, _half(migration, operation))
            )
        else:
            self._statements(migration, operation)
        with self.connection.cursor() as cursor:
            cursor.execute(CLEAN)
        self.init_connection(self.connection)

    def _transaction(self, migration: Any, operation: str, statements: Sequence[Statement]) -> None:
        """Run statements and write history, all in one transaction."""
        started = time.perf_counter()
        with self.connection.cursor() as cursor:
            try:
                cursor.execute("BEGIN")
                for statement in statements:
                    self._send(cursor, migration, operation, statement)
                    check_interrupted(self.connection)
                self._end(cursor, migration, operation, time.perf_counter() - started)
            except BaseException:
                with suppress(psycopg2.Error):
                    cursor.execute("ROLLBACK")
                raise

    def _end(self, cursor: Any, migration: Any, operation: str, seconds: float) -> None:
        """Write history and commit: one message to the server, so one moment."""
        text, arguments = self._history_of(migration, operation, seconds)
        try:
            # A file may have become another role, which need not have a right to history.
            cursor.execute(f"RESET SESSION AUTHORIZATION; RESET ROLE; {text} COMMIT", arguments)
        except psycopg2.Error as error:
            raise self._failed(error, migration, operation, None) from error

    def _history_of(self, migration: Any, operation: str, seconds: float) -> tuple[str, list[Any]]:
        """Return the statements, and their arguments, that record one operation."""
        if operation == "hook":
            return "", []
        now = datetime.now(UTC).replace(tzinfo=None)
        sums = getattr(migration, "checksums", None)
        note = history.comment(sums["forward"], sums["rollback"], seconds) if sums else None
        log = (
            f"INSERT INTO {self.log_table_quoted} (id, migration_hash, migration_id, operation, "
            "username, hostname, comment, created_at_utc) VALUES (%s, %s, %s, %s, %s, %s, %s, %s);"
        )
        arguments = [str(uuid.uuid1()), migration.hash, migration.id, operation]
        arguments += [user_name(), host_name(), note, now]
        if operation in ("apply", "mark"):
            text = f"INSERT INTO {self.migration_table_quoted} VALUES (%s, %s, %s);"
            return log + text, [*arguments, migration.hash, migration.id, now]
        if operation in ("rollback", "unmark"):
            text = f"DELETE FROM {self.migration_table_quoted} WHERE migration_hash = %s;"
            return log + text, [*arguments, migration.hash]
        return log, arguments

    def note(self, migration: Any, operation: str) -> None:
        """Write a line of log alone: 'begin' of what is not transactional, 'repair'."""
        text, arguments = self._history_of(migration, operation, 0)
        with self.connection.cursor() as cursor:
            cursor.execute(text, arguments)

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
                check_interrupted(self.connection)
                time.sleep(0.02)
        return None

    def _statements(self, migration: Any, operation: str) -> None:
        """Run what cannot be in a transaction; history follows the last statement.

        A first line of log tells the next run that this one began.
        """
        resumed = migration.id in history.begun(self.connection, self.home)
        if not resumed:
            self.note(migration, "begin")
        started = time.perf_counter()
        with self.connection.cursor() as cursor:
            for statement in _half(migration, operation):
                check_interrupted(self.connection)
                if concurrently.is_done(cursor, statement, resumed=resumed):
                    continue
                waits = "0" if concurrently.is_concurrent(statement) else "DEFAULT"
                cursor.execute(f"SET lock_timeout TO {waits}")
                self._patiently(
                    lambda s=statement: self._send(cursor, migration, operation, s)  # type: ignore[misc]
                )
                concurrently.assert_valid(cursor, statement)
        self._transaction_of_history(migration, operation, time.perf_counter() - started)

    def _transaction_of_history(self, migration: Any, operation: str, seconds: float) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"{CLEAN}; BEGIN")
            self._end(cursor, migration, operation, seconds)

    def _python(self, migration: Any, operation: str, force: bool) -> None:
        """Run a migration that is a Python program, as yoyo does, but with its history."""
        direction = "apply" if operation == "hook" else operation
        with self.transaction() if migration.use_transactions else self.disable_transactions():
            migration.process_steps(self, direction, force=force)
            if operation != "hook":
                text, arguments = self._history_of(migration, operation, 0)
                with self.connection.cursor() as cursor:
                    cursor.execute(text, arguments)

    def _send(self, cursor: Any, migration: Any, operation: str, statement: Statement) -> None:
        """Send one statement, and pass on what the server has to say."""
        try:
            cursor.execute(statement.text)
        except psycopg2.Error as error:
            self._pass_on_notices()
            check_interrupted(self.connection)
            raise self._failed(error, migration, operation, statement) from error
        self._pass_on_notices()

    def _pass_on_notices(self) -> None:
        for notice in self.connection.notices:
            self.notify(notice.strip())
        self.connection.notices.clear()

    def _failed(
        self, error: psycopg2.Error, migration: Any, operation: str, statement: Statement | None
    ) -> Failed:
        """Say which file and line failed, what the server said, and what is left."""
        failed = Failed(refusals.failure(error, migration, operation, statement, self.connection))
        failed.again = error.pgcode in LOCK_ERRORS
        return failed

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the session."""
        self.connection.close()


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


def _log_notice(text: str) -> None:
    """Show a notice under yoyo's own program, whose logging is set to errors alone."""
    import logging

    logger = logging.getLogger("pgproof")
    logger.setLevel(logging.INFO)
    logger.info("%s", text)


def _told_in_a_line(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """Tell an expected error without a traceback, under yoyo's own program."""
    if isinstance(error, UserError):
        print(f"yoyo: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
