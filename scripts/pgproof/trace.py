"""What the statements of a migration do to what was there before: locks, rewrites, scans, builds.

    with trace.traced(backend) as seen:
        backend.run_one(migration, "apply")
    for effect in seen: print(effect.line, effect.locks, effect.rewrites)

In a transaction its locks are still held after each statement, and pg_locks names them. Outside one
they are gone by then: so another session stands in the way of every table, and steps aside from
each as the server says which lock the statement waits for.
"""

import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg2 import extensions

from pgproof import history
from pgproof.backend import PgproofBackend
from pgproof.session import Session
from pgproof.statements import Statement

# From the weakest to the strongest (PostgreSQL's manual, "Table-Level Locks").
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
BLOCKS = {
    "ACCESS SHARE": "nobody but a DROP or ALTER",
    "ROW SHARE": "nobody but a DROP or ALTER",
    "ROW EXCLUSIVE": "index builds and other DDL",
    "SHARE UPDATE EXCLUSIVE": "other DDL, VACUUM",
    "SHARE": "writes",
    "SHARE ROW EXCLUSIVE": "writes",
    "EXCLUSIVE": "writes, and SELECT FOR UPDATE",
    "ACCESS EXCLUSIVE": "reads and writes",
}
WEIGHTY = MODES.index("SHARE UPDATE EXCLUSIVE")  # weaker ones let reads, writes and each other by

_RELATIONS = """
    SELECT c.oid::bigint, format('%%I.%%I', nspname, relname), relkind::text,
        pg_relation_filenode(c.oid)::bigint, coalesce(indrelid, refobjid, inhparent)::bigint
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_index ON indexrelid = c.oid
    LEFT JOIN pg_inherits ON relispartition AND inhrelid = c.oid
    LEFT JOIN pg_depend ON relkind = 'S' AND classid = 'pg_class'::regclass AND objid = c.oid
        AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    WHERE relkind IN ('r', 'p', 'm', 'v', 'f', 'S', 'i', 'I') AND nspname !~ '^pg_'
        AND nspname <> 'information_schema' AND relname <> ALL (%s)
"""
_LOCKS = """
    SELECT relation::bigint, mode FROM pg_locks
    WHERE pid = %s AND granted = %s AND locktype = 'relation'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_AWAITED = """
    SELECT locktype FROM pg_locks WHERE pid = %s AND NOT granted AND locktype = 'virtualxid'
"""
# What a transaction has counted so far; DDL that reads a whole table counts as a scan of it.
_SCANS = "SELECT relid::bigint, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0"
_OBSTRUCT = """
    DO $$
    DECLARE
        name text;
    BEGIN
        FOREACH name IN ARRAY string_to_array(current_setting('pgproof.obstructed'), chr(1)) LOOP
            BEGIN
                EXECUTE format('LOCK TABLE ONLY %s IN %s MODE NOWAIT',
                    name, current_setting('pgproof.mode'));
            EXCEPTION WHEN lock_not_available OR undefined_table OR insufficient_privilege THEN
                NULL;
            END;
        END LOOP;
    END $$
"""


@dataclass(frozen=True)
class Effect:
    """What one statement does to relations that were there before its migration.

    `locks` are (relation, mode): the strongest that it takes beyond what the statements before it
    hold, as PostgreSQL writes a mode; `rewrites` are relations written anew, `scans` tables that a
    statement of DDL reads as a whole, `builds` the indexes built, each (index, table). Of a
    statement outside a transaction no scan is seen, and of each table its first lock that is SHARE
    UPDATE EXCLUSIVE or stronger.
    """

    line: int
    text: str
    locks: tuple[tuple[str, str], ...]
    rewrites: tuple[str, ...]
    scans: tuple[str, ...]
    builds: tuple[tuple[str, str], ...]
    seconds: float


@contextmanager
def traced(backend: PgproofBackend) -> Iterator[list[Effect]]:
    """Yield the list to which the effects of every statement inside are added, in order."""
    tracer = _Tracer(backend.connection)
    former = backend.execution.observe
    backend.execution.observe = tracer.observe
    try:
        yield tracer.effects
    finally:
        backend.execution.observe = former
        tracer.close()


def strongest(effects: Sequence[Effect]) -> dict[str, str]:
    """Return the strongest lock on each relation, by its name, in the order of the names."""
    found: dict[str, str] = {}
    for effect in effects:
        for name, mode in effect.locks:
            if name not in found or MODES.index(mode) > MODES.index(found[name]):
                found[name] = mode
    return dict(sorted(found.items()))


class _Tracer:
    def __init__(self, session: Session) -> None:
        self.effects: list[Effect] = []
        self._session = session
        with session.cursor() as cursor:
            # What was scanned before is not to count: a session keeps its counts for a second.
            cursor.execute("SELECT pg_stat_force_next_flush()")
            self._relations = _relations(cursor)
        self._before = dict(self._relations)
        self._held: set[tuple[int, str]] = set()
        self._scanned: dict[int, int] = {}
        self._met: set[tuple[int, str]] = set()  # the locks that the guard saw waited for

    @cached_property
    def _guards(self) -> list[extensions.connection]:
        """Two sessions: the first stands in the way, the second while the first steps aside."""
        made = [self._session.beside(), self._session.beside()]
        for guard in made:
            guard.autocommit = False
        return made

    def close(self) -> None:
        for guard in self.__dict__.get("_guards", ()):
            guard.close()

    @contextmanager
    def observe(self, cursor: Any, statement: Statement, is_transactional: bool) -> Iterator[None]:
        """Note the effects of the statement that runs inside."""
        started = time.perf_counter()
        if is_transactional:
            yield
        else:
            with self._obstructed():
                yield
        seconds = time.perf_counter() - started
        locks, scans = self._met, list[str]()
        if is_transactional:
            cursor.execute(_LOCKS, [self._session.info.backend_pid, True])
            current = {(oid, mode) for oid, mode in cursor.fetchall()}
            locks, self._held = current - self._held, current
            scans = self._scans(cursor, statement)
        now = _relations(cursor)
        rewrites = [
            name
            for oid, (name, kind, node, _) in self._relations.items()
            if oid in self._before and oid in now and now[oid][2] != node and kind in "rm"
        ]
        builds = [
            (name, self._before[table][0])
            for oid, (name, kind, node, table) in now.items()
            if kind in "iI"
            and table in self._before
            and (oid not in self._relations or self._relations[oid][2] != node)
        ]
        self._relations = now
        self.effects.append(
            Effect(
                statement.line,
                statement.text,
                tuple(sorted(self._taken(locks).items())),
                tuple(sorted(rewrites)),
                tuple(sorted(scans)),
                tuple(sorted(builds)),
                seconds,
            )
        )

    def _taken(self, locks: Collection[tuple[int, str]]) -> dict[str, str]:
        """Return the strongest of the locks on each relation, by name.

        Left out are indexes, and the sequences and partitions of a table that has such a lock too:
        it says enough, and a partition may have a name that no file knows.
        """
        ranks: dict[int, int] = {}
        for oid, mode in locks:
            ranks[oid] = max(ranks.get(oid, 0), MODES.index(worded(mode)))
        found: dict[str, str] = {}
        for oid, rank in ranks.items():
            name, kind, _, table = self._before.get(oid, ("", "i", None, None))
            covered = [MODES.index(worded(m)) for o, m in self._held | self._met if o == table]
            if kind not in "iI" and max(covered, default=-1) < rank:
                found[name] = MODES[rank]
        return found

    def _scans(self, cursor: Any, statement: Statement) -> list[str]:
        cursor.execute(_SCANS)
        former, self._scanned = self._scanned, dict(cursor.fetchall())
        if statement.words.split(" ")[0] not in ("ALTER", "CREATE", "REFRESH", "CLUSTER"):
            return []  # a small table is read as a whole by a query that would use an index
        return [
            self._before[oid][0]
            for oid, times in self._scanned.items()
            if oid in self._before and times > former.get(oid, 0)
        ]

    @contextmanager
    def _obstructed(self) -> Iterator[None]:
        """Stand in the way of every table, and step aside where the session waits for one."""
        self._met = set()
        self._stand(self._guards[0], "SHARE UPDATE EXCLUSIVE")
        former, self._session.on_wait = self._session.on_wait, self._give_way
        try:
            yield
        finally:
            self._session.on_wait = former
            self._guards[0].rollback()

    def _stand(self, guard: extensions.connection, mode: str) -> None:
        """Lock every table that was not waited for, as far as that needs no waiting."""
        waited_for = {oid for oid, _ in self._met}
        names = [
            name
            for oid, (name, kind, *_) in self._before.items()
            if kind in "rp" and oid not in waited_for
        ]
        with guard.cursor() as cursor:
            cursor.execute("SET LOCAL search_path = ''")
            cursor.execute(
                "SELECT set_config('pgproof.obstructed', %s, true), "
                "set_config('pgproof.mode', %s, true)",
                [chr(1).join(names), mode],
            )
            cursor.execute(_OBSTRUCT)

    def _give_way(self, session: Session, _seconds: float) -> None:
        """Step aside from the table that is waited for, and from no other.

        No two sessions can have SHARE UPDATE EXCLUSIVE, but the second may have ROW EXCLUSIVE
        beside it: enough to keep the statement from the next table for that moment. An index that
        is built CONCURRENTLY waits for whole transactions, ours too if one had a snapshot at the
        wrong moment: then it begins anew.
        """
        if not (self._notes_a_wait(session) or self._waits_for_a_transaction(session)):
            return
        first, second = self._guards
        self._stand(second, "ROW EXCLUSIVE")
        first.rollback()
        self._stand(first, "SHARE UPDATE EXCLUSIVE")
        self._notes_a_wait(session)
        second.rollback()

    def _waits_for_a_transaction(self, session: Session) -> bool:
        with self._guards[0].cursor() as cursor:
            cursor.execute(_AWAITED, [session.info.backend_pid])
            return cursor.fetchone() is not None

    def _notes_a_wait(self, session: Session) -> bool:
        with self._guards[0].cursor() as cursor:
            cursor.execute(_LOCKS, [session.info.backend_pid, False])
            waiting = set(cursor.fetchall()) - self._met
        self._met |= waiting
        return bool(waiting)


def _relations(cursor: Any) -> dict[int, tuple[str, str, int | None, int | None]]:
    """Return every relation by its oid: name, kind, file, and the table that it is a part of."""
    cursor.execute(_RELATIONS, [list(history.TABLES)])
    return {oid: (name, kind, node, table) for oid, name, kind, node, table in cursor.fetchall()}


def worded(mode: str) -> str:
    """Return AccessExclusiveLock as ACCESS EXCLUSIVE."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode.removesuffix("Lock")).upper()
