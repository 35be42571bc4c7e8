"""A database that has the schema already: compared with what the files produce, then recorded.

    migrate baseline --to 0001

The files are applied to a scratch database; only where its catalog equals
the live one's are they recorded as applied, without being run.
"""

from typing import Any

from pgproof import catalog, runner, scratch
from pgproof.backend import PgproofBackend
from pgproof.database import Database
from pgproof.errors import UserError


def difference(backend: PgproofBackend, files: Any, to: str, parked: str | None) -> list[str]:
    """Return the unified diff from what the files up to `to` produce to the live catalog.

    Raises UserError if one of them is recorded as applied already.
    """
    chosen = _up_to(files, to)
    records = backend.records()
    if known := [m.id for m in chosen if m.id in records]:
        raise UserError(f"{known[0]} is recorded as applied\nSee migrate status.", exit_code=2)
    major = backend.connection.server_version // 10000
    with scratch.databases(major=major) as made:
        target = Database(made.parameters(made.create()), "a scratch server")
        with runner.open_backend(target, {}, {}) as replayed:
            replayed.change(chosen, "apply")
            produced = catalog.read(replayed.connection, parked=parked)
    live = catalog.read(backend.connection, parked=parked)
    if catalog.same_but_for_column_order(produced, live):
        return []
    return catalog.difference(produced, live, f"the files up to {to}", "the live database")


def record(backend: PgproofBackend, files: Any, to: str) -> list[str]:
    """Record the migrations up to `to` as applied, without running them; return their ids."""
    chosen = _up_to(files, to)
    backend.change(chosen, "mark")
    return [migration.id for migration in chosen]


def _up_to(files: Any, to: str) -> list[Any]:
    ids = [migration.id for migration in files]
    return list(files)[: ids.index(to) + 1]
