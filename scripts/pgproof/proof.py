"""Shows of each migration that its rollback restores the catalog and keeps the rows.

    with scratch.databases() as made:
        for proof in prove(made, files, rows=Path("tests/rows"), parked=None):
            print(proof.id, proof.falls_short or "holds")

One database grows from migration to migration, and is never rolled back. After each a copy of it is
taken, and there the migration is rolled back and applied again: what one rollback spoils, the next
migration does not see.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2

from pgproof import catalog, migrations, refusals, rows, runner, statements, trace
from pgproof.backend import PgproofBackend
from pgproof.database import Database
from pgproof.errors import UserError
from pgproof.rows import Contents, Loss
from pgproof.scratch import Databases

# A lock is waited for only where our own tracer stands in the way.
SETTINGS = {"lock_timeout": "5s"}
_ENUM = re.compile(r"[-+]type (\S+): enum \((.*)\)")
_TELLING = ("drop cascades to", "does not exist, skipping")


@dataclass(frozen=True)
class Lock:
    """A lock on a relation that was there before: its strongest mode, and what else happens to it.

    `blocks` says who has to wait; `rewrites` that the relation is written anew, `scans` that it is
    read as a whole, `builds` names the indexes built on it.
    """

    object: str
    mode: str
    blocks: str
    rewrites: bool = False
    scans: bool = False
    builds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What was seen of one migration.

    `catalog` compares the schema before it with the one after its rollback ("identical", "column
    order" or "differs"), `rollback` says how that ended ("ok", "failed", "refused", "missing" or
    "empty"), `rows` what became of them ("kept", "lost", "not shown"); None where it was not tried.
    `grade` is what its header promises, and `grade_held` whether that is true; so `locks_held`.
    `carried` counts the rows that were there when it was rolled back. `diff` is a unified diff of
    catalogs, `lost` and `notes` are in words. `falls_short` names all that is not as it should be;
    a migration holds if there is nothing.
    """

    id: str
    applied: bool = False
    catalog: str | None = None
    rollback: str | None = None
    rows: str | None = None
    grade: str | None = None
    grade_held: bool | None = None
    locks: tuple[Lock, ...] = ()
    locks_held: bool | None = None
    carried: int = 0
    diff: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    not_shown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str | None = None
    seconds: float = 0.0
    falls_short: tuple[str, ...] = ()


@dataclass(frozen=True)
class _State:
    """A database at one moment: its catalog and rows, without and with the parking schema."""

    catalog: list[str] = field(default_factory=list)
    contents: Contents = field(default_factory=Contents)
    parked: tuple[list[str], Contents] = field(default_factory=lambda: ([], Contents()))


@dataclass(frozen=True)
class _Trial:
    """How a rollback and a second apply on a copy went."""

    rollback: str
    error: str | None = None
    after: _State | None = None  # the rollback
    again: _State | None = None  # the second apply
    notices: tuple[str, ...] = ()


def prove(
    made: Databases,
    files: Sequence[Any],
    *,
    samples: Path,
    parked: str | None,
    wanted: Collection[str] = (),
    begun: Callable[[str], None] = lambda _: None,
) -> Iterator[Proof]:
    """Yield the proof of each migration of `files`, in order, or of those that are `wanted`.

    `samples` is the folder of sample rows, `parked` the schema where rollbacks keep rows; `begun`
    is called with the id of each before it is tried. A migration that cannot be applied is
    reported, and the rest goes on without it. Raises UserError where the server fails, and for
    sample rows that are not UTF-8.
    """
    head = made.create()
    with _opened(made, head) as backend:
        before = _state(backend, parked)
    for migration in files:
        begun(migration.id)
        started = time.perf_counter()
        is_wanted = not wanted or migration.id in wanted
        sample = _text(samples / f"{migration.id}.sql")
        proof = Proof(migration.id, grade=migrations.promise(migration).grade)
        # What fails outside a transaction leaves something behind.
        spare = None if migration.use_transactions else made.copy(head)
        unfit = None
        try:
            with _opened(made, head) as backend:
                effects = _apply(backend, migration)
                first = None
                if sample:
                    first = rows.read(backend.connection)
                    unfit = _put_in(made.parameters(head), *sample)
                after = _state(backend, parked)
                first = first or after.contents
        except UserError as error:
            if spare:
                made.drop(head)
                head = spare
            if is_wanted:
                told = (f"it cannot be applied: {error}",)
                seconds = time.perf_counter() - started
                yield replace(proof, error=str(error), seconds=seconds, falls_short=told)
            continue
        if spare:
            made.drop(spare)
        if is_wanted:
            trial = _try(made, head, migration, parked)
            own = rows.added(before.contents, first), rows.touched(first, after.contents)
            proof = _judged(proof, migration, before, own, after, trial)
            proof = _with_locks(proof, migration, effects)
            if unfit:
                proof = replace(proof, falls_short=(unfit, *proof.falls_short))
            yield replace(proof, seconds=time.perf_counter() - started)
        before = after
    made.drop(head)


def held_to(proof: Proof, *, order: bool, rows_shown: bool) -> Proof:
    """Return the proof held to more: the order of columns too, and that rows were shown."""
    more: list[str] = []
    if order and proof.catalog == "column order":
        more.append("the rollback leaves the columns in another order")
    if rows_shown and proof.rows == "not shown":
        more.append(f"no sample rows show it: {', '.join(proof.not_shown)}")
    return replace(proof, falls_short=(*proof.falls_short, *more))


def _opened(made: Databases, name: str) -> PgproofBackend:
    return runner.open_backend(Database(made.parameters(name), "scratch"), SETTINGS, {})


def _state(backend: PgproofBackend, parked: str | None) -> _State:
    session = backend.connection
    found = rows.read(session)
    text = catalog.read(session, parked=parked)
    if parked is None:
        return _State(text, found)
    whole = set(catalog.read(session)) - set(text) if _exists(session, parked) else ()
    return _State(
        text,
        found.in_schema(parked, is_inside=False),
        (sorted(whole), found.in_schema(parked)),
    )


def _exists(session: Any, schema: str) -> bool:
    with session.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname = %s", [schema])
        return bool(cursor.fetchone() == (1,))


def _apply(backend: PgproofBackend, migration: Any) -> list[trace.Effect]:
    with backend.changing(), trace.traced(backend) as effects:
        if migration.is_raw_sql():
            refusals.unfit_statements(migration)
        backend.run_one(migration, "apply")
    return effects


def _text(path: Path) -> tuple[Path, str] | None:
    """Return a file's path and text, or None where there is none."""
    try:
        return path, statements.decode(path.read_bytes(), path)
    except FileNotFoundError:
        return None


def _put_in(parameters: dict[str, Any], path: Path, text: str) -> str | None:
    """Put the sample rows of a file into a database, all or none; return why they do not fit."""
    with closing(psycopg2.connect(**parameters)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(text)
            connection.commit()
        except psycopg2.Error as error:
            return f"its sample rows fail: {migrations.shown(path)}: {refusals.told(error)}"
    return None


def _try(made: Databases, head: str, migration: Any, parked: str | None) -> _Trial:
    """Roll a migration back on a copy of the database, and apply it again."""
    if migration.is_raw_sql():
        if migration.checksums["rollback"] == "none":
            return _Trial("missing")
        if not migration.rollback:
            return _Trial("empty")
    name = made.copy(head)
    notices: list[str] = []
    outcome, after = "failed", None
    try:
        with _opened(made, name) as backend:
            backend.notify = notices.append
            try:
                with backend.changing():
                    backend.run_one(migration, "rollback")
                outcome, after = "ok", _state(backend, parked)
                with backend.changing():
                    backend.run_one(migration, "apply")
                return _Trial("ok", None, after, _state(backend, parked), tuple(notices))
            except UserError as error:
                if outcome == "failed":
                    outcome = "refused" if _is_refusal(error) else "failed"
                    after = None if backend.connection.closed else _state(backend, parked)
                return _Trial(outcome, str(error), after, None, tuple(notices))
    finally:
        made.drop(name)


def _is_refusal(error: UserError) -> bool:
    """Whether a rollback raised the error itself, in a DO block, and not something that it met."""
    cause = error.__cause__
    context = cause.diag.context if isinstance(cause, psycopg2.Error) else None
    return bool(
        re.fullmatch(r"PL/pgSQL function inline_code_block line \d+ at RAISE", context or "")
    )


# Judging ---------------------------------------------------------------------------------


def _judged(
    proof: Proof,
    migration: Any,
    before: _State,
    own: tuple[Contents, frozenset[rows.Touch]],
    after: _State,
    trial: _Trial,
) -> Proof:
    """Say of a trial what was restored, what was lost, and whether the header told the truth.

    `own` are the rows that the migration makes by itself, and the values that its sample rows
    changed: these are looked at when it is applied again, for a rollback may have to change them.
    """
    made, changed = own
    is_sql = migration.is_raw_sql()  # a Python migration is one file
    path = migrations.shown(migrations.rollback_path(migration) if is_sql else migration.path)
    short: list[str] = []
    diff: list[str] = []
    losses: list[Loss] = []
    restored = trial.after if trial.rollback == "ok" and trial.after else after
    same = _compared(before.catalog, restored.catalog)
    if same != "identical":
        names = f"before {proof.id}", f"after {path}"
        diff = catalog.difference(before.catalog, restored.catalog, *names)
    if trial.rollback == "ok" and trial.after:
        if same == "differs":
            short.append(f"the rollback leaves another schema: restore these in {path}")
        losses = rows.lost(before.contents, trial.after.contents, but=changed)
        of_before = _of(after.contents, before.contents)
        losses += [
            loss
            for loss in rows.missing(of_before, trial.after.contents, made)
            if loss.columns - {name for known in losses for name in known.columns}
        ]
        if trial.again is None:
            short.append(f"applying it again fails: {trial.error}")
        else:
            losses += rows.lost(after.contents, trial.again.contents, made=made)
            if _compared(after.catalog, trial.again.catalog) == "differs":
                names = f"after {proof.id}", f"after {proof.id}, rolled back and applied again"
                diff += catalog.difference(after.catalog, trial.again.catalog, *names)
                short.append("applying it again makes another schema")
            if trial.again.parked != after.parked:
                short.append("applying it again leaves rows in the parking schema")
    elif trial.rollback == "refused" and trial.after:
        losses = rows.lost(after.contents, trial.after.contents)
        if trial.after != after:
            short.append("the rollback refuses, and changes something all the same")
    elif trial.rollback == "failed":
        short.append(f"the rollback fails: {trial.error}")
    else:
        what = "there is no rollback file" if trial.rollback == "missing" else "it has no statement"
        short.append(f"nothing is rolled back: {what}: {path}")
    lost = _together(losses)
    unshown = _unshown(before.contents, after.contents)
    promise = migrations.promise(migration)
    unkept = _unkept(promise, trial, losses, unshown)
    if promise.grade is None and losses:
        short.append("rows are lost")
    if unkept:
        short.append(unkept)
    held = None if promise.grade is None else not (unkept or short)
    return replace(
        proof,
        applied=True,
        catalog=same,
        rollback=trial.rollback,
        rows="lost" if losses else "not shown" if unshown else "kept",
        grade_held=held,
        carried=sum(table.rows.total() for table in after.contents.tables.values()),
        diff=tuple(diff),
        lost=lost,
        not_shown=unshown,
        notes=_notes(migration, diff, trial.notices),
        error=trial.error,
        falls_short=tuple(short),
    )


def _compared(one: list[str], other: list[str]) -> str:
    if one == other:
        return "identical"
    return "column order" if catalog.same_but_for_column_order(one, other) else "differs"


def _of(contents: Contents, tables: Contents) -> Contents:
    return Contents({n: t for n, t in contents.tables.items() if n in tables.tables})


def _together(losses: Sequence[Loss]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(loss.told for loss in losses))


def _unshown(before: Contents, after: Contents) -> tuple[str, ...]:
    """Return the tables and columns that come or go with the migration, and hold no value."""
    if after.tables and not any(table.rows for table in after.tables.values()):
        return ("no table has a row",)
    found: list[str] = []
    for one, other in ((before, after), (after, before)):
        for name, table in one.tables.items():
            known = other.tables[name].columns if name in other.tables else frozenset[str]()
            if name not in other.tables and not table.rows:
                found.append(name)
            else:
                found += [
                    f"{name}.{column}" for column in sorted(table.columns - known - table.filled)
                ]
    return tuple(found)


def _unkept(
    promise: migrations.Promise,
    trial: _Trial,
    losses: Sequence[Loss],
    unshown: Collection[str],
) -> str | None:
    """Return why the grade of the header is not true, or None."""
    gone = {name for loss in losses for name in loss.columns}
    if promise.grade == "irreversible":
        if trial.rollback == "refused":
            return None
        return "its grade is irreversible, but the rollback does not raise"
    if promise.grade is None:
        return None
    if trial.rollback == "refused":
        return f"its grade is {promise.grade}, but the rollback raises: {trial.error}"
    allowed = {
        name for name in gone if name in promise.lossy or name.rpartition(".")[0] in promise.lossy
    }
    extra = sorted(gone - allowed)
    others = [loss.told for loss in losses if not loss.columns]
    if extra or others:
        return f"its grade is {promise.grade}, but this is lost: {', '.join(extra + others)}"
    if promise.grade == "lossy" and trial.rollback == "ok" and not gone and not unshown:
        return "its grade is lossy, but nothing is lost: write lossless"
    return None


def _notes(migration: Any, diff: Sequence[str], notices: Sequence[str]) -> tuple[str, ...]:
    """Return what explains a difference: enum values, CASCADE, and what was skipped."""
    found: list[str] = []
    labels = {sign: dict[str, str]() for sign in "-+"}
    for line in diff:
        if match := _ENUM.match(line):
            labels[line[0]][match[1]] = match[2]
    for name in labels["-"].keys() & labels["+"].keys():
        found.append(
            f"PostgreSQL cannot take a value of the enum {name} away: make the type anew, or keep "
            "such values in text with a CHECK"
        )
    for statement in getattr(migration, "rollback", ()):
        if re.search(r"\bDROP\b.*\bCASCADE$", statement.words):
            found.append(f"line {statement.line} of the rollback drops CASCADE, whatever depends")
    found += [
        " ".join(notice.split())
        for notice in notices
        if any(telling in notice for telling in _TELLING)
    ]
    return tuple(dict.fromkeys(found))


def _with_locks(proof: Proof, migration: Any, effects: Sequence[trace.Effect]) -> Proof:
    """Add what the statements locked, and whether the header's `Locks:` line is true."""
    locks = locked(effects)
    promise = migrations.promise(migration)
    if promise.locks is None:
        return replace(proof, locks=locks)
    short: list[str] = []
    seen = {lock.object: lock for lock in locks}
    for name, lock in seen.items():
        said = promise.locks.get(name)
        rank = trace.MODES.index(lock.mode)
        if rank >= trace.WEIGHTY and (said is None or trace.MODES.index(said) < rank):
            short.append(f"it takes {lock.mode} on {name}; its Locks: line says {said or 'none'}")
        if lock.rewrites and name not in promise.rewrites:
            short.append(f"it rewrites {name}; its Locks: line does not say so")
    for name, said in promise.locks.items():
        mode = seen[name].mode if name in seen else None
        if trace.MODES.index(said) >= trace.WEIGHTY and (
            mode is None or trace.MODES.index(mode) < trace.MODES.index(said)
        ):
            short.append(f"its Locks: line says {said} on {name}; it takes {mode or 'none'}")
    return replace(
        proof, locks=locks, locks_held=not short, falls_short=(*proof.falls_short, *short)
    )


def locked(effects: Sequence[trace.Effect]) -> tuple[Lock, ...]:
    """Return one entry for each relation that the statements lock, rewrite, read or build on."""
    modes = trace.strongest(effects)
    built: dict[str, list[str]] = {}
    for effect in effects:
        for index, table in effect.builds:
            built.setdefault(table, []).append(index)
    rewritten = {name for effect in effects for name in effect.rewrites}
    scanned = {name for effect in effects for name in effect.scans}
    return tuple(
        Lock(
            name,
            mode,
            trace.BLOCKS[mode],
            name in rewritten,
            name in scanned,
            tuple(dict.fromkeys(built.get(name, ()))),
        )
        for name, mode in modes.items()
    )
