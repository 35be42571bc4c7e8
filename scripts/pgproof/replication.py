"""A second server that follows the first by logical replication, of any schema.

    pair = Pair(old, new, "host=db.example dbname=docs")
    begin(pair); wait_until_copied(pair)
    with pair.paused(): wait_until_level(pair); ...

`old` publishes, `new` follows; both are autocommit connections of a superuser. What is published
is every table but yoyo's history, by its root: partitions may be made at other times on the two.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from pgproof import catalog, history
from pgproof.errors import UserError

PAUSE_LOCK = 0.2  # seconds that writers may queue behind a lock of ours that is not yet granted
POLL = 0.05
APPLY_POLL = 0.01  # while writers wait

# Tables that are published: not partitions, which their root speaks for.
_TABLES = """
    SELECT format('%%I.%%I', nspname, relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence = 'p'
        AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND relname <> ALL (%(history)s)
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
    ORDER BY 1
"""

_HISTORY = """
    SELECT format('%%I.%%I', nspname, relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relname = ANY (%(history)s) ORDER BY 1
"""

# What a table without a key refuses once it is published: every UPDATE and DELETE.
_KEYLESS = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence = 'p'
        AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND relname <> ALL (%(history)s)
        AND relreplident <> 'f' AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = c.oid AND indisvalid
                AND CASE relreplident WHEN 'd' THEN indisprimary WHEN 'i' THEN indisreplident END)
    ORDER BY 1
"""

_UNLOGGED = """
    SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'm') AND (
        relpersistence = 'u' OR relkind = 'm') ORDER BY 1
"""

_SCHEMAS = """
    SELECT quote_ident(nspname),
        array_agg(format('%%I.%%I', nspname, relname) ORDER BY relname)
            FILTER (WHERE relname <> ALL (%(history)s)),
        bool_or(relname = ANY (%(history)s))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence = 'p'
        AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
    GROUP BY 1 HAVING count(*) FILTER (WHERE relname <> ALL (%(history)s)) > 0 ORDER BY 1
"""

_WORKERS = "SELECT pid FROM pg_stat_subscription WHERE subname = %s AND pid IS NOT NULL"

_PLACE = """
    SELECT pg_replication_origin_progress('pg_' || oid, true)::text FROM pg_subscription
    WHERE subname = %s AND subdbid =
        (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_ADVANCE = """
    SELECT pg_replication_origin_advance('pg_' || oid, %s::pg_lsn) FROM pg_subscription
    WHERE subname = %s AND subdbid =
        (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_LEFT = """
    SELECT pubname FROM pg_publication WHERE pubname = %(name)s
    UNION ALL SELECT slot_name FROM pg_replication_slots WHERE slot_name = %(name)s
"""

_OTHERS = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL (%s)
        AND backend_type = 'client backend' AND backend_start < %s
"""


class Stuck(UserError):
    """The new server cannot take over a row, and tries again and again."""


@dataclass(frozen=True)
class Pair:
    """The server that is left, the one that follows, and how the second reaches the first.

    `reach` is a conninfo of libpq, kept in the catalog of the new server; `name` is that of the
    publication, the subscription and the slot; `patience` is in seconds, for each wait.
    """

    old: extensions.connection
    new: extensions.connection
    reach: str
    name: str = "pgproof_replica"
    patience: float = 3600.0

    @contextmanager
    def paused(self) -> Iterator[extensions.cursor]:
        """Let no transaction write to the old server: writers wait, readers do not.

        A lock, not a setting, for it also waits for whoever has written and not committed; and
        when it is let go, those who waited go on, as if nothing had been.
        """
        holder = again(self.old)
        try:
            with holder.cursor() as cursor:
                self._lock(cursor)
                yield cursor
        finally:
            holder.close()

    def _lock(self, cursor: extensions.cursor) -> None:
        names = ", ".join([*tables(self.old), *history_tables(self.old)])
        deadline = time.monotonic() + self.patience
        while True:
            try:
                cursor.execute(f"SET LOCAL lock_timeout = '{PAUSE_LOCK}s'")
                cursor.execute(f"LOCK TABLE {names} IN SHARE MODE")
                return
            except psycopg2.errors.LockNotAvailable:
                cursor.connection.rollback()
                if time.monotonic() > deadline:
                    raise UserError(
                        f"some transaction has been writing for {self.patience:.0f} s: "
                        f"{_writers(self.old)}\nEnd it, and run this again; nothing was changed."
                    ) from None
                time.sleep(PAUSE_LOCK)


def tables(connection: extensions.connection) -> list[str]:
    """Return the tables that are replicated, quoted: all but yoyo's history."""
    return [name for (name,) in _all(connection, _TABLES, {"history": list(history.TABLES)})]


def history_tables(connection: extensions.connection) -> list[str]:
    """Return yoyo's own tables, quoted."""
    return [name for (name,) in _all(connection, _HISTORY, {"history": list(history.TABLES)})]


# What stands in the way -----------------------------------------------------------------


def obstacles(pair: Pair) -> list[str]:
    """Return what keeps the pair from being one, each with its mend; nothing is changed."""
    old, new = pair.old, pair.new
    found = []
    if (level := _one(old, "SHOW wal_level")) != "logical":
        found.append(
            f"the old server has wal_level = {level}: ALTER SYSTEM SET wal_level = 'logical', and "
            "restart it"
        )
    for setting, used in (
        ("max_replication_slots", "SELECT count(*) FROM pg_replication_slots"),
        ("max_wal_senders", "SELECT count(*) FROM pg_stat_replication"),
    ):
        if int(_one(old, f"SHOW {setting}")) < _one(old, used) + 2:
            found.append(f"the old server has no two {setting} left: raise it, and restart")
    if old.server_version // 10000 > new.server_version // 10000:
        found.append("the new server is the older one: name them the other way round")
    for side, connection in (("old", old), ("new", new)):
        if not _one(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            found.append(f"{connection.info.user} is no superuser on the {side} server")
    system = "SELECT system_identifier, current_database() FROM pg_control_system()"
    if _all(old, system) == _all(new, system):
        found.append("both are the same database")
    if (one := _one(old, "SHOW server_encoding")) != (other := _one(new, "SHOW server_encoding")):
        found.append(f"the encodings differ: {one} and {other}")
    keyless = [name for (name,) in _all(old, _KEYLESS, {"history": list(history.TABLES)})]
    if keyless:
        found.append(
            f"without a primary key no row can be found again: {', '.join(keyless)}; once "
            "published they would refuse UPDATE and DELETE: give them one, or REPLICA IDENTITY FULL"
        )
    if lost := [name for (name,) in _all(old, _UNLOGGED)]:
        found.append(f"unlogged tables and materialized views are not replicated: {lost}")
    if _one(old, "SELECT count(*) FROM pg_largeobject_metadata"):
        found.append("large objects are not replicated: keep them elsewhere, or use pg_upgrade")
    roles = "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"
    there = {role for (role,) in _all(new, roles)}
    if missing := [role for (role,) in _all(old, roles) if role not in there]:
        found.append(
            f"the new server lacks the roles {', '.join(missing)}: "
            "pg_dumpall --roles-only of the old into psql of the new"
        )
    if lacking := catalog_difference(pair, "database |privilege database "):
        found.append(
            "ALTER DATABASE, ALTER ROLE ... IN DATABASE and GRANT ... ON DATABASE are not copied: "
            "give the new database what the old one has"
        )
        found += lacking
    return found


def catalog_difference(pair: Pair, begins: str = "") -> list[str]:
    """Return how the two schemas differ, as a unified diff; empty if they do not.

    `begins` is how the lines begin that count, by default all.
    """

    def read(connection: extensions.connection) -> list[str]:
        return catalog.read(connection, owner=_one(connection, "SELECT current_user"))

    with ThreadPoolExecutor(2) as both:  # writers may be waiting
        texts = list(both.map(read, (pair.old, pair.new)))
    # As a follower it has what no migration made, and may be kept for readers.
    mine = re.compile(
        rf"(publication|subscription) {re.escape(pair.name)}\b"
        "|database setting default_transaction_read_only:"
    )
    old, new = (
        [line for line in text if re.match(begins, line) and not mine.match(line)] for text in texts
    )
    return catalog.difference(old, new, "the old server", "the new server")


# Following ------------------------------------------------------------------------------


def begin(pair: Pair) -> None:
    """Make the publication, and the subscription that copies every row and then follows.

    Raises UserError where there is one of the name already, or what is left of one.
    """
    if _subscriptions(pair) or _all(pair.old, _LEFT, {"name": pair.name}):
        raise UserError(
            f"there is a publication, a slot or a subscription {pair.name} already\n"
            "`replicate end` takes back what was begun; or give this pair another --name."
        )
    _do(
        pair.old,
        sql.SQL("CREATE PUBLICATION {} FOR {} WITH (publish_via_partition_root = true)").format(
            sql.Identifier(pair.name), sql.SQL(_published(pair.old))
        ),
    )
    _do(pair.new, _subscription(pair, pair.name, "copy_data = true"))


def _published(connection: extensions.connection) -> str:
    """Return what to publish: whole schemas, so that a new table is in it from its first row.

    A schema where yoyo's history lies as well is named table by table.
    """
    found = _all(connection, _SCHEMAS, {"history": list(history.TABLES)})
    if not found:
        raise UserError("the old database has no tables\nName the one that is to be replicated.")
    whole = [schema for schema, _, has_history in found if not has_history]
    single = [name for _, names, has_history in found if has_history for name in names]
    parts = [f"TABLES IN SCHEMA {', '.join(whole)}"] if whole else []
    return ", ".join([*parts, *([f"TABLE {', '.join(single)}"] if single else [])])


def _subscription(pair: Pair, name: str, how: str) -> sql.Composed:
    text = "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH (slot_name = {}, {})"
    return sql.SQL(text).format(
        sql.Identifier(name),
        sql.Literal(pair.reach),
        sql.Identifier(pair.name),
        sql.Literal(pair.name),
        sql.SQL(how),
    )


def hold(pair: Pair) -> None:
    """Let the new server follow no further for now; the old one keeps the log for it."""
    deadline = time.monotonic() + pair.patience
    _do(pair.new, _sql("ALTER SUBSCRIPTION {} DISABLE", pair.name))
    while _all(pair.new, _WORKERS, [pair.name]):
        if time.monotonic() > deadline:
            raise UserError("the apply worker does not end\nEnd it, and run this again.")
        time.sleep(APPLY_POLL)


def is_held(pair: Pair) -> bool:
    """Whether the subscription is one that follows no further, by `hold` or by somebody's hand."""
    return _subscriptions(pair).get(pair.name) is False


def go_on(pair: Pair) -> None:
    """Follow on, with the tables that there were."""
    _do(pair.new, _sql("ALTER SUBSCRIPTION {} ENABLE", pair.name))


def renew(pair: Pair) -> None:
    """Follow on from where `hold` stopped, with the tables that there are now.

    REFRESH PUBLICATION will not do: it is refused while the subscription is held, and what comes
    between to a table that it does not know is passed over in silence. So the subscription is made
    anew over the same slot: without a copy, and with the place in the log that it had. The place
    goes with the subscription, so that the new one has it before the old one is dropped: cut off
    anywhere, this can be run again, after `finish_renewal`.
    """
    after = _after(pair)
    finish_renewal(pair)
    ((place,),) = _all(pair.new, _PLACE, [pair.name])
    _do(
        pair.new,
        _subscription(pair, after, "copy_data = false, create_slot = false, enabled = false"),
    )
    if place is not None:
        _do(pair.new, sql.SQL(_ADVANCE), [place, after])
    _drop_but_its_slot(pair, pair.name)
    _do(pair.new, _sql("ALTER SUBSCRIPTION {} RENAME TO {}", after, pair.name))
    go_on(pair)


def finish_renewal(pair: Pair) -> None:
    """After a `renew` that was cut off: leave one subscription, held, with its place in the log."""
    after = _after(pair)
    there = _subscriptions(pair)
    if after in there and pair.name in there:
        _drop_but_its_slot(pair, after)
    elif after in there:
        _do(pair.new, _sql("ALTER SUBSCRIPTION {} RENAME TO {}", after, pair.name))


def _after(pair: Pair) -> str:
    return f"{pair.name}_renewed"


def _subscriptions(pair: Pair) -> dict[str, bool]:
    """Return those of the pair by name, and whether each is enabled."""
    query = """
        SELECT subname, subenabled FROM pg_subscription WHERE subname = ANY (%s) AND subdbid =
            (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    return dict(_all(pair.new, query, [[pair.name, _after(pair)]]))


def _drop_but_its_slot(pair: Pair, name: str) -> None:
    _do(pair.new, _sql("ALTER SUBSCRIPTION {} SET (slot_name = NONE)", name))
    _do(pair.new, _sql("DROP SUBSCRIPTION {}", name))


def wait_until_level_or_stuck(pair: Pair) -> bool:
    """Wait until the new server has all, or cannot go on; True if it has all.

    Stuck it is where the old server has a table or a column already that the new one lacks.
    """
    try:
        wait_until_level(pair)
    except Stuck:
        return False
    return True


@dataclass(frozen=True)
class Standing:
    """How far the new server is: tables copied, of how many; bytes of log behind; errors met."""

    copied: int
    tables: int
    behind: int | None
    errors: int


def standing(pair: Pair) -> Standing:
    """Return how far the new server is; UserError where it does not follow at all."""
    query = """
        SELECT count(*) FILTER (WHERE srsubstate = 'r'), count(*),
            (SELECT apply_error_count + sync_error_count FROM pg_stat_subscription_stats
            WHERE subname = %(name)s)
        FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
        WHERE subname = %(name)s AND subdbid =
            (SELECT oid FROM pg_database WHERE datname = current_database())
        HAVING count(*) > 0
    """
    found = _all(pair.new, query, {"name": pair.name})
    if not found and _after(pair) in _subscriptions(pair):
        raise _cut_off()
    if not found:
        raise UserError(f"the new database has no subscription {pair.name}\nBegin first.")
    behind = _all(
        pair.old,
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint "
        "FROM pg_stat_replication WHERE application_name = %s",
        [pair.name],
    )
    copied, number, errors = found[0]
    return Standing(copied, number, behind[0][0] if behind else None, errors or 0)


def wait_until_copied(pair: Pair, tell: Callable[[Standing], None] = lambda _: None) -> None:
    """Wait until each table has been copied, and the new server follows."""
    at_first = standing(pair).errors
    deadline = time.monotonic() + pair.patience
    while (now := standing(pair)).copied < now.tables or now.behind is None:
        tell(now)
        _look_out(pair, now, at_first, deadline)
        time.sleep(POLL)
    tell(now)


def wait_until_level(pair: Pair) -> None:
    """Wait until all that was committed on the old server so far is in the new one."""
    with pair.old.cursor() as cursor:
        # A message of our own, whose commit also flushes what asynchronous ones left unflushed.
        cursor.execute("SET synchronous_commit = on")
        cursor.execute("SELECT pg_logical_emit_message(true, 'pgproof', '')")
        cursor.execute("SELECT pg_current_wal_flush_lsn()")
        ((target,),) = cursor.fetchall()
    at_first = standing(pair).errors
    deadline = time.monotonic() + pair.patience
    reached = "SELECT replay_lsn >= %s::pg_lsn FROM pg_stat_replication WHERE application_name = %s"
    while _all(pair.old, reached, [target, pair.name]) != [(True,)]:
        _look_out(pair, standing(pair), at_first, deadline)
        time.sleep(APPLY_POLL)


def _cut_off() -> UserError:
    return UserError(
        "the new server is held, and follows no further\n"
        "Was `replicate migrate` cut off? Run it again: it goes on from there."
    )


def _look_out(pair: Pair, now: Standing, errors_at_first: int, deadline: float) -> None:
    if now.errors > errors_at_first:
        raise Stuck(
            "the new server cannot take over a row; its log says why (it tries again by itself)\n"
            "A change of the schema on one side alone? Mend that, and run this again."
        )
    if is_held(pair):
        raise _cut_off()
    if time.monotonic() > deadline:
        raise UserError(
            f"not there after {pair.patience:.0f} s: {now.copied} of {now.tables} tables copied, "
            f"{'not connected' if now.behind is None else f'{now.behind} bytes behind'}\n"
            "See the new server's log, or wait longer; nothing was changed on the old one."
        )


# The end --------------------------------------------------------------------------------


def copy_sequences(pair: Pair) -> int:
    """Set each sequence of the new server to where the old one's stands; return how many.

    One that is further already stays: a switch that was cut off after it had opened the new
    database may be run again while clients write there.
    """
    query = """
        SELECT format('%I.%I', schemaname, sequencename), sign(increment_by) FROM pg_sequences
        WHERE schemaname !~ '^pg_' ORDER BY 1
    """
    sequences = _all(pair.old, query)
    for name, direction in sequences:
        (old,), (new,) = (
            _all(side, f"SELECT last_value, is_called FROM {name}") for side in (pair.old, pair.new)
        )
        if (old[0] * direction, old[1]) > (new[0] * direction, new[1]):
            _all(pair.new, "SELECT setval(%s, %s, %s)", [name, *old])
    return len(sequences)


def copy_history(pair: Pair) -> None:
    """Make yoyo's history on the new server what it is on the old one."""
    import io

    with pair.new.cursor() as to, pair.old.cursor() as source:
        for name in history_tables(pair.old):
            text = io.StringIO()
            source.copy_expert(f"COPY {name} TO STDOUT", text)
            text.seek(0)
            to.execute(f"BEGIN; DELETE FROM {name}")
            to.copy_expert(f"COPY {name} FROM STDIN", text)
            to.execute("COMMIT")


def close_old(pair: Pair, but: Sequence[int]) -> None:
    """Let new sessions of the old database only read, and end those that are there."""
    with pair.old.cursor() as cursor:
        cursor.execute(_altered(pair.old, "SET default_transaction_read_only = on"))
        since = _one(pair.old, "SELECT clock_timestamp()")
        kept = [pair.old.info.backend_pid, *but]
        deadline = time.monotonic() + 30
        while left := _all(pair.old, _OTHERS, [kept, since]):
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM unnest(%s) pid", [[pid for (pid,) in left]]
            )
            if time.monotonic() > deadline:
                raise UserError(f"sessions of the old database do not end: {left}\nTry again.")
            time.sleep(POLL)


def reopen_old(pair: Pair) -> None:
    """Let the old database be written to again."""
    _open(pair.old)


def open_new(pair: Pair) -> None:
    """Let the new database be written to, if it was kept for readers."""
    _open(pair.new)


def _open(connection: extensions.connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_altered(connection, "RESET default_transaction_read_only"))


def end(pair: Pair) -> bool:
    """Drop the subscription with its slot, and the publication; False if there was none."""
    there = _subscriptions(pair)
    finish_renewal(pair)
    if there:
        _do(pair.new, _sql("ALTER SUBSCRIPTION {} DISABLE", pair.name))
        _do(pair.new, _sql("DROP SUBSCRIPTION {}", pair.name))
    _do(pair.old, _sql("DROP PUBLICATION IF EXISTS {}", pair.name))
    # Of a subscription that was being made, or made anew, and not finished.
    _all(
        pair.old,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE slot_name = %s AND NOT active",
        [pair.name],
    )
    return bool(there)


# Shared ---------------------------------------------------------------------------------


def _sql(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


def _do(connection: extensions.connection, statement: sql.Composable, values: Any = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _altered(connection: extensions.connection, what: str) -> sql.Composed:
    database = sql.Identifier(connection.info.dbname)
    return sql.SQL("ALTER DATABASE {} {}").format(database, sql.SQL(what))


def again(connection: extensions.connection) -> extensions.connection:
    """Return one more connection to the same place, as the same user, not in autocommit."""
    made: extensions.connection = psycopg2.connect(**told(connection))  # type: ignore[call-overload]
    writable(made).autocommit = False
    return made


def writable(connection: extensions.connection) -> extensions.connection:
    """Make a session autocommit, and let it write where a database lets nobody else."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
    return connection


def told(connection: extensions.connection) -> dict[str, str]:
    """Return the parameters of libpq that a connection was made with, its password included."""
    found: dict[str, str] = dict(connection.get_dsn_parameters())
    return {**found, "password": connection.info.password} if connection.info.password else found


def _writers(connection: extensions.connection) -> str:
    found = _all(
        connection,
        "SELECT format('process %s of %s, since %s', pid, usename, xact_start) "
        "FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
        "ORDER BY xact_start LIMIT 3",
    )
    return "; ".join(text for (text,) in found) or "it has just ended"


def _all(connection: extensions.connection, query: str, values: Any = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def _one(connection: extensions.connection, query: str) -> Any:
    ((value,),) = _all(connection, query)
    return value
