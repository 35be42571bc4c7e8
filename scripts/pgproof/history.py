"""yoyo's history, read as yoyo wrote it and as we did: what is applied, by whom, from which text.

    for record in history.read(connection, "public").values(): print(record.id, record.applied_at)

The tables are yoyo's own. What yoyo has no column for (checksums of both files, seconds taken)
stands in the `comment` of its log; rows that stock yoyo wrote have none, and show as unchecked.
Only reads.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extensions import connection

from pgproof.errors import UserError

TABLES = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock")

_COMMENT = re.compile(r"forward=(\w+) rollback=(\w+)(?: seconds=([\d.]+))?")

_APPLIED = """
    SELECT m.migration_id, m.applied_at_utc, l.username, l.hostname, l.comment
    FROM {0}._yoyo_migration m
    LEFT JOIN (
        SELECT DISTINCT ON (migration_hash) * FROM {0}._yoyo_log
        WHERE operation IN ('apply', 'mark', 'repair')
        ORDER BY migration_hash, created_at_utc DESC
    ) l USING (migration_hash)
    ORDER BY m.applied_at_utc, m.migration_id
"""

_LOG = """
    SELECT created_at_utc, operation, migration_id, username, hostname, comment
    FROM {0}._yoyo_log ORDER BY created_at_utc, id
"""

_BEGUN = """
    SELECT migration_id, comment FROM (
        SELECT DISTINCT ON (migration_id) migration_id, operation, comment FROM {0}._yoyo_log
        WHERE migration_id IN (
            SELECT migration_id FROM {0}._yoyo_log WHERE operation = 'begin')
            AND operation IN ('begin', 'apply', 'mark', 'rollback', 'unmark')
            AND migration_id NOT LIKE 'post-apply%'  -- a hook is no migration, and has no end
        ORDER BY migration_id, created_at_utc DESC
    ) l WHERE operation = 'begin'
"""


@dataclass(frozen=True)
class Record:
    """One applied migration; the checksums are None where stock yoyo applied it."""

    id: str
    applied_at: datetime
    by: str | None
    host: str | None
    forward: str | None
    rollback: str | None
    seconds: float | None


@dataclass(frozen=True)
class Entry:
    """One line of the log: when (UTC), what, which migration, by whom, from where."""

    at: datetime
    operation: str
    id: str
    by: str
    host: str
    seconds: float | None


@dataclass(frozen=True)
class State:
    """One migration as `status` shows it.

    `state` is applied, pending, edited, missing (its file gone), out of order (pending, below an
    applied one) or interrupted (not transactional, and begun only); `edited` names the halves.
    """

    id: str
    state: str
    edited: tuple[str, ...] = ()
    checked: bool = False
    applied_at: datetime | None = None
    by: str | None = None
    seconds: float | None = None


def comment(forward: str, rollback: str, seconds: float | None = None) -> str:
    """Return what goes into the log's comment, at most 255 characters."""
    return f"pgproof forward={forward} rollback={rollback}" + (
        f" seconds={seconds:.3f}" if seconds is not None else ""
    )


def _of_comment(text: str | None) -> tuple[str | None, str | None, float | None]:
    match = _COMMENT.search(text or "")
    if not match:
        return None, None, None
    return match[1], match[2], float(match[3]) if match[3] else None


def read(session: connection, schema: str) -> dict[str, Record]:
    """Return what is applied, by id, the earliest first; nothing where there is no history."""
    return {
        id_: Record(id_, at.replace(tzinfo=UTC), by, host, *_of_comment(text))
        for id_, at, by, host, text in _rows(session, schema, _APPLIED)
    }


def log(session: connection, schema: str) -> list[Entry]:
    """Return the whole log, the oldest entry first."""
    return [
        Entry(at.replace(tzinfo=UTC), operation, id_ or "", by, host, _of_comment(text)[2])
        for at, operation, id_, by, host, text in _rows(session, schema, _LOG)
    ]


def begun(session: connection, schema: str) -> dict[str, dict[str, str | None]]:
    """Return what began outside a transaction and did not end: by id, the checksums it began with.

    The checksums are those of its `forward` and its `rollback` file.
    """
    return {
        id_: dict(zip(("forward", "rollback"), _of_comment(text)[:2], strict=True))
        for id_, text in _rows(session, schema, _BEGUN)
    }


def states(
    files: Sequence[Any], records: dict[str, Record], interrupted: Collection[str]
) -> list[State]:
    """Return the state of each migration, in order; those whose files are gone come last.

    `files` are yoyo's migrations as `migrations.read` returns them.
    """
    found: list[State] = []
    last = max((n for n, m in enumerate(files) if m.id in records), default=-1)
    for number, migration in enumerate(files):
        record = records.get(migration.id)
        if record is None:
            state = "out of order" if number < last else "pending"
            found.append(
                State(migration.id, "interrupted" if migration.id in interrupted else state)
            )
            continue
        edited = tuple(
            half
            for half, then in (("forward", record.forward), ("rollback", record.rollback))
            if then is not None and then != migration.checksums[half]
        )
        state = "edited" if edited else "applied"
        if migration.id in interrupted:
            state = "interrupted"
        found.append(_state(record, state, edited))
    known = {migration.id for migration in files}
    return found + [_state(r, "missing", ()) for r in records.values() if r.id not in known]


def _state(record: Record, state: str, edited: tuple[str, ...]) -> State:
    checked = record.forward is not None
    return State(record.id, state, edited, checked, record.applied_at, record.by, record.seconds)


def _rows(session: connection, schema: str, query: str) -> list[tuple[Any, ...]]:
    """Run a query on the tables of history; a database without them has none."""
    quoted = '"' + schema.replace('"', '""') + '"'
    with session.cursor() as cursor:
        # Not information_schema, which yoyo asks: it hides what the role may not read.
        cursor.execute(
            "SELECT count(*), quote_ident(current_user) "
            "FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relname IN ('_yoyo_migration', '_yoyo_log')",
            [schema],
        )
        ((tables, user),) = cursor.fetchall()
        if tables < 2:
            return []
        try:
            cursor.execute(query.format(quoted))
        except psycopg2.errors.InsufficientPrivilege as error:
            raise UserError(
                f"role {user} may not read yoyo's history: {error.diag.message_primary}\n"
                f"As its owner, run: GRANT USAGE ON SCHEMA {quoted} TO {user}; "
                f"GRANT SELECT ON {quoted}._yoyo_migration, {quoted}._yoyo_log TO {user}"
            ) from None
        return cursor.fetchall()
