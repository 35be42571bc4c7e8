"""What `migrate` does to a database: up, down, redo, status, history, repair, unlock.

    backend = runner.open_backend(target)
    runner.up(backend, migrations.read([Path("sql")]), to=None, done=print)

yoyo orders and keeps history, backend.py locks and runs; this module decides which migrations.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from pgproof import history
from pgproof.backend import PgproofBackend
from pgproof.database import Database
from pgproof.errors import UserError
from pgproof.lock import LockHeld


@dataclass(frozen=True)
class Done:
    """One migration that was applied or rolled back, and how long it took in seconds."""

    id: str
    operation: str
    seconds: float


def open_backend(
    target: Database, defaults: Mapping[str, str], options: Mapping[str, str]
) -> PgproofBackend:
    """Return the backend on `target`, connected.

    `defaults` are lock_timeout, lock_retries and wait as yoyo.ini gives them, `options` as the
    command line does; between the two stand those of the URL.
    """
    arguments = {**defaults, **target.settings, **options, **target.parameters}
    uri = DatabaseURI("postgresql+pgproof", None, None, None, None, None, arguments)
    return PgproofBackend(uri, default_migration_table)


def up(
    backend: PgproofBackend,
    files: Any,
    to: str | None,
    done: Callable[[Done], None],
    check: Callable[[PgproofBackend, Any], None] | None = None,
) -> list[Done]:
    """Apply what is pending, up to and with the id `to`, and call `done` after each.

    `check` may refuse it, under the lock. Returns what was applied. Raises UserError at the first
    that is refused or fails: it leaves nothing, and those before it stay applied.
    """
    with backend.changing():
        pending = backend.to_apply(files)
        if to is not None:
            ids = [migration.id for migration in files]
            reach = set(ids[: ids.index(to) + 1])
            pending = pending.filter(lambda migration: migration.id in reach)
        if check is not None:
            check(backend, pending)
        made = _change(backend, list(pending), "apply", done)
        if made:
            backend.run_post_apply(pending)
        return made


def down(
    backend: PgproofBackend, files: Any, chosen: Sequence[str], done: Callable[[Done], None]
) -> list[Done]:
    """Roll back the migrations `chosen` (see `to_roll_back`), and call `done` after each.

    Raises UserError if history has moved since they were chosen, and at the first that fails.
    """
    if not chosen:
        backend.change((), "rollback")
        with suppress(LockHeld):
            backend.migration_lock.remove_dead()
        return []
    with backend.changing():
        rolling = list(backend.to_rollback(files))[: len(chosen)]
        if [migration.id for migration in rolling] != list(chosen):
            raise UserError(
                "another run has changed the history meanwhile\n"
                "Nothing was rolled back; look at migrate status and run again."
            )
        return _change(backend, rolling, "rollback", done)


def redo(backend: PgproofBackend, files: Any, done: Callable[[Done], None]) -> list[Done]:
    """Roll the last applied migration back and apply it again, under one lock."""
    with backend.changing():
        last = list(backend.to_rollback(files))[:1]
        return [
            made
            for operation in ("rollback", "apply")
            for made in _change(backend, last, operation, done)
        ]


def to_roll_back(
    backend: PgproofBackend, files: Any, to: str | None, steps: int | None
) -> list[str]:
    """Return the ids to roll back, the last applied first: `steps` of them, or all after `to`.

    With neither, all of them. Raises UserError if `to` is not applied.
    """
    ids = [migration.id for migration in backend.to_rollback(files)]
    if to is not None:
        if to not in ids:
            raise UserError(f"{to} is not applied\nSee migrate status.", exit_code=2)
        return ids[: ids.index(to)]
    return ids if steps is None else ids[:steps]


def status(backend: PgproofBackend, files: Any) -> list[history.State]:
    """Return the state of each migration, in order; those whose files are gone come last.

    Only reads: no lock, no table made.
    """
    begun = history.begun(backend.connection, backend.home)
    return history.states(files, backend.records(), begun)


def log(backend: PgproofBackend) -> list[history.Entry]:
    """Return yoyo's log, the oldest entry first. Only reads."""
    return history.log(backend.connection, backend.home)


def repair(backend: PgproofBackend, files: Any, wanted: Sequence[str]) -> list[history.Record]:
    """Adopt the edited files of the migrations `wanted` (all that are edited, if empty).

    A line of the log records who did so, and when. Returns the records of before. The files are
    adopted as they are: nothing is run.
    """
    with backend.changing():
        records = backend.records()
        edited = {s.id for s in history.states(files, records, set()) if s.state == "edited"}
        if strange := [id_ for id_ in wanted if id_ not in edited]:
            raise UserError(f"{strange[0]} was not edited\nSee migrate status.", exit_code=2)
        chosen = [m for m in files if m.id in (set(wanted) or edited)]
        for migration in chosen:
            backend.execution.note(migration, "repair")
        return [records[migration.id] for migration in chosen]


def _change(
    backend: PgproofBackend, chosen: Sequence[Any], operation: str, done: Callable[[Done], None]
) -> list[Done]:
    made: list[Done] = []

    def note(migration: Any, seconds: float) -> None:
        made.append(Done(migration.id, operation, seconds))
        done(made[-1])

    backend.change(chosen, operation, done=note)
    return made
