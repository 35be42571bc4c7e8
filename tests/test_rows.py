"""Laws of the rows' text: each value that differs is seen, and nothing else is."""

from collections.abc import Callable, Iterator

import psycopg2
import pytest

from database import Database
from pgproof import rows
from pgproof.rows import Contents

# Every column has two values that are not the same, however alike they look.
VALUES = {
    "integer": ("1", "2"),
    "text": ("''", "NULL"),
    "numeric": ("1.0", "1.00"),
    "numeric(40, 20)": ("1.00000000000000000001", "1.00000000000000000002"),
    "bigint": ("9007199254740993", "9007199254740992"),
    "float8": ("0.1::float8 + 0.2::float8", "0.3"),
    "double precision": ("0.0", "'-0.0'"),
    "real": ("'NaN'", "'Infinity'"),
    "boolean": ("false", "NULL"),
    "timestamptz": ("'2026-01-01 00:00:00.000001+00'", "'2026-01-01 00:00:00+00'"),
    "interval": ("'1 day'", "'24 hours'"),
    "bytea": (r"'\x00'", r"'\x0000'"),
    "jsonb": ("'null'", "NULL"),
    "json": ("""'{"a": 1, "a": 2}'""", """'{"a": 2}'"""),
    "integer[]": ("'{1,2}'", "'[0:1]={1,2}'"),
    "text[]": ("'{NULL}'", """'{"NULL"}'"""),
    "int4range": ("'empty'", "'[1,2)'"),
    "uuid": ("'00000000-0000-4000-8000-000000000001'", "'00000000-0000-4000-8000-000000000002'"),
    "inet": ("'10.0.0.1/24'", "'10.0.0.1/32'"),
    "bit varying": ("B'0'", "B'00'"),
    "oid": ("1", "2"),
}

Read = Callable[[], Contents]


@pytest.fixture
def read(db: Database) -> Iterator[Read]:
    made = db.connect()
    yield lambda: rows.read(made)
    made.close()


def told(before: Contents, after: Contents, made: Contents | None = None) -> list[str]:
    return [loss.told for loss in rows.lost(before, after, made=made)]


@pytest.mark.parametrize("key", ["id integer PRIMARY KEY", "id integer"], ids=["key", "no key"])
def test_each_changed_value_is_seen(key: str, db: Database, read: Read) -> None:
    """Of each type, one value in one row of three; and to nobody else."""
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(VALUES))
    ones = ", ".join(one for one, _ in VALUES.values())
    db.query(f"CREATE TABLE t ({key}, {columns})")
    db.query(f"INSERT INTO t SELECT n, {ones} FROM generate_series(1, 3) n")
    before = read()
    assert before == read()
    for number, (kind, (one, other)) in enumerate(VALUES.items()):
        db.query(f"UPDATE t SET c{number} = {other} WHERE id = 2")
        assert told(before, read()) == [f"public.t.c{number}: 1 value"], kind
        db.query(f"UPDATE t SET c{number} = {one} WHERE id = 2")
        assert told(before, read()) == []


def test_order_of_rows_and_columns_makes_no_difference(db: Database, read: Read) -> None:
    db.query(
        "CREATE TABLE t (a integer, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y')"
    )
    before = read()
    db.query("DROP TABLE t; CREATE TABLE t (b text, a integer)")
    db.query("INSERT INTO t VALUES ('y', 2), ('x', 1), ('y', 2)")
    assert read() == before


def test_rows_are_counted(db: Database, read: Read) -> None:
    """Without a key two rows may be the same: one of them gone is a loss, one more is told."""
    db.query("CREATE TABLE t (a integer); INSERT INTO t VALUES (1), (1), (2)")
    before = read()
    db.query("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)")
    fewer = read()
    assert told(before, fewer) == ["public.t: 1 row"]
    nothing = rows.added(before, before)
    assert [loss.told for loss in rows.missing(before, fewer, nothing)] == ["public.t: 1 row"]
    assert told(fewer, before) == ["public.t: 1 row twice"]
    db.query("INSERT INTO t VALUES (3)")
    assert told(fewer, read()) == []
    db.query("DROP TABLE t")
    assert told(before, read()) == ["public.t: the table, with 3 rows"]


def test_loss_names_its_columns(db: Database, read: Read) -> None:
    db.query('CREATE TABLE t (id integer PRIMARY KEY, "B c" text); INSERT INTO t VALUES (1), (2)')
    before = read()
    db.query("DELETE FROM t WHERE id = 1")
    (loss,) = rows.lost(before, read())
    assert loss.columns == {"public.t.id", 'public.t."B c"'}
    db.query("INSERT INTO t VALUES (1, 'x')")
    (loss,) = rows.lost(before, read())
    assert loss.columns == {'public.t."B c"'}


def test_what_is_not_in_both_is_the_catalogs_matter(db: Database, read: Read) -> None:
    db.query("CREATE TABLE t (a integer, b text); INSERT INTO t VALUES (1, 'x'), (1, 'y')")
    before = read()
    db.query("ALTER TABLE t DROP b, ADD c text DEFAULT 'new'")
    assert told(before, read()) == []


def test_partitions_are_read_once_and_heirs_alone(db: Database, read: Read) -> None:
    db.query("CREATE TABLE p (a integer) PARTITION BY LIST (a)")
    db.query("CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)")
    db.query("CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (a)")
    db.query("CREATE TABLE p22 PARTITION OF p2 FOR VALUES IN (2)")
    db.query("CREATE TABLE parent (a integer); CREATE TABLE child (b integer) INHERITS (parent)")
    db.query("INSERT INTO p VALUES (1), (2), (2); INSERT INTO child VALUES (1, 2)")
    db.query("INSERT INTO parent VALUES (5)")
    found = {name: table.rows.total() for name, table in read().tables.items()}
    assert found == {"public.p": 3, "public.parent": 1, "public.child": 1}
    before = read()
    db.query("UPDATE p SET a = 1 WHERE a = 2")
    assert told(before, read()) == ["public.p: 2 rows"]


def test_generated_columns_and_dropped_ones(db: Database, read: Read) -> None:
    db.query("CREATE TABLE t (a integer, gone text, b integer GENERATED ALWAYS AS (a * 2) STORED)")
    db.query("ALTER TABLE t DROP gone; INSERT INTO t VALUES (1)")
    found = read().tables["public.t"]
    assert found.columns == found.filled == {"a", "b"}
    before = read()
    db.query("ALTER TABLE t ALTER b DROP EXPRESSION; UPDATE t SET b = 3")
    assert told(before, read()) == ["public.t.b: 1 value"]


def test_any_name_will_do(db: Database, read: Read) -> None:
    db.query('CREATE SCHEMA "S.1"; CREATE TABLE "S.1"."t %s;" ("select" int, t int, "a""b%I" int)')
    db.query('INSERT INTO "S.1"."t %s;" VALUES (1, 2, 3)')
    db.query("CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES")
    before = read()
    assert set(before.tables) == {'"S.1"."t %s;"', "public.nothing"}
    assert before.in_schema('"S.1"').tables.keys() == {'"S.1"."t %s;"'}
    assert before.in_schema('"S.1"', is_inside=False).tables.keys() == {"public.nothing"}
    db.query('UPDATE "S.1"."t %s;" SET "a""b%I" = 4')
    assert told(before, read()) == ['"S.1"."t %s;"."a""b%I": 1 value']


def test_many_tables_are_all_read(db: Database, read: Read) -> None:
    """More than fit into one query."""
    number = rows.AT_ONCE + 3
    for n in range(number):
        db.query(f"CREATE TABLE t{n} (id serial); INSERT INTO t{n} DEFAULT VALUES")
    found = read()
    assert len(found.tables) == len(found.sequences) == number
    assert {table.rows.total() for table in found.tables.values()} == {1}


def test_sequence_may_go_on_but_not_back(db: Database, read: Read) -> None:
    db.query("CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -1; SELECT nextval('up')")
    db.query("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY)")
    db.query("SELECT nextval('up'), nextval('down'), nextval('down'), nextval('t_id_seq')")
    before = read()
    db.query("SELECT nextval('up'), nextval('down')")
    assert told(before, read()) == []
    db.query("SELECT setval('up', 2), setval('down', -2)")
    assert told(before, read()) == []
    db.query("SELECT setval('up', 2, false), setval('down', -1)")
    assert told(before, read()) == [
        "public.down: the sequence went back from 3 to 2",
        "public.up: the sequence went back from 3 to 2",
    ]
    assert [loss.columns for loss in rows.lost(before, read())] == [set(), set()]
    db.query("SELECT setval('up', 2), setval('down', -2); ALTER TABLE t ALTER id RESTART")
    (loss,) = rows.lost(before, read())
    assert loss.columns == {"public.t.id"}


def test_own_rows_may_be_made_anew(db: Database, read: Read) -> None:
    """As many as they were, under keys of their own; and no row of anybody else."""
    db.query("CREATE TABLE t (id serial PRIMARY KEY, a text, at timestamptz DEFAULT now())")
    db.query("INSERT INTO t (a) VALUES ('theirs')")
    before = read()
    db.query("INSERT INTO t (a) VALUES ('own'), ('own')")
    after = read()
    made = rows.added(before, after)
    assert made.tables["public.t"].rows.total() == 2
    db.query("DELETE FROM t WHERE a = 'own'")
    assert rows.missing(after, read(), made) == []
    db.query("INSERT INTO t (a) VALUES ('own'), ('own')")
    assert told(after, read(), made=made) == []
    db.query("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")
    assert told(after, read(), made=made) == ["public.t: 1 row"]
    db.query("DELETE FROM t WHERE a = 'theirs'")
    assert told(after, read(), made=made) == ["public.t: 2 rows"]
    (loss,) = rows.missing(after, read(), made)
    assert loss.told == "public.t: 1 row"


def test_touched_values_are_passed_over(db: Database, read: Read) -> None:
    db.query("CREATE TABLE t (id integer PRIMARY KEY, a text, b text)")
    db.query("INSERT INTO t VALUES (1, 'a', 'b'), (2, 'a', 'b')")
    before = read()
    db.query("UPDATE t SET a = 'sample' WHERE id = 1")
    touched = rows.touched(before, read())
    db.query("UPDATE t SET a = 'lost', b = 'lost'")
    losses = rows.lost(before, read(), but=touched)
    assert [loss.told for loss in losses] == ["public.t.a: 1 value", "public.t.b: 2 values"]


def test_row_security_fails_rather_than_hides(db: Database) -> None:
    db.query(
        "DO $$ BEGIN CREATE ROLE planted_nobody LOGIN;"
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    db.query("CREATE TABLE t (a integer); INSERT INTO t VALUES (1)")
    db.query("ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO planted_nobody")
    other = db.connect(user="planted_nobody")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="row-level security"):
        rows.read(other)


def test_reading_leaves_the_session_as_it_was(db: Database, read: Read) -> None:
    """And so do the settings of the session make no difference."""
    db.query("CREATE TABLE t (a timestamptz, b float8, c bytea, d interval)")
    db.query(r"INSERT INTO t VALUES ('2026-03-01 08:00+00', 1 / 3.0, '\xff', '1 year 2 days')")
    made = db.connect(
        options="-c timezone=Asia/Tokyo -c datestyle=German -c extra_float_digits=-5 "
        "-c bytea_output=escape -c intervalstyle=iso_8601"
    )
    assert rows.read(made) == read()
    with made.cursor() as cursor:
        cursor.execute("SHOW timezone")
        assert cursor.fetchone() == ("Asia/Tokyo",)
    assert not made.info.transaction_status
