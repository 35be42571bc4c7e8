"""The applied files in a throw-away database, and what each file does that is tried there next.

    with rehearsal.rebuilt(backend, applied, owner="app", roles=[]) as stage:
        print(stage.lines, stage.step(migration, "apply").effects)

What a file touches is asked of the throw-away database, how big that is of the live one.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

from pgproof import catalog, history, migrations, refusals, runner, scratch, trace
from pgproof.backend import PgproofBackend
from pgproof.database import Database
from pgproof.errors import UserError
from pgproof.statements import decode

# A lock is waited for only where our own tracer stands in the way.
_SETTINGS = {"lock_timeout": "5s"}

# The parent is that of a partition alone: to go with it is no drop of its own.
_RELATIONS = """
    SELECT c.oid::bigint, format('%%I.%%I', nspname, relname), relkind IN ('r', 'p'),
        (SELECT inhparent::bigint FROM pg_inherits WHERE inhrelid = c.oid AND relispartition),
        coalesce((
            SELECT jsonb_object_agg(attnum, quote_ident(attname)) FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attinhcount = 0
        ), '{}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND nspname !~ '^pg_'
        AND nspname <> 'information_schema' AND relname <> ALL (%s)
"""

# A partitioned table is as big as its parts. What was never analyzed has -1 rows.
_SIZES = """
    SELECT format('%%I.%%I', nspname, c.relname),
        coalesce(sum(pg_total_relation_size(part.oid)), 0),
        CASE WHEN bool_or(part.reltuples < 0 AND pg_relation_size(part.oid) > 0) THEN NULL
            ELSE coalesce(sum(greatest(part.reltuples, 0)), 0) END
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (
        SELECT c.oid WHERE c.relkind <> 'p'
        UNION ALL
        SELECT relid FROM pg_partition_tree(c.oid) WHERE c.relkind = 'p' AND isleaf
    ) AS leaf ON true
    LEFT JOIN pg_class AS part ON part.oid = leaf.oid
    WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S')
        AND format('%%I.%%I', nspname, c.relname) = ANY (%s)
    GROUP BY 1
"""


@dataclass(frozen=True)
class Live:
    """What is read of the live database, before anything else; `lines` is its catalog."""

    name: str
    version: str
    owner: str
    roles: Sequence[str]
    records: dict[str, history.Record]
    begun: Mapping[str, Any]
    lines: Sequence[str]


@dataclass(frozen=True)
class Size:
    """How big a relation is in the live database: bytes with its indexes, and a row estimate.

    `rows` is None where it was never analyzed. One that is not there (a pending file makes it) has
    neither.
    """

    name: str
    exists: bool = False
    bytes: int = 0
    rows: int | None = 0


@dataclass(frozen=True)
class Drop:
    """A table, or a column of one, and how many live rows it is dropped from: an estimate."""

    name: str
    rows: int | None


@dataclass(frozen=True)
class Finding:
    """What squawk says of a line of a file."""

    line: int
    rule: str
    message: str


@dataclass(frozen=True)
class Step:
    """What one file would do; `operation` is apply, rollback, or hook (of a post-apply file).

    `error` says why it failed in the scratch database. `diff` is the catalog's; `sizes` are those
    of all relations in `effects`. It drops `drops`, and its own rollback would drop, and so park,
    `parks`. `findings` are None where squawk is not installed.
    """

    id: str
    operation: str
    path: str
    sql: str
    checksums: Mapping[str, str]
    transactional: bool
    grade: str | None
    lossy: tuple[str, ...] = ()
    error: str | None = None
    diff: tuple[str, ...] = ()
    effects: tuple[trace.Effect, ...] = ()
    sizes: tuple[Size, ...] = ()
    drops: tuple[Drop, ...] = ()
    parks: tuple[Drop, ...] = ()
    findings: tuple[Finding, ...] | None = None


@dataclass(frozen=True)
class _Relation:
    name: str
    has_rows: bool
    parent: int | None
    columns: Mapping[str, str]  # names by their numbers, which survive a new name


def _sizes(backend: PgproofBackend, names: Sequence[str | None]) -> dict[str, Size]:
    with backend.connection.cursor() as cursor:
        cursor.execute(_SIZES, [[name for name in names if name]])
        return {
            name: Size(name, True, int(size), None if rows is None else int(rows))
            for name, size, rows in cursor.fetchall()
        }


@contextmanager
def staged(
    backend: PgproofBackend,
    files: Any,
    live: Live,
    parked: str | None,
    tell: Callable[[str], None],
    on_wait: Callable[[Any, float], None] | None,
) -> Iterator["Stage"]:
    """Make a scratch database, apply there what is applied in the live one, and yield the stage."""
    applied = [migration for migration in files if migration.id in live.records]
    major = backend.connection.server_version // 10000
    tell("starting a scratch server")
    with scratch.databases(major=major) as databases:
        parameters = databases.parameters(databases.create())
        _make_roles(parameters, live, applied, backend.schema)
        # As the role of the same name, so that privileges are worded as in the live database.
        settings = {"schema": backend.schema} if backend.schema else {}
        target = Database({**parameters, "user": live.owner}, "scratch", settings)
        with runner.open_backend(target, _SETTINGS, {}) as copy:
            copy.notify = lambda _: None
            copy.connection.on_wait = on_wait
            notes = list[str]()
            if copy.connection.server_version // 10000 != major:
                notes.append(
                    f"there are no programs of PostgreSQL {major} here to compare with: a "
                    "difference may be one of the versions"
                )
            with copy.changing():
                tell(f"applying {len(applied)} files to a scratch database")
                for migration in applied:
                    if error := _tried(copy, migration, "apply"):
                        notes.append(f"{migration.id} is applied, but fails in scratch: {error}")
                yield Stage(backend, copy, files, live, parked, notes)


def _make_roles(
    parameters: Mapping[str, Any], live: Live, applied: Sequence[Any], schema: str | None
) -> None:
    """Make the roles of the live server, by name; and the schema of history, if one is named.

    Not those that an applied file makes itself. The owner may do everything here.
    """
    words = [s.words for m in applied for s in getattr(m, "forward", ())]
    made = {
        word.split(" ")[2].strip('"').lower()
        for word in words
        if word.startswith(("CREATE ROLE ", "CREATE USER ", "CREATE GROUP "))
    }
    with closing(psycopg2.connect(**parameters)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles")
            known = {name for (name,) in cursor.fetchall()}
            for role in [live.owner, *live.roles]:
                if role not in known and (role == live.owner or role.lower() not in made):
                    cursor.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
                    known.add(role)
            owner = sql.Identifier(live.owner)
            cursor.execute(sql.SQL("ALTER ROLE {} SUPERUSER LOGIN").format(owner))
            if schema:
                named = sql.Identifier(schema)
                cursor.execute(
                    sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(named, owner)
                )


def _tried(copy: PgproofBackend, migration: Any, operation: str) -> str | None:
    """Run a migration, and return the reason if it fails."""
    try:
        copy.run_one(migration, operation)
    except (UserError, psycopg2.Error) as error:
        return " ".join(str(error).splitlines()[:1]) or type(error).__name__
    return None


class Stage:
    """A scratch database in which one file after the other is run, and what each does is seen.

    `lines` is its catalog, `version` that of its server, `notes` say what is not as it should be.
    """

    def __init__(
        self,
        backend: PgproofBackend,
        copy: PgproofBackend,
        files: Sequence[Any],
        live: Live,
        parked: str | None,
        notes: list[str],
    ) -> None:
        self._backend = backend
        self._copy = copy
        self._parked = parked
        self.notes = notes
        self.version = str(copy.connection.info.parameter_status("server_version")).split(" ")[0]
        self.lines = catalog.read(copy.connection, parked=parked)
        self._done = {id_: _unchecked(id_) for id_ in live.records}
        self._files = files
        self._relations = self._look()
        # What is called otherwise by an earlier step has its old name in the live database.
        self._live_names = {oid: found.name for oid, found in self._relations.items()}

    def step(self, migration: Any, operation: str) -> Step:
        """Run one file, and return what it did."""
        before, effects = self._relations, tuple[trace.Effect, ...]()
        error = self._unfit(migration, operation)
        if error is None:
            with trace.traced(self._copy) as seen:
                error = _tried(self._copy, migration, operation)
            effects = tuple(seen)
        if error is None and operation == "apply":
            self._done[migration.id] = _unchecked(migration.id)
        self._relations = self._look()
        lines = catalog.read(self._copy.connection, parked=self._parked)
        diff = catalog.difference(self.lines, lines, "before", f"after {migration.id}")
        self.lines = lines
        path = Path(migrations.path_of(migration, operation))
        promised = migrations.promise(migration)
        added = [(oid, name) for oid, name in _gone(self._relations, before) if oid in before]
        return Step(
            migration.id,
            operation,
            migrations.shown(path),
            decode(path.read_bytes(), path) if path.exists() else "",
            checksums(migration),
            migration.use_transactions,
            promised.grade,
            tuple(sorted(promised.lossy)),
            error,
            tuple(diff),
            effects,
            self._touched(effects, before),
            self._drops(_gone(before, self._relations)),
            self._drops(added) if operation == "apply" else (),
            squawk(path),
        )

    def _unfit(self, migration: Any, operation: str) -> str | None:
        """Return why a file cannot be run here: what it depends on failed, or it would commit."""
        done = [m for m in self._files if m.id in self._done]
        known = {m.id: self._done[m.id] for m in done}
        try:
            refusals.unfit_files(done, [migration], known, (), operation)
        except UserError as error:
            return str(error).splitlines()[0]
        return None

    def _look(self) -> dict[int, _Relation]:
        with self._copy.connection.cursor() as cursor:
            cursor.execute(_RELATIONS, [list(history.TABLES)])
            return {oid: _Relation(*rest) for oid, *rest in cursor.fetchall()}

    def _touched(
        self, effects: Sequence[trace.Effect], before: Mapping[int, _Relation]
    ) -> tuple[Size, ...]:
        names = {
            name
            for effect in effects
            for name in (
                *(name for name, _ in effect.locks),
                *effect.rewrites,
                *effect.scans,
                *(table for _, table in effect.builds),
            )
        }
        live = {r.name: self._live_names.get(oid) for oid, r in before.items()}
        sizes = _sizes(self._backend, [live.get(name) for name in names])
        return tuple(
            Size(name, found.exists, found.bytes, found.rows)
            for name in sorted(names)
            for found in [sizes.get(live.get(name) or "", Size(name))]
        )

    def _drops(self, gone: Sequence[tuple[int, str]]) -> tuple[Drop, ...]:
        sizes = _sizes(self._backend, [self._live_names.get(oid) for oid, _ in gone])
        return tuple(
            Drop(name, sizes.get(self._live_names.get(oid, ""), Size(name)).rows)
            for oid, name in gone
        )


def _unchecked(id_: str) -> history.Record:
    return history.Record(id_, datetime.now(UTC), None, None, None, None, None)


def _gone(before: Mapping[int, _Relation], after: Mapping[int, _Relation]) -> list[tuple[int, str]]:
    """Return the tables that are in `before` alone, and the columns of those in both."""
    found = list[tuple[int, str]]()
    for oid, table in sorted(before.items(), key=lambda item: item[1].name):
        if not table.has_rows:
            continue
        if oid not in after:
            if table.parent is None or table.parent in after:
                found.append((oid, table.name))
            continue
        found += [
            (oid, f"{table.name}.{column}")
            for number, column in table.columns.items()
            if number not in after[oid].columns
        ]
    return found


def squawk(path: Path) -> tuple[Finding, ...] | None:
    """Return what squawk finds in a file, by its own settings; None where it is not installed."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("squawk", path=beside) or shutil.which("squawk")
    if program is None:
        return None
    if path.suffix != ".sql" or not path.exists():
        return ()
    # Its settings are looked for from the current folder upwards.
    done = subprocess.run(
        [program, "--reporter", "json", str(path.resolve())],
        cwd=path.resolve().parent,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        said = json.loads(done.stdout or "[]")
    except ValueError:
        return (Finding(1, "squawk", (done.stderr or done.stdout).strip()),)
    return tuple(Finding(one["line"] + 1, one["rule_name"], one["message"]) for one in said)


def checksums(migration: Any) -> dict[str, str]:
    """Return the SHA-256 of both halves of a migration; of a Python program that of its file."""
    if migration.is_raw_sql():
        return dict(migration.checksums)
    return {"forward": hashlib.sha256(Path(migration.path).read_bytes()).hexdigest()}
