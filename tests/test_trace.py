"""Laws of the trace: of each statement, the locks of PostgreSQL's manual, and what it does besides.

The modes are those of "Table-Level Locks", and of the reference page of each statement.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from database import Database
from pgproof import database, migrations, runner, trace
from pgproof.backend import PgproofBackend
from pgproof.errors import UserError
from pgproof.trace import Effect

BASE = """
CREATE SCHEMA s;
CREATE TABLE s.t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n integer, name varchar(10));
CREATE INDEX t_n_idx ON s.t (n);
CREATE TABLE s.other (id integer PRIMARY KEY, t_id integer);
CREATE TABLE s.p (a integer) PARTITION BY LIST (a);
CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES IN (1);
CREATE TABLE s.alone (a integer);
CREATE MATERIALIZED VIEW s.m AS SELECT n FROM s.t;
CREATE UNIQUE INDEX m_idx ON s.m (n);
CREATE SEQUENCE s.q;
CREATE FUNCTION s.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
INSERT INTO s.t (n) VALUES (1), (2);
INSERT INTO s.alone VALUES (2);
ALTER TABLE s.t ADD CONSTRAINT t_check CHECK (n > 0) NOT VALID;
"""

T = "s.t"
EXCLUSIVE = {T: "ACCESS EXCLUSIVE"}
BOTH = ["s.t_n_idx", "s.t_pkey"]

# The locks, and after them what is rewritten, read as a whole, and built.
STATEMENTS: dict[str, tuple[dict[str, str], list[str], list[str], list[str]]] = {
    "SELECT * FROM s.t": ({T: "ACCESS SHARE"}, [], [], []),
    "CREATE VIEW s.v AS SELECT n FROM s.t": ({T: "ACCESS SHARE"}, [], [], []),
    "SELECT * FROM s.t FOR UPDATE": ({T: "ROW SHARE"}, [], [], []),
    "INSERT INTO s.t (n) VALUES (3)": ({T: "ROW EXCLUSIVE"}, [], [], []),
    "UPDATE s.t SET n = 3": ({T: "ROW EXCLUSIVE"}, [], [], []),
    "DELETE FROM s.t": ({T: "ROW EXCLUSIVE"}, [], [], []),
    "ANALYZE s.t": ({T: "SHARE UPDATE EXCLUSIVE"}, [], [], []),
    "CREATE STATISTICS s.st ON id, n FROM s.t": ({T: "SHARE UPDATE EXCLUSIVE"}, [], [], []),
    "COMMENT ON TABLE s.t IS 'A.'": ({T: "SHARE UPDATE EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.t SET (fillfactor = 70)": ({T: "SHARE UPDATE EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.t ALTER n SET STATISTICS 9": ({T: "SHARE UPDATE EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.t VALIDATE CONSTRAINT t_check": (
        {T: "SHARE UPDATE EXCLUSIVE"}, [], [T], []),
    "CREATE INDEX t_name_idx ON s.t (name)": ({T: "SHARE"}, [], [T], ["s.t_name_idx"]),
    "REINDEX TABLE s.t": ({T: "SHARE"}, [], [], BOTH),
    "CREATE TRIGGER t BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.noop()": (
        {T: "SHARE ROW EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.t DISABLE TRIGGER USER": ({T: "SHARE ROW EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.other ADD FOREIGN KEY (t_id) REFERENCES s.t": (
        {T: "SHARE ROW EXCLUSIVE", "s.other": "SHARE ROW EXCLUSIVE"}, [], ["s.other"], []),
    "ALTER TABLE s.other ADD FOREIGN KEY (t_id) REFERENCES s.t NOT VALID": (
        {T: "SHARE ROW EXCLUSIVE", "s.other": "SHARE ROW EXCLUSIVE"}, [], [], []),
    "ALTER SEQUENCE s.q INCREMENT 2": ({"s.q": "SHARE ROW EXCLUSIVE"}, [], [], []),
    "REFRESH MATERIALIZED VIEW CONCURRENTLY s.m": (
        {"s.m": "EXCLUSIVE", T: "ACCESS SHARE"}, [], ["s.m", T], []),
    "REFRESH MATERIALIZED VIEW s.m": (
        {"s.m": "ACCESS EXCLUSIVE", T: "ACCESS SHARE"}, ["s.m"], ["s.m", T], ["s.m_idx"]),
    "LOCK TABLE s.t IN EXCLUSIVE MODE": ({T: "EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.t ADD c text": (EXCLUSIVE, [], [], []),
    "ALTER TABLE s.t ADD c text DEFAULT 'x'": (EXCLUSIVE, [], [], []),
    "ALTER TABLE s.t ADD c uuid DEFAULT gen_random_uuid()": (EXCLUSIVE, [T], [T], BOTH),
    "ALTER TABLE s.t DROP n CASCADE": (
        {**EXCLUSIVE, "s.m": "ACCESS EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.t ALTER name TYPE varchar(20)": (EXCLUSIVE, [], [], []),
    "ALTER TABLE s.t ALTER name TYPE varchar(5)": (EXCLUSIVE, [T], [T], BOTH),
    "ALTER TABLE s.t ALTER n SET DEFAULT 5": (EXCLUSIVE, [], [], []),
    "ALTER TABLE s.t ALTER n SET NOT NULL": (EXCLUSIVE, [], [T], []),
    "ALTER TABLE s.t ADD CHECK (n < 9)": (EXCLUSIVE, [], [T], []),
    "ALTER TABLE s.t ADD CHECK (n < 9) NOT VALID": (EXCLUSIVE, [], [], []),
    "ALTER TABLE s.t ADD UNIQUE (name)": (EXCLUSIVE, [], [T], ["s.t_name_key"]),
    "ALTER TABLE s.t RENAME TO u": (EXCLUSIVE, [], [], []),
    "ALTER TABLE s.t SET UNLOGGED": (EXCLUSIVE, [T], [T], BOTH),
    "CREATE POLICY p ON s.t": (EXCLUSIVE, [], [], []),
    "TRUNCATE s.t": (EXCLUSIVE, [T], [], BOTH),
    "DROP INDEX s.t_n_idx": (EXCLUSIVE, [], [], []),
    "CLUSTER s.t USING t_pkey": (EXCLUSIVE, [T], [T], BOTH),
    "DROP TABLE s.other": ({"s.other": "ACCESS EXCLUSIVE"}, [], [], []),
    "ALTER TABLE s.p ATTACH PARTITION s.alone FOR VALUES IN (2)": (
        {"s.p": "SHARE UPDATE EXCLUSIVE", "s.alone": "ACCESS EXCLUSIVE"}, [], ["s.alone"], []),
    "CREATE INDEX p_a_idx ON s.p (a)": (
        {"s.p": "SHARE"}, [], ["s.p1"], ["s.p1_a_idx", "s.p_a_idx"]),
    "CREATE TABLE s.new (a integer PRIMARY KEY)": ({}, [], [], []),
    "CREATE TYPE s.kind AS ENUM ('a')": ({}, [], [], []),
}  # fmt: skip

# Outside a transaction: locks that DDL would wait for, and the strongest of each.
OUTSIDE: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "CREATE INDEX CONCURRENTLY t_name_idx ON s.t (name)": (
        {T: "SHARE UPDATE EXCLUSIVE"}, [], ["s.t_name_idx"]),
    "DROP INDEX CONCURRENTLY s.t_n_idx": ({T: "SHARE UPDATE EXCLUSIVE"}, [], []),
    "REINDEX TABLE CONCURRENTLY s.t": ({T: "SHARE UPDATE EXCLUSIVE"}, [], BOTH),
    "VACUUM s.t": ({T: "SHARE UPDATE EXCLUSIVE"}, [], []),
    "VACUUM FULL s.t": ({T: "ACCESS EXCLUSIVE"}, [T], BOTH),
    "CREATE INDEX t_name_idx ON s.t (name)": ({T: "SHARE"}, [], ["s.t_name_idx"]),
    "ALTER TABLE s.t ADD c text": (EXCLUSIVE, [], []),
    "ALTER TABLE s.t ALTER name TYPE text COLLATE \"C\"": (EXCLUSIVE, [], []),
    "ALTER TABLE s.t ALTER name TYPE varchar(5)": (EXCLUSIVE, [T], BOTH),
    "ALTER TABLE s.t VALIDATE CONSTRAINT t_check": ({T: "SHARE UPDATE EXCLUSIVE"}, [], []),
    "TRUNCATE s.t, s.other": (
        {**EXCLUSIVE, "s.other": "ACCESS EXCLUSIVE"}, ["s.other", T], ["s.other_pkey", *BOTH]),
    "ALTER TABLE s.other ADD FOREIGN KEY (t_id) REFERENCES s.t": (
        {T: "SHARE ROW EXCLUSIVE", "s.other": "SHARE ROW EXCLUSIVE"}, [], []),
    "INSERT INTO s.t (n) VALUES (3)": ({}, [], []),
    "SELECT * FROM s.t": ({}, [], []),
}  # fmt: skip

Traced = Callable[[str], list[Effect]]


@pytest.fixture
def backend(db: Database) -> Iterator[PgproofBackend]:
    db.query(BASE)
    named = database.Database({**db.parameters}, "the test")
    with runner.open_backend(named, {"lock_timeout": "5s"}, {}) as opened:
        yield opened


@pytest.fixture
def traced(backend: PgproofBackend, tmp_path: Path) -> Traced:
    """Runs the text of a migration, and returns what its statements did."""

    def run(text: str) -> list[Effect]:
        number = len(list(tmp_path.glob("*.sql")))
        (tmp_path / f"{number:04}_traced.sql").write_text(text, encoding="utf-8")
        *_, migration = migrations.read([tmp_path])
        with backend.changing(), trace.traced(backend) as seen:
            backend.run_one(migration, "apply")
        return seen

    return run


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statement_takes_the_locks_of_the_manual(statement: str, traced: Traced) -> None:
    (effect,) = traced(statement)
    locks, rewrites, scans, builds = STATEMENTS[statement]
    seen = (dict(effect.locks), list(effect.rewrites), [name for name, _ in effect.builds])
    assert seen == (locks, rewrites, builds)
    assert list(effect.scans) == sorted(scans)
    assert effect.text == statement


@pytest.mark.parametrize("statement", OUTSIDE)
def test_so_it_does_outside_a_transaction(statement: str, traced: Traced) -> None:
    (effect,) = traced(f"-- transactional: false\n{statement}")
    locks, rewrites, builds = OUTSIDE[statement]
    seen = (dict(effect.locks), list(effect.rewrites), [name for name, _ in effect.builds])
    assert seen == (locks, rewrites, builds)
    assert effect.scans == ()


def test_each_statement_has_its_own(traced: Traced) -> None:
    """A lock that an earlier one holds is not told again; what the migration makes is not told."""
    effects = traced(
        "SELECT * FROM s.t;\nALTER TABLE s.t ADD c text;\n\nALTER TABLE s.t ADD d text;\n"
        "CREATE TABLE s.new (a integer);\nALTER TABLE s.new ADD b uuid DEFAULT gen_random_uuid();\n"
        "CREATE INDEX ON s.new (a);\nUPDATE s.other SET t_id = 1;"
    )
    assert [effect.line for effect in effects] == [1, 2, 4, 5, 6, 7, 8]
    assert [dict(effect.locks) for effect in effects] == [
        {T: "ACCESS SHARE"}, EXCLUSIVE, {}, {}, {}, {}, {"s.other": "ROW EXCLUSIVE"},
    ]  # fmt: skip
    assert not any(effect.rewrites or effect.builds or effect.scans for effect in effects)
    assert trace.strongest(effects) == {**EXCLUSIVE, "s.other": "ROW EXCLUSIVE"}


def test_table_speaks_for_its_sequence(traced: Traced) -> None:
    """Of an identity column or a serial; one that stands alone is named."""
    (effect,) = traced("DROP TABLE s.t CASCADE")
    assert dict(effect.locks) == {**EXCLUSIVE, "s.m": "ACCESS EXCLUSIVE"}


def test_sequence_is_named_where_its_table_is_not(traced: Traced) -> None:
    (effect,) = traced("ALTER SEQUENCE s.t_id_seq RESTART")
    assert dict(effect.locks) == {"s.t_id_seq": "SHARE ROW EXCLUSIVE"}


def test_table_speaks_for_its_partitions(traced: Traced) -> None:
    """Of a statement outside a transaction too."""
    (effect,) = traced("ALTER TABLE s.p ADD c text")
    assert dict(effect.locks) == {"s.p": "ACCESS EXCLUSIVE"}
    (effect,) = traced("-- transactional: false\nTRUNCATE s.p")
    assert dict(effect.locks) == {"s.p": "ACCESS EXCLUSIVE"}


def test_partition_is_named_where_its_table_has_a_weaker_lock(traced: Traced) -> None:
    (effect,) = traced("ALTER TABLE s.p1 SET (fillfactor = 70)")
    assert dict(effect.locks) == {"s.p1": "SHARE UPDATE EXCLUSIVE"}
    effects = traced("SELECT * FROM s.p;\nTRUNCATE s.p1")
    assert trace.strongest(effects) == {"s.p": "ACCESS SHARE", "s.p1": "ACCESS EXCLUSIVE"}


def test_strange_names(db: Database, traced: Traced) -> None:
    db.query('CREATE SCHEMA "S 1"; CREATE TABLE "S 1"."a.b%s" (a integer)')
    (effect,) = traced('ALTER TABLE "S 1"."a.b%s" ADD b text')
    assert dict(effect.locks) == {'"S 1"."a.b%s"': "ACCESS EXCLUSIVE"}
    (effect,) = traced('-- transactional: false\nALTER TABLE "S 1"."a.b%s" ADD c text')
    assert dict(effect.locks) == {'"S 1"."a.b%s"': "ACCESS EXCLUSIVE"}


def test_nothing_stays_in_the_way(db: Database, traced: Traced) -> None:
    """Neither after a statement that failed outside a transaction, nor is it traced any more."""
    with pytest.raises(UserError, match="division by zero"):
        traced("-- transactional: false\nSELECT 1 / 0")
    other = db.connect(options="-c lock_timeout=1s")
    other.cursor().execute("ALTER TABLE s.t ADD c text; ALTER TABLE s.other ADD c text")
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert db.value(sessions) <= 4  # ours, its monitor, and two of the test: no guard


def test_modes_are_told_from_the_weakest_on(db: Database) -> None:
    """Each conflicts with at least as much as the one before it, and is told as the server does."""
    one, other = db.connect(), db.connect(options="-c lock_timeout=1ms")
    one.autocommit = other.autocommit = False
    db.query("CREATE TABLE t ()")
    conflicts = []
    for mode in trace.MODES:
        number = 0
        for against in trace.MODES:
            one.cursor().execute(f"LOCK TABLE t IN {mode} MODE")
            try:
                other.cursor().execute(f"LOCK TABLE t IN {against} MODE")
            except psycopg2.errors.LockNotAvailable:
                number += 1
            one.rollback()
            other.rollback()
        conflicts.append(number)
    assert conflicts == sorted(conflicts)
    assert set(trace.BLOCKS) == set(trace.MODES)
