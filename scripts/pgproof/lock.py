"""The migration lock: one run at a time, held by the session that runs the DDL.

A session advisory lock, because a crashed client leaves none behind, while the server's half of
it, should it live on, keeps the lock until it is gone. It is polled: a runner that waited for it
inside the server would hold a snapshot, and CREATE INDEX CONCURRENTLY would wait for that.

Stock yoyo knows only its row in `yoyo_lock`. Ours has the server process's number, negative: it
shuts stock yoyo out, and another of ours takes it over once the advisory lock is free.
"""

import random
import time
from contextlib import suppress

import psycopg2
from psycopg2 import errors, sql
from yoyo.exceptions import LockTimeout

from pgproof.errors import UserError
from pgproof.session import Session, check_interrupted

KEY = int.from_bytes(b"pgproof\0")
BUSY = (errors.LockNotAvailable, errors.DeadlockDetected)

_HOLDER = """
    SELECT format('process %%s of the server (%%s, %%s%%s), which began %%s s ago', a.pid, usename,
        coalesce(nullif(application_name, ''), 'no application name'),
        ' at ' || host(client_addr), round(extract(epoch FROM clock_timestamp() - backend_start)))
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE locktype = 'advisory' AND l.granted AND l.database = a.datid AND a.pid <> pg_backend_pid()
        AND datname = current_database() AND objsubid = 1
        AND (l.classid::bigint << 32) + l.objid::bigint = %(key)s
"""


class LockHeld(UserError, LockTimeout):  # type: ignore[misc]
    """Another run holds the lock."""


class MigrationLock:
    """The lock of one database, as one session takes and releases it."""

    def __init__(self, session: Session, schema: str, wait: float) -> None:
        self.session = session
        self.wait = wait
        self.is_held = False
        self.holder_pid: object = None
        self._table = sql.Identifier(schema, "yoyo_lock")

    def acquire(self) -> None:
        """Take the lock; LockHeld, which names the holder, after `wait` seconds."""
        deadline = time.monotonic() + self.wait
        advisory, pid = False, None
        while True:
            check_interrupted(self.session)
            if not advisory:
                # In one statement, so that it is this server process that has the lock.
                pid = self._one(
                    "SELECT CASE WHEN pg_try_advisory_lock(%(key)s) THEN pg_backend_pid() END"
                )
                advisory = pid is not None
            if advisory and self._take_row():
                self.is_held = True
                self.holder_pid = pid
                return
            if time.monotonic() >= deadline:
                holder = self.holder() or "a run that has just ended"
                if advisory:
                    self._one("SELECT pg_advisory_unlock(%(key)s)")
                raise LockHeld(
                    f"the migration lock is held by {holder}\n"
                    f"Waited {self.wait:g} s. Wait for that run; migrate unlock tells if it lives."
                )
            time.sleep(random.uniform(0.02, 0.1))  # noqa: S311

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        if self.is_held:
            self.is_held = False
            for step in (
                "DELETE FROM {table} WHERE pid = -pg_backend_pid()",
                "SELECT pg_advisory_unlock(%(key)s)",
            ):
                with suppress(psycopg2.Error):  # the session is gone, and the lock with it
                    self._run(step)

    def holder(self) -> str | None:
        """Say who holds the lock, or None: one of ours by its session, stock yoyo by its row."""
        if found := self._one(_HOLDER):
            return str(found)
        row = self._row()
        if row is not None and row[0] > 0:
            return (
                f"stock yoyo, process {row[0]} of its machine, since {row[1]:%Y-%m-%d %H:%M:%S} UTC"
            )
        return None

    def remove_dead(self) -> str:
        """Remove what a dead run left, and say what that was; LockHeld if the holder may live."""
        if found := self._one(_HOLDER):
            raise LockHeld(f"the migration lock is held by {found}\nIt lives: nothing was removed.")
        row = self._row()
        if row is None:
            return "no lock: nothing to remove"
        if row[0] > 0 and (others := self._others()):
            raise LockHeld(
                f"stock yoyo, process {row[0]} of its machine, holds the lock since "
                f"{row[1]:%Y-%m-%d %H:%M:%S} UTC\n"
                f"It may be one of the sessions that are connected: {others}. Nothing was removed."
            )
        self._run("DELETE FROM {table} WHERE pid = %(pid)s", pid=row[0])
        whose = f"stock yoyo, process {row[0]}" if row[0] > 0 else f"a session, process {-row[0]}"
        return f"removed the lock of {whose}, which is gone"

    def _take_row(self) -> bool:
        """Write our row, over one that a dead run of ours left; False where stock yoyo has his."""
        try:
            if (
                self._one("SELECT to_regclass(%(name)s)", name=self._table.as_string(self.session))
                is None
            ):
                with suppress(errors.DuplicateTable, errors.UniqueViolation):  # another was quicker
                    self._run(
                        "CREATE TABLE {table} "
                        "(locked int DEFAULT 1, ctime timestamp, pid int NOT NULL, "
                        "PRIMARY KEY (locked))"
                    )
            return (
                self._one(
                    "INSERT INTO {table} (locked, ctime, pid) "
                    "VALUES (1, now() AT TIME ZONE 'UTC', -pg_backend_pid()) "
                    "ON CONFLICT (locked) DO UPDATE SET ctime = excluded.ctime, pid = excluded.pid "
                    "WHERE yoyo_lock.pid < 0 RETURNING true"
                )
                is True
            )
        except BUSY:
            return False

    def _row(self) -> tuple[int, object] | None:
        try:
            with self.session.cursor() as cursor:
                cursor.execute(sql.SQL("SELECT pid, ctime FROM {}").format(self._table))
                row: tuple[int, object] | None = cursor.fetchone()
                return row
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return None

    def _others(self) -> str:
        return str(
            self._one(
                "SELECT string_agg(format('process %%s (%%s, %%s)', pid, usename, "
                "application_name), ', ' ORDER BY pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
            or ""
        )

    def _run(self, query: str, **arguments: object) -> None:
        with self.session.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(table=self._table), {"key": KEY, **arguments})

    def _one(self, query: str, **arguments: object) -> object:
        """Run a query, and return its first value, or None where it gives no row."""
        with self.session.cursor() as cursor:
            cursor.execute(sql.SQL(query).format(table=self._table), {"key": KEY, **arguments})
            row = cursor.fetchone()
            return row[0] if row else None
