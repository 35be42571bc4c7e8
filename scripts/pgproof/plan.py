"""The dry run: what the next change would do to a live database, tried on one made of the files.

    made = plan.make(backend, files, "apply", parked=None)
    print(made.drift, [step.effects for step in made.steps])

Of the live database the catalog, yoyo's history and a few sizes are read, and nothing is locked or
written. A throw-away database gets the applied files; what it then lacks or has is the drift, and
there the pending files are tried, one after the other.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgproof import __version__, catalog, history, refusals, rehearsal, runner
from pgproof.backend import PgproofBackend
from pgproof.errors import UserError
from pgproof.rehearsal import Live, Step

FORMAT = 1  # of the file that `plan --out` writes

_LIVE = """
    SELECT current_database()::text, split_part(current_setting('server_version'), ' ', 1),
        coalesce((
            SELECT pg_get_userbyid(relowner)
            FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
            WHERE nspname = %s AND relname = '_yoyo_migration'
        ), current_user)::text,
        ARRAY (SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1)
"""


@dataclass(frozen=True)
class Plan:
    """What is to come: see the module; `drift` is a unified diff, `refusal` what `up` would say.

    `notes` tell what makes the comparison unsure. `operation` is apply, rollback, or nothing.
    """

    database: str
    version: str
    scratch_version: str
    owner: str
    parked: str | None
    applied: tuple[str, ...]
    fingerprint: str
    operation: str | None
    drift: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether this cannot be done as planned."""
        return self.refusal is not None or any(step.error for step in self.steps)


def make(
    backend: PgproofBackend,
    files: Any,
    operation: str | None,
    *,
    parked: str | None,
    partitioned: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
    on_wait: Callable[[Any, float], None] | None = None,
) -> Plan:
    """Return what `operation` would do: "apply" all that is pending, "rollback" the last, or None.

    With None only the drift is looked for, of which the partitions of the tables `partitioned` are
    no part. `tell` hears what is being done, `on_wait` is called
    while a statement takes long. Raises UserError where no scratch database can be made.
    """
    tell("reading the live database")
    live = look(backend, parked)
    chosen = _chosen(backend, files, live, operation)
    refusal = _refusal(backend, files, chosen, live, operation)
    notes, steps = list(_doubts(history.states(files, live.records, live.begun))), list[Step]()
    with rehearsal.staged(backend, files, live, parked, tell, on_wait) as stage:
        drift, is_reordered = compared(stage.lines, live.lines, partitioned, "the applied files")
        if is_reordered:
            notes.append("columns stand in another order than the files would put them")
        for migration, way in chosen:
            tell(f"trying {migration.id}")
            steps.append(stage.step(migration, way))
    return Plan(
        live.name,
        live.version,
        stage.version,
        live.owner,
        parked,
        tuple(live.records),
        fingerprint(live.name, live.records, live.lines),
        operation,
        tuple(drift),
        (*notes, *stage.notes),
        refusal,
        tuple(steps),
    )


def compared(
    made: Sequence[str], found: Sequence[str], partitioned: Sequence[str], name: str
) -> tuple[list[str], bool]:
    """Return the unified diff from the catalog that files (`name`) make to that of a live database.

    The partitions of the tables `partitioned` are no difference, nor is the order of columns,
    of which the second value tells, nor who may enter the database, unless a file says so.
    """
    made, found = (catalog.without_partitions(lines, partitioned) for lines in (made, found))
    found = catalog.without_access(found, made)
    if catalog.same_but_for_column_order(made, found):
        return [], made != found
    return catalog.difference(made, found, name, "the live database"), False


def fingerprint(name: str, records: Mapping[str, history.Record], lines: Sequence[str]) -> str:
    """Return the SHA-256 of a database's name, what is applied there, and its catalog."""
    applied = sorted((r.id, r.forward, r.rollback) for r in records.values())
    return hashlib.sha256(json.dumps([name, applied, list(lines)]).encode()).hexdigest()


# The live database ---------------------------------------------------------------------------


def look(backend: PgproofBackend, parked: str | None) -> Live:
    """Read the live database; UserError while another run is changing it."""
    with backend.connection.cursor() as cursor:
        cursor.execute(_LIVE, [backend.home])
        ((name, version, owner, roles),) = cursor.fetchall()
    records = backend.records()
    begun = history.begun(backend.connection, backend.home)
    lines = catalog.read(backend.connection, parked=parked, owner=owner)
    if backend.records() != records:
        raise UserError("another run is changing this database\nWait for its end, and run again.")
    return Live(name, version, owner, roles, records, begun, lines)


def _doubts(states: Sequence[history.State]) -> Iterator[str]:
    """Say of which files it is not sure that they are what was applied."""
    for state in states:
        if state.edited:
            halves = " and ".join(state.edited)
            yield (
                f"{state.id} was edited since it was applied (its {halves} file): "
                "it is compared as it is now"
            )
        elif state.state == "missing":
            yield f"{state.id} is applied, but its file is gone: what it made shows as drift"
        elif state.state == "interrupted":
            yield f"{state.id} was interrupted half-way: what it made may show as drift"
    if unchecked := sum(s.applied_at is not None and not s.checked for s in states):
        yield f"{unchecked} applied without a checksum: whether edited since is not known"


def _chosen(
    backend: PgproofBackend, files: Any, live: Live, operation: str | None
) -> list[tuple[Any, str]]:
    if operation == "rollback":
        last = runner.to_roll_back(backend, files, None, 1)
        return [(migration, operation) for migration in files if migration.id in last]
    if operation is None:
        return []
    pending = [migration for migration in files if migration.id not in live.records]
    hooks = files.post_apply if pending else ()
    return [(m, operation) for m in pending] + [(m, "hook") for m in hooks]


def _refusal(
    backend: PgproofBackend,
    files: Any,
    chosen: Sequence[tuple[Any, str]],
    live: Live,
    operation: str | None,
) -> str | None:
    """Return what `up` or `down` would refuse before it begins."""
    if operation is not None:
        wanted = [migration for migration, way in chosen if way == operation]
        try:
            refusals.unfit_files(files, wanted, live.records, live.begun, operation)
        except UserError as error:
            return str(error)
    return None


# `up --plan` ---------------------------------------------------------------------------------


def load(path: Path) -> dict[str, Any]:
    """Return what `plan --out` wrote; UserError for anything else."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        fits = told["format"] == FORMAT and told["operation"] == "apply"
        fits &= told.keys() >= {"pgproof", "parked"}
        fits &= told["database"].keys() >= {"name", "applied", "owner", "fingerprint"}
        fits &= all(step.keys() >= {"id", "checksums"} for step in told["migrations"])
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}\nWrite it: migrate plan --out {path}", 2
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise UserError(f"{path} is no plan of an up\nWrite it: migrate plan --out {path}", 2)
    if told["pgproof"] != __version__:
        raise UserError(
            f"{path} is of pgproof {told['pgproof']}, and this is {__version__}\nPlan again.", 2
        )
    return dict(told)


def check(planned: Mapping[str, Any], backend: PgproofBackend, chosen: Any) -> None:
    """Refuse to apply `chosen` unless it is what was planned, on the database as it was then.

    To be called under the migration lock.
    """
    was = planned["database"]
    with backend.connection.cursor() as cursor:
        cursor.execute("SELECT current_database()::text")
        ((name,),) = cursor.fetchall()
    if name != was["name"]:
        raise _moved(f"the plan is for database {was['name']}, and this is {name}")
    records = backend.records()
    if changed := sorted(set(records) ^ set(was["applied"])):
        done = "applied" if changed[0] in records else "rolled back"
        raise _moved(f"{changed[0]} was {done} since the plan was made")
    steps = {step["id"]: step["checksums"] for step in planned["migrations"]}
    found = {m.id: rehearsal.checksums(m) for m in (*chosen, *(chosen and chosen.post_apply))}
    for id_ in [*found, *steps]:
        if id_ not in steps:
            raise _moved(f"{id_} is pending, and is not in the plan")
        if id_ not in found:
            raise _moved(f"{id_} is in the plan, and its file is gone")
        if found[id_] != steps[id_]:
            raise _moved(f"{id_} was edited since the plan was made")
    lines = catalog.read(backend.connection, parked=planned["parked"], owner=was["owner"])
    if fingerprint(name, records, lines) != was["fingerprint"]:
        raise _moved("the database has changed since the plan was made")


def _moved(what: str) -> UserError:
    return UserError(f"{what}\nNothing was applied; plan again, and read it.")
