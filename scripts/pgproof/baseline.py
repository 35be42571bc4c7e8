"""A database that has the schema already: compared with what the files produce, then recorded.

    migrate baseline --to 0001

The files are applied to a scratch database; only where nothing is drift between its catalog and
the live one's are they recorded as applied, without being run.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pgproof import history, plan, rehearsal
from pgproof.backend import PgproofBackend
from pgproof.errors import UserError


def difference(
    backend: PgproofBackend, files: Any, to: str, parked: str | None, partitioned: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the unified diff from what the files up to `to` produce to the live catalog.

    Then notes of what makes the comparison unsure; it is that of `plan.make`. Raises UserError if
    one of the files is recorded as applied already, or cannot be applied.
    """
    chosen = _up_to(files, to)
    live = plan.look(backend, parked)
    if known := [m.id for m in chosen if m.id in live.records]:
        raise UserError(f"{known[0]} is recorded as applied\nSee migrate status.", exit_code=2)
    nothing = (datetime.now(UTC), None, None, None, None, None)
    claimed = replace(live, records={m.id: history.Record(m.id, *nothing) for m in chosen})
    with rehearsal.staged(backend, files, claimed, parked, lambda _: None, None) as stage:
        for note in stage.notes:
            id_, fails, error = note.partition(" is applied, but fails in scratch: ")
            if fails:
                raise UserError(
                    f"{id_} fails in a scratch database: {error}\n"
                    "Mend the file, or name the one before it; nothing was recorded."
                )
        found, _ = plan.compared(stage.lines, live.lines, partitioned, f"the files up to {to}")
    return found, stage.notes


def record(backend: PgproofBackend, files: Any, to: str) -> list[str]:
    """Record the migrations up to `to` as applied, without running them; return their ids."""
    chosen = _up_to(files, to)
    backend.change(chosen, "mark")
    return [migration.id for migration in chosen]


def _up_to(files: Any, to: str) -> list[Any]:
    ids = [migration.id for migration in files]
    return list(files)[: ids.index(to) + 1]
