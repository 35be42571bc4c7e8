"""The yoyo backend `postgresql+pgproof`: yoyo's own commands, unable to lose or double a migration.

    yoyo apply -d postgresql+pgproof://

A migration and its history row commit in one transaction, on the session that holds the lock. What
yoyo believes blindly (an edited, missing or empty file, a pooler, a read-only role) is refused
before anything is touched: see refusals.py. Found by yoyo through the entry point `yoyo.backends`.
"""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2
from yoyo import internalmigrations
from yoyo.backends.core.postgresql import PostgresqlBackend

from pgproof import history, migrations, refusals
from pgproof.errors import UserError
from pgproof.execution import Execution
from pgproof.lock import MigrationLock
from pgproof.session import Session, Settings, check_interrupted, connect, watched


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
        self.execution = Execution(
            self.connection, self.settings, self.home, lambda text: self.notify(text)
        )

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

    def get_applied_migration_hashes(self) -> Collection[str]:
        """Return the hashes of what is applied, the earliest first; takes no lock."""
        return dict.fromkeys(migrations.hash_of(id_) for id_ in self.records())

    def ensure_internal_schema_updated(self) -> None:
        """Make or upgrade yoyo's tables; only under the lock, and so never for a reader."""
        if self.migration_lock.is_held and internalmigrations.needs_upgrading(self):
            internalmigrations.upgrade(self)

    def to_apply(self, migrations_: Any) -> Any:
        """Return what is not applied, in order, each file read as psql reads it.

        The hooks that follow are refused here, before anything is touched.
        """
        found = super().to_apply(self._read(migrations_))
        if found:
            refusals.unfit_files((), found.post_apply, {}, (), "hook")
        return found

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
            if not former and self.migration_lock.is_held:
                self.execution.clean()  # as another role, or read-only, it could not let go
                self.migration_lock.release()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock for a block that changes something, after all that can be refused is."""
        with watched(self.connection), self.lock():
            try:
                if not self.migration_lock.is_held:
                    refusals.unfit_session(self.connection, self.home)
                    self.migration_lock.acquire()
                    self.ensure_internal_schema_updated()
                    self.execution.hold(self.migration_lock.holder_pid)
                yield
            except psycopg2.Error as error:
                check_interrupted(self.connection)
                lost = "The session was lost" if self.connection.closed else "Mend the cause"
                raise UserError(
                    f"{refusals.told(error)}\n{lost}; migrate status tells what was done."
                ) from error
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
        refusals.force(force)
        self.change(migrations_, "apply")

    def rollback_migrations(self, migrations_: Any, force: bool = False) -> None:
        """Roll migrations back in the order given; see `change`."""
        refusals.force(force)
        self.change(migrations_, "rollback")

    def mark_migrations(self, migrations_: Any) -> None:
        """Record migrations as applied, without running them."""
        self.change(migrations_, "mark")

    def unmark_migrations(self, migrations_: Any) -> None:
        """Record migrations as not applied, without rolling them back."""
        self.change(migrations_, "unmark")

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:
        """Apply one migration; a post-apply hook is not recorded."""
        refusals.force(force)
        self.change([migration], "apply" if mark else "hook")

    def rollback_one(self, migration: Any, force: bool = False) -> None:
        """Roll one migration back."""
        refusals.force(force)
        self.change([migration], "rollback")

    def change(
        self,
        chosen: Sequence[Any],
        operation: str,
        *,
        done: Callable[[Any, float], None] | None = None,
    ) -> None:
        """Apply, roll back, mark or unmark migrations under the lock, and record each.

        `done` is called with each and its seconds. Raises UserError at the first that is refused
        (nothing is touched) or fails (it leaves nothing; those before it stay).
        """
        chosen = list(chosen)
        if not chosen:
            # Nothing to do is no reason to say that all is well.
            self._refuse(self._files or (), (), self.records(), operation)
            return
        with self.changing():
            for migration in self._still_to_do(chosen, operation):
                check_interrupted(self.connection)
                started = time.perf_counter()
                self.run_one(migration, operation)
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
        self._refuse(files, wanted, records, operation)
        return wanted

    def _refuse(
        self, files: Sequence[Any], wanted: Sequence[Any], records: Any, operation: str
    ) -> None:
        begun = history.begun(self.connection, self.home)
        refusals.unfit_files(files, wanted, records, begun, operation)

    def run_one(self, migration: Any, operation: str) -> None:
        """Run one migration inside a block of `changing`; nothing is asked of history or files."""
        if migration.is_raw_sql() or operation in ("mark", "unmark"):
            self.execution.run(migration, operation)
        else:
            self._python(migration, operation)

    def _python(self, migration: Any, operation: str) -> None:
        """Run a migration that is a Python program, as yoyo does, but with its history."""
        direction = "apply" if operation == "hook" else operation
        with self.transaction() if migration.use_transactions else self.disable_transactions():
            migration.process_steps(self, direction)
            if operation != "hook":
                with self.connection.cursor() as cursor:
                    cursor.execute(self.execution.history_of(cursor, migration, operation, None))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the session."""
        self.connection.close()


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
    elif isinstance(error, psycopg2.Error):
        print(f"yoyo: the database says: {refusals.told(error)}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
