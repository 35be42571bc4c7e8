"""Laws of the audit log's partitions: nobody waits, no entry is lost, refused or given an id twice.

Every test begins at 0010 or 0011, whatever comes after.
"""

import re
import sys
import threading
import time
from datetime import UTC, datetime

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, InsufficientPrivilege, RestrictViolation

from database import IDS, Database, run

APPEND = (
    "INSERT INTO docmeta.audit_log (entity_type, entity_id, action, new_row, occurred_at) "
    "VALUES ('tags', 1, 'insert', '{}', %s) RETURNING id"
)
BEFORE = next(name for name in IDS if name.startswith("0010"))
PARTITIONED = next(name for name in IDS if name.startswith("0011"))
PARTITIONS = """
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'docmeta.audit_log'::regclass ORDER BY relname
"""


def migrate(db: Database, *words: str, code: int | None = 0) -> str:
    """Run a command of `migrate`, and return all that it said."""
    done = run(sys.executable, "-m", "pgproof", *words, environment=db.environment, code=code)
    return done.stdout + done.stderr


@pytest.fixture
def before(db: Database) -> Database:
    """A database as 0010 leaves it."""
    migrate(db, "up", "--to", BEFORE)
    return db


@pytest.fixture
def parted(db: Database) -> Database:
    """A database as 0011 leaves it."""
    migrate(db, "up", "--to", PARTITIONED)
    return db


def make(db: Database, ahead: int) -> list[str]:
    return [told for (told,) in db.query("SELECT docmeta.make_audit_log_months(%s)", [ahead])]


def make_all(db: Database, ahead: int) -> list[str]:
    """Make months until there is nothing left to do."""
    told: list[str] = []
    while more := make(db, ahead):
        told += more
    return told


def partitions(db: Database) -> list[str]:
    return [name.removeprefix("audit_log_") for (name,) in db.query(PARTITIONS)]


def month(ahead: int) -> str:
    """Return the month that is so many ahead, as a partition is named."""
    now = datetime.now(UTC)
    number = now.year * 12 + now.month - 1 + ahead
    return f"{number // 12}_{number % 12 + 1:02}"


def start(ahead: int) -> str:
    return f"{month(ahead).replace('_', '-')}-01 00:00:00+00"


def place(db: Database, id_: int) -> str:
    """Return the partition that an entry lies in."""
    name = db.value("SELECT tableoid::regclass::text FROM docmeta.audit_log WHERE id = %s", [id_])
    assert isinstance(name, str)
    return name.removeprefix("docmeta.audit_log_")


class Writers:
    """Sessions that append by trigger and by a prepared statement until they are stopped."""

    def __init__(self, db: Database) -> None:
        self.acknowledged: list[list[int]] = [[], [], []]
        self.errors: list[Exception] = []
        self.longest = 0.0
        self._stopped = threading.Event()
        self._db = db
        self._threads = [threading.Thread(target=self._write, args=[n]) for n in range(3)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.3)
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive()

    def _write(self, number: int) -> None:
        cursor = self._db.connect().cursor()
        cursor.execute(
            "PREPARE append AS INSERT INTO docmeta.audit_log (entity_type, entity_id, action, "
            "new_row) VALUES ('x', $1, 'insert', '{}') RETURNING id"
        )
        for step in range(100_000):
            if self._stopped.is_set():
                return
            began = time.monotonic()
            try:
                if number == 0:  # through the trigger of 0002
                    cursor.execute(
                        "INSERT INTO docmeta.tags (name) VALUES (%s) RETURNING id", [f"t{step}"]
                    )
                else:
                    cursor.execute("EXECUTE append (%s)", [step])
                (id_,) = cursor.fetchone() or (0,)
            except psycopg2.Error as error:
                self.errors.append(error)
                return
            self.acknowledged[number].append(id_)
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.001)

    def judge(self, db: Database) -> None:
        """Fail where a writer met an error, or one of his entries is lost or has another's id."""
        assert self.errors == []
        tags, *direct = self.acknowledged
        assert min(map(len, self.acknowledged)) > 20, "they wrote next to nothing"
        entries = db.query("SELECT id, entity_type, entity_id FROM docmeta.audit_log")
        ids = [id_ for id_, _, _ in entries]
        assert len(ids) == len(set(ids)), "an id was given twice"
        assert {i for i, kind, _ in entries if kind == "x"} == {i for part in direct for i in part}
        assert sorted(entity for _, kind, entity in entries if kind == "tags") == sorted(tags)


def test_writers_go_on_while_it_is_partitioned_and_put_together(before: Database) -> None:
    with Writers(before) as writers:
        migrate(before, "up", "--to", PARTITIONED)
        make_all(before, 1)
        make_all(before, 2)
        migrate(before, "down", "--to", BEFORE, "--yes")
        migrate(before, "up", "--to", PARTITIONED)
        assert make_all(before, 1)
    writers.judge(before)
    assert partitions(before) == ["default", "first"]
    assert writers.longest < 3


def test_writers_go_on_while_their_month_is_put_together(parted: Database) -> None:
    """The first partition is gone, and what they write lies in a month."""
    parted.query("DROP TABLE docmeta.audit_log_first")
    make_all(parted, 1)
    assert partitions(parted) == [month(0), month(1), "default"]
    with Writers(parted) as writers:
        migrate(parted, "down", "--to", BEFORE, "--yes")
        migrate(parted, "up", "--to", PARTITIONED)
    writers.judge(parted)


def entries_read(db: Database) -> int:
    """Return how many rows of the old table were read one after another so far."""
    db.query("SELECT pg_stat_force_next_flush()")
    query = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname ~ '^audit_log(_first)?$'"
    return sum(number for (number,) in db.query(query))


def test_nothing_is_read_or_copied(before: Database) -> None:
    for _ in range(10):
        before.query(APPEND, [start(0)])
    file = before.value("SELECT pg_relation_filenode('docmeta.audit_log')")
    read = entries_read(before)
    migrate(before, "up", "--to", PARTITIONED)
    assert before.value("SELECT pg_relation_filenode('docmeta.audit_log_first')") == file
    assert entries_read(before) == read
    make(before, 1)
    assert entries_read(before) - read == 10, "it looks for entries beyond the end"
    make(before, 1)
    read = entries_read(before)
    make(before, 1)
    assert entries_read(before) - read == 10, "the same, and then nothing under its lock"


def test_ids_go_on_both_ways(before: Database) -> None:
    before.query("SELECT setval('docmeta.audit_log_id_seq', 4711)")
    migrate(before, "up", "--to", PARTITIONED)
    assert before.value(APPEND, [start(0)]) == 4712
    migrate(before, "down", "--to", BEFORE, "--yes")
    assert before.value(APPEND, [start(0)]) == 4713
    assert before.value("SELECT pg_get_serial_sequence('docmeta.audit_log', 'id')") == (
        "docmeta.audit_log_id_seq"
    )


def test_a_reader_makes_it_give_way_and_it_comes_again(before: Database) -> None:
    reader = before.connect()
    reader.autocommit = False
    reader.cursor().execute("SELECT FROM docmeta.audit_log")
    before.query(APPEND, [start(0)])

    def leave() -> None:
        time.sleep(1.5)
        reader.rollback()

    thread = threading.Thread(target=leave)
    thread.start()
    with Writers(before) as writers:
        migrate(before, "up", "--to", PARTITIONED)
    thread.join()
    assert writers.errors == []
    assert writers.longest < 1, "writers wait behind it for no longer than its lock_timeout"


def test_rights_move_with_the_table(before: Database) -> None:
    """Also those that no migration knows; on a partition nobody but the owner has one."""
    before.query("CREATE ROLE parted_client LOGIN")
    try:
        before.query("GRANT USAGE ON SCHEMA docmeta TO parted_client")
        before.query("GRANT SELECT (id, actor) ON docmeta.audit_log TO parted_client")
        before.query("GRANT INSERT ON docmeta.audit_log TO parted_client WITH GRANT OPTION")
        before.query("GRANT SELECT ON SEQUENCE docmeta.audit_log_id_seq TO parted_client")
        held = """
            SELECT relname, relacl::text, ARRAY(SELECT attacl::text FROM pg_attribute
                WHERE attrelid = c.oid AND attacl IS NOT NULL ORDER BY attname)
            FROM pg_class c WHERE oid IN ('docmeta.audit_log'::regclass,
                'docmeta.audit_log_id_seq'::regclass) ORDER BY relname
        """
        rights = before.query(held)
        migrate(before, "up", "--to", PARTITIONED)

        def sorted_acl(rows: list[tuple[object, ...]]) -> list[list[str]]:
            return [sorted(re.findall(r'[^{},"\[\]\' ]+', str(row))) for row in rows]

        assert sorted_acl(before.query(held)) == sorted_acl(rights)
        make_all(before, 1)
        make_all(before, 2)
        granted = before.query("""
            SELECT relname FROM pg_class, aclexplode(relacl) WHERE grantee <> relowner
                AND relname LIKE 'audit_log_%' AND relkind = 'r'
        """)
        assert granted == []
        client = before.connect(user="parted_client").cursor()
        client.execute("SELECT id, actor FROM docmeta.audit_log")
        for name in partitions(before):
            with pytest.raises(InsufficientPrivilege):
                client.execute(f"SELECT id FROM docmeta.audit_log_{name}")
        migrate(before, "down", "--to", BEFORE, "--yes")
        assert sorted_acl(before.query(held)) == sorted_acl(rights)
    finally:
        before.query("DROP OWNED BY parted_client; DROP ROLE parted_client")


def test_what_default_privileges_grant_is_taken_from_a_partition(parted: Database) -> None:
    parted.query(
        "ALTER DEFAULT PRIVILEGES FOR ROLE docmeta_owner IN SCHEMA docmeta "
        "GRANT SELECT ON TABLES TO PUBLIC"
    )
    make_all(parted, 1)
    make_all(parted, 2)
    assert (
        parted.query(
            "SELECT relname FROM pg_class, aclexplode(relacl) WHERE grantee = 0 "
            "AND relname LIKE 'audit_log_%' AND relkind = 'r'"
        )
        == []
    )


@pytest.mark.parametrize(
    "follower",
    [
        "CREATE VIEW public.follower AS SELECT id FROM docmeta.audit_log",
        "CREATE PUBLICATION follower FOR TABLE docmeta.audit_log",
        "CREATE FUNCTION public.follower() RETURNS bigint LANGUAGE sql STABLE "
        "RETURN (SELECT count(*) FROM docmeta.audit_log)",
    ],
)
def test_who_would_follow_the_first_partition_alone_is_named(
    follower: str, before: Database
) -> None:
    before.query(follower)
    said = migrate(before, "up", "--to", PARTITIONED, code=1)
    assert "cannot become a partition" in said
    assert "follower" in said


def test_a_publication_does_not_lose_the_log_in_silence(parted: Database) -> None:
    """Dropped, the partitioned table would be gone from it."""
    parted.query("CREATE PUBLICATION follower FOR TABLE docmeta.audit_log")
    said = migrate(parted, "down", "--to", BEFORE, "--yes", code=1)
    assert "cannot become one table: publication" in said
    assert parted.query("SELECT tablename FROM pg_publication_tables") != []


def test_what_was_granted_on_is_moved_too(before: Database) -> None:
    before.query("CREATE ROLE parted_giver; CREATE ROLE parted_taker")
    try:
        before.query("""
            GRANT USAGE ON SCHEMA docmeta TO parted_giver;
            GRANT SELECT ON docmeta.audit_log TO parted_giver WITH GRANT OPTION;
            SET ROLE parted_giver;
            GRANT SELECT ON docmeta.audit_log TO parted_taker;
            RESET ROLE
        """)
        migrate(before, "up", "--to", PARTITIONED)
        held = "SELECT has_table_privilege('parted_taker', 'docmeta.{}', 'SELECT')"
        assert before.value(held.format("audit_log")) is True
        assert before.value(held.format("audit_log_first")) is False
        migrate(before, "down", "--to", BEFORE, "--yes")
        assert before.value(held.format("audit_log")) is True
    finally:
        before.query("DROP OWNED BY parted_giver CASCADE; DROP ROLE parted_giver")
        before.query("DROP OWNED BY parted_taker; DROP ROLE parted_taker")


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_no_partition_is_changed(statement: str, parted: Database) -> None:
    """Not by its own name, nor by a session that replicates; by the owner as by a superuser."""
    make_all(parted, 1)
    make_all(parted, 2)
    tables = ["audit_log", *(f"audit_log_{name}" for name in partitions(parted))]
    assert len(tables) == 4
    for role in ("docmeta_owner", "postgres"):
        session = parted.connect().cursor()
        session.execute(f"SET ROLE {role}" if role != "postgres" else "RESET ROLE")
        for table in tables:
            if role == "postgres":
                session.execute("SET session_replication_role = replica")
            with pytest.raises(RestrictViolation, match="append-only"):
                session.execute(statement.format(f"docmeta.{table}"))


def test_only_the_owner_and_retention_make_and_drop_months(parted: Database) -> None:
    for role in ("ingest", "app", "reader", "auditor"):
        session = parted.connect().cursor()
        session.execute(f"SET ROLE docmeta_{role}")
        for call in ("make_audit_log_months(1)", "drop_audit_log_months('1 year')"):
            with pytest.raises(InsufficientPrivilege):
                session.execute(f"SELECT docmeta.{call}")
    session = parted.connect().cursor()
    session.execute("SET ROLE docmeta_retention")
    session.execute("SELECT docmeta.make_audit_log_months(1)")
    session.execute("SELECT docmeta.drop_audit_log_months('1 year')")


# Months -----------------------------------------------------------------------------------


def test_the_first_partition_is_given_an_end_in_three_calls(parted: Database) -> None:
    with Writers(parted) as writers:
        (one,), (two,), (three,) = make(parted, 2), make(parted, 2), make(parted, 2)
        assert make(parted, 2) == []
    writers.judge(parted)
    assert [told.split(" 2")[0] for told in (one, two, three)] == [
        "audit_log_first is to end at",
        "audit_log_first was read, and does end at",
        "audit_log_first ends at",
    ]
    assert all(start(3)[:10] in told for told in (one, two, three))
    assert partitions(parted) == ["default", "first"]
    assert make(parted, 4) == [f"audit_log_{month(n)} is made" for n in (3, 4)]
    assert place(parted, parted.value(APPEND, [start(3)])) == month(3)
    assert place(parted, parted.value(APPEND, [start(4)])) == month(4)
    assert place(parted, parted.value(APPEND, [start(5)])) == "default"
    assert "audit_log_end_check" not in str(parted.query("SELECT conname FROM pg_constraint"))


def test_no_append_fails_between_the_calls(parted: Database) -> None:
    for _ in range(4):
        parted.query(APPEND, [start(0)])
        make(parted, 1)
        parted.query(APPEND, ["now"])


def test_an_end_that_comes_near_is_put_off(parted: Database) -> None:
    """Who made the first call and no other, and calls again as the end is there."""
    parted.query(
        "ALTER TABLE docmeta.audit_log_first ADD CONSTRAINT audit_log_end_check "
        "CHECK (occurred_at < '2020-01-01 00:00:00+00') NOT VALID"
    )
    with pytest.raises(CheckViolation):
        parted.query(APPEND, ["now"])
    assert "is to end at" in make(parted, 1)[0]
    parted.query(APPEND, ["now"])
    assert make_all(parted, 1)


def test_a_clock_that_was_wrong_is_told(parted: Database) -> None:
    """An entry of far ahead cannot lie before the end; nothing fails for it, then or later."""
    make(parted, 1)
    parted.query("ALTER TABLE docmeta.audit_log_first DROP CONSTRAINT audit_log_end_check")
    id_ = parted.value(APPEND, ["2400-01-01"])
    session = parted.connect()
    session.cursor().execute("SELECT docmeta.make_audit_log_months(1)")
    assert "has an entry of 2400-01-01" in session.notices[-1]
    assert partitions(parted) == ["default", "first"]
    parted.query(APPEND, [start(11)])
    assert place(parted, id_) == "first"


def test_months_that_lacked_are_given_to_what_the_default_holds(parted: Database) -> None:
    make_all(parted, 1)
    ids = [parted.value(APPEND, [start(n)]) for n in (2, 3)]
    assert [place(parted, id_) for id_ in ids] == ["default", "default"]
    with Writers(parted) as writers:
        told = make_all(parted, 3)
    assert writers.errors == []
    assert len(told) == 3, told
    assert [place(parted, id_) for id_ in ids] == [f"from_{month(2)}"] * 2
    assert partitions(parted) == ["default", "first", f"from_{month(2)}"]
    assert place(parted, parted.value(APPEND, [start(4)])) == "default"
    indexes = parted.query(
        "SELECT c.relname, t.relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "JOIN pg_class t ON t.oid = indrelid WHERE t.relname LIKE 'audit_log_%'"
    )
    assert [pair for pair in indexes if not str(pair[0]).startswith(f"{pair[1]}_")] == []
    with pytest.raises(RestrictViolation):
        parted.query(f"TRUNCATE docmeta.audit_log_from_{month(2)}")
    with pytest.raises(RestrictViolation):
        parted.query("TRUNCATE docmeta.audit_log_default")


def test_who_makes_months_at_the_same_time_makes_them_once(parted: Database) -> None:
    make_all(parted, 1)
    errors: list[Exception] = []

    def call() -> None:
        cursor = parted.connect().cursor()
        for _ in range(20):
            try:
                cursor.execute("SELECT docmeta.make_audit_log_months(12)")
                return
            except psycopg2.errors.LockNotAvailable:
                time.sleep(0.05)
            except psycopg2.Error as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert partitions(parted) == [*sorted(month(n) for n in range(2, 13)), "default", "first"]


@pytest.mark.parametrize(
    "settings",
    [
        "-c timezone=Pacific/Kiritimati",
        "-c datestyle=German",
        "-c standard_conforming_strings=off -c escape_string_warning=off",
        "-c quote_all_identifiers=on",
    ],
)
def test_a_month_is_one_of_utc_whoever_asks(settings: str, parted: Database) -> None:
    session = parted.connect(options=settings).cursor()
    for ahead in (1, 1, 1, 2):
        session.execute("SELECT docmeta.make_audit_log_months(%s)", [ahead])
    parted.query("SET timezone = 'UTC'")
    assert parted.query("SELECT * FROM docmeta.audit_log_partitions()")[1:] == [
        (
            f"audit_log_{month(2)}",
            datetime.fromisoformat(start(2)),
            datetime.fromisoformat(start(3)),
        )
    ]


@pytest.fixture
def old(parted: Database) -> tuple[Database, list[int]]:
    """A log that began three months ago, with an entry in each of its months."""
    parted.query("DROP TABLE docmeta.audit_log_first")
    ids = []
    for ago in (-3, -2, -1, 0):
        name = f"docmeta.audit_log_{month(ago)}"
        parted.query(
            f"CREATE TABLE {name} PARTITION OF docmeta.audit_log "
            f"FOR VALUES FROM ('{start(ago)}') TO ('{start(ago + 1)}')"
        )
        parted.query(f"ALTER TABLE {name} OWNER TO docmeta_owner")
        parted.query(
            "SELECT docmeta.guard_audit_log_partition(%s, 'x')", [f"audit_log_{month(ago)}"]
        )
        ids.append(parted.value(APPEND, [start(ago)]))
    return parted, ids


def test_whole_months_past_are_dropped_and_no_other(old: tuple[Database, list[int]]) -> None:
    db, ids = old
    assert db.query("SELECT docmeta.drop_audit_log_months('10 years')") == []
    dropped = db.query("SELECT docmeta.drop_audit_log_months('1 month')")
    assert dropped == [(f"audit_log_{month(ago)}",) for ago in (-3, -2)]
    assert db.query("SELECT id FROM docmeta.audit_log ORDER BY id") == [(id_,) for id_ in ids[2:]]


@pytest.mark.parametrize("keep", [None, "0", "27 days", "-1 year", "-100 years 36200 days"])
def test_retention_is_a_month_at_least(keep: str | None, parted: Database) -> None:
    with pytest.raises(psycopg2.errors.InvalidParameterValue):
        parted.query("SELECT docmeta.drop_audit_log_months(%s)", [keep])


def test_what_lies_in_the_last_partition_stays(old: tuple[Database, list[int]]) -> None:
    """Also where no month was made for long."""
    db, _ = old
    for ago in (0, -1, -2):
        db.query(f"DROP TABLE docmeta.audit_log_{month(ago)}")
    assert db.query("SELECT docmeta.drop_audit_log_months('1 month')") == []
    assert partitions(db) == [month(-3), "default"]


def test_a_reader_is_waited_for_no_longer_than_the_lock_timeout(
    old: tuple[Database, list[int]],
) -> None:
    db, _ = old
    reader = db.connect()
    reader.autocommit = False
    reader.cursor().execute("SELECT FROM docmeta.audit_log")
    began = time.monotonic()
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        db.query("SELECT docmeta.drop_audit_log_months('1 month')")
    assert time.monotonic() - began < 1
    reader.rollback()
    assert db.query("SELECT docmeta.drop_audit_log_months('1 month')")


def test_the_rollback_keeps_every_entry_though_the_first_partition_is_gone(
    old: tuple[Database, list[int]],
) -> None:
    db, ids = old
    ids.append(db.value(APPEND, ["2400-01-01"]))  # in the DEFAULT
    text = "SELECT to_jsonb(a)::text FROM docmeta.audit_log a ORDER BY id"
    entries = db.query(text)
    migrate(db, "down", "--to", BEFORE, "--yes")
    assert db.query(text) == entries
    assert len(entries) == len(ids) == 5
    assert db.value(APPEND, ["now"]) > ids[-1]
    assert "no drift" in migrate(db, "drift")


def test_all_the_way_down_and_up_with_months_in_use(docs: Database) -> None:
    """Past every later migration, which must do with partitions that no file made."""
    docs.query("DROP TABLE docmeta.audit_log_first")
    make_all(docs, 1)
    for when in ("now", start(1), "2400-01-01", "2020-01-01"):
        docs.query(APPEND, [when])
    text = "SELECT to_jsonb(a)::text FROM docmeta.audit_log a ORDER BY id"
    entries = docs.query(text)
    migrate(docs, "down", "--all", "--yes")
    migrate(docs, "up")
    assert docs.query(text) == entries
    assert partitions(docs) == ["default", "first"]
    assert docs.value("SELECT to_regnamespace('docmeta_parked')") is None


def test_months_are_no_drift_and_all_else_is(docs: Database) -> None:
    make_all(docs, 1)
    make_all(docs, 2)
    assert "no drift" in migrate(docs, "drift")
    docs.query("DROP TABLE docmeta.audit_log_first")
    assert "no drift" in migrate(docs, "drift")
    docs.query("ALTER TABLE docmeta.audit_log ADD extra text")
    assert "docmeta.audit_log.extra" in migrate(docs, "drift", code=1)
