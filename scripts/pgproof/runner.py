"""What `migrate` does to a database: up, down, redo, status, history, each through yoyo.

    backend = runner.open_backend(database)
    runner.up(backend, migrations.read([Path("sql")]), to=None, done=print)

yoyo orders, locks and keeps history; this module decides which migrations, and turns what
goes wrong into words.
"""

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errorcodes
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import DatabaseURI
from yoyo.exceptions import LockTimeout
from yoyo.migrations import MigrationStep, default_migration_table

from pgproof import database, migrations
from pgproof.database import Database
from pgproof.errors import UserError


@dataclass(frozen=True)
class Done:
    """One migration that was applied or rolled back, and how long it took in seconds."""

    id: str
    operation: str
    seconds: float


@dataclass(frozen=True)
class State:
    """One migration as `status` shows it: applied, pending, or missing (applied, its file gone)."""

    id: str
    state: str
    applied_at: datetime | None


@dataclass(frozen=True)
class Entry:
    """One line of yoyo's log: when (UTC), what, which migration, by whom, from where."""

    at: datetime
    operation: str
    id: str
    user: str
    host: str


def open_backend(target: Database) -> Any:
    """Return yoyo's PostgreSQL backend on `target`, connected; its tables are not made yet."""
    # Connected once here, so that libpq's error is told as ours tell it.
    database.connect(target).close()
    arguments = {"application_name": "migrate", **target.parameters}
    if target.schema:
        arguments["schema"] = target.schema
    uri = DatabaseURI("postgresql", None, None, None, None, None, arguments)
    return PostgresqlBackend(uri, default_migration_table)


def up(backend: Any, files: Any, to: str | None, done: Callable[[Done], None]) -> list[Done]:
    """Apply what is pending, up to and with the id `to`, and call `done` after each.

    Returns what was applied. Raises UserError at the first that fails: it leaves nothing, and
    those before it stay applied.
    """
    with _locked(backend):
        pending = list(backend.to_apply(files))
        if to is not None:
            ids = [migration.id for migration in files]
            reach = set(ids[: ids.index(to) + 1])
            pending = [migration for migration in pending if migration.id in reach]
        return [_run(backend, migration, "apply", done) for migration in pending]


def down(
    backend: Any, files: Any, chosen: Sequence[str], done: Callable[[Done], None]
) -> list[Done]:
    """Roll back the migrations `chosen` (see `to_roll_back`), and call `done` after each.

    Raises UserError if history has moved since they were chosen, and at the first that fails.
    """
    with _locked(backend):
        rolling = list(backend.to_rollback(files))[: len(chosen)]
        if [migration.id for migration in rolling] != list(chosen):
            raise UserError(
                "another run has changed the history meanwhile\n"
                "Nothing was rolled back; look at migrate status and run again."
            )
        return [_run(backend, migration, "rollback", done) for migration in rolling]


def redo(backend: Any, files: Any, done: Callable[[Done], None]) -> list[Done]:
    """Roll the last applied migration back and apply it again, under one lock."""
    with _locked(backend):
        last = list(backend.to_rollback(files))[:1]
        return [_run(backend, m, operation, done) for m in last for operation in _REDO]


_REDO = ("rollback", "apply")


def to_roll_back(backend: Any, files: Any, to: str | None, steps: int | None) -> list[str]:
    """Return the ids to roll back, the last applied first: `steps` of them, or all after `to`.

    With neither, all of them. Raises UserError if `to` is not applied.
    """
    applied = {state.id for state in status(backend, files) if state.state == "applied"}
    ids = [migration.id for migration in reversed(files) if migration.id in applied]
    if to is not None:
        if to not in ids:
            raise UserError(f"{to} is not applied\nSee migrate status.", exit_code=2)
        return ids[: ids.index(to)]
    return ids if steps is None else ids[:steps]


def status(backend: Any, files: Any) -> list[State]:
    """Return the state of each migration, in order; those whose files are gone come last.

    Only reads: no lock, no table made.
    """
    rows = _read(
        backend,
        backend.migration_table,
        "SELECT migration_id, applied_at_utc FROM {} ORDER BY applied_at_utc, migration_id",
    )
    applied = {id_: at.replace(tzinfo=UTC) for id_, at in rows}
    states = [
        State(m.id, "applied" if m.id in applied else "pending", applied.pop(m.id, None))
        for m in files
    ]
    return states + [State(id_, "missing", at) for id_, at in applied.items()]


def history(backend: Any) -> list[Entry]:
    """Return yoyo's log, the oldest entry first. Only reads."""
    rows = _read(
        backend,
        backend.log_table,
        "SELECT created_at_utc, operation, migration_id, username, hostname FROM {} "
        "ORDER BY created_at_utc, id",
    )
    return [Entry(at.replace(tzinfo=UTC), *rest) for at, *rest in rows]


def _read(backend: Any, table: str, query: str) -> list[tuple[Any, ...]]:
    """Read one of yoyo's tables; a database without them has no history."""
    name = backend.quote_identifier(table)
    # Not information_schema, which yoyo asks: it hides what the role may not read.
    if backend.execute("SELECT to_regclass(:name)", {"name": name}).fetchone() == (None,):
        return []
    try:
        rows: list[tuple[Any, ...]] = backend.execute(query.format(name)).fetchall()
    except psycopg2.errors.InsufficientPrivilege as error:
        raise UserError(
            f"{error.diag.message_primary}\n"
            f"As its owner, run: GRANT SELECT ON {table} TO {backend.connection.info.user}"
        ) from None
    return rows


class _locked:
    """yoyo's lock, taken after what it would report as a held lock has been ruled out."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    def __enter__(self) -> None:
        database.refuse_read_only(self.backend.connection, self.backend.schema)
        self.backend.init_database()
        self.lock = self.backend.lock()
        try:
            self.lock.__enter__()
        except LockTimeout as error:
            raise UserError(
                f"{error}\nWait for that run to end; if it is dead, run: yoyo break-lock"
            ) from None

    def __exit__(self, *error: Any) -> None:
        self.lock.__exit__(*error)


def _run(backend: Any, migration: Any, operation: str, done: Callable[[Done], None]) -> Done:
    """Apply or roll back one migration, timed."""
    started = time.perf_counter()
    run = backend.apply_one if operation == "apply" else backend.rollback_one
    try:
        # yoyo prints the rows of a SELECT in a file; they are no result of ours.
        with redirect_stdout(sys.stderr):
            run(migration)
    except psycopg2.Error as error:
        user = backend.connection.info.user
        raise _failed(error, migration, operation, user) from error
    result = Done(migration.id, operation, time.perf_counter() - started)
    done(result)
    return result


def _failed(error: psycopg2.Error, migration: Any, operation: str, user: str) -> UserError:
    """Say which file and line failed, what the server said, and what is left of it."""
    forward = operation == "apply"
    path = Path(migration.path) if forward else migrations.rollback_path(migration)
    place = migrations.shown(path)
    step = _step_of(error)
    if step is not None:
        # yoyo pairs forward and rollback statements from opposite ends.
        halves = [s.step._apply if forward else s.step._rollback for s in migration.steps]
        statements = [half for half in (halves if forward else reversed(halves)) if half]
        number = step if forward else len(statements) - 1 - step
        position = error.diag.statement_position
        place += f", line {migrations.line_of(path, number, int(position) if position else None)}"
    said = error.diag.message_primary or " ".join(str(error).split())
    for more in (error.diag.message_detail, error.diag.message_hint):
        said += f" ({more})" if more else ""
    if error.pgcode == psycopg2.errorcodes.INSUFFICIENT_PRIVILEGE:
        said += f" (the migrating role is {user})"
    kept = (
        f"Nothing of {migration.id} was kept; mend the file or its cause, and run again."
        if migration.use_transactions
        else f"{migration.id} is not transactional: what ran before that line stays."
    )
    return UserError(f"{place}: {said}\n{kept}")


def _step_of(error: BaseException) -> int | None:
    """Return the number of the yoyo step that raised `error`: yoyo tells it to nobody."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        step = frame.f_locals.get("self")
        if isinstance(step, MigrationStep):
            return int(step.id)
    return None
