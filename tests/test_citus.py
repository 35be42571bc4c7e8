"""What Citus asks of a table that is to be distributed, as laws over the catalog of PostgreSQL.

    CITUS_URL=postgresql://postgres@coordinator/empty scripts/test tests/test_citus.py

With CITUS_URL, an empty database where Citus is, its tables are distributed by sql/citus/, held to
the same laws, and taken back. Without it PostgreSQL alone is asked: that keeps the schema fit for
Citus, and does not show that Citus takes it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from database import ROOT, SAFE_YOYO, SQL, TABLES, Database, run

FOLDER = SQL / "citus"
FORWARD = FOLDER / "0001_distribute_by_tenant.sql"
BACK = FOLDER / "0001_distribute_by_tenant.rollback.sql"


def yoyo(db: Database, command: str, *words: str, code: int | None = 0, **variables: str) -> str:
    """Run yoyo on both folders, with more environment variables; return what it said."""
    told = ["--batch", "-d", "postgresql+pgproof://", *words, str(SQL), str(FOLDER)]
    done = run(
        SAFE_YOYO.program[0], command, *told, environment={**db.environment, **variables}, code=code
    )
    return done.stdout + done.stderr


@pytest.fixture
def citus() -> Iterator[Database]:
    """A database of Citus with 0001, its sample rows, and the tables distributed."""
    if "CITUS_URL" not in os.environ:
        pytest.skip("CITUS_URL names no Citus server")
    told = parse_dsn(os.environ["CITUS_URL"])
    db = Database(
        told.get("host", ""),
        told.get("port", "5432"),
        told.get("user", "postgres"),
        told.get("password"),
        told["dbname"],
    )
    yoyo(db, "apply", "-r", "0001_initial_schema")
    db.query((ROOT / "tests" / "rows" / "0001_initial_schema.sql").read_text(encoding="utf-8"))
    yoyo(db, "apply", "-r", FORWARD.stem)
    yield db
    yoyo(db, "rollback", "--all", PGOPTIONS="-c docmeta.on_rollback=discard")
    db.close()


@pytest.fixture(params=["postgresql", "citus"])
def tables(request: pytest.FixtureRequest) -> Database:
    """The tables: with every migration on PostgreSQL, distributed after the first on Citus."""
    name = {"postgresql": "docs", "citus": "citus"}[request.param]
    found: Database = request.getfixturevalue(name)
    return found


# The laws ---------------------------------------------------------------------------------

DOCMETA = "relnamespace = 'docmeta'::regnamespace"


def test_every_table_has_the_tenant_as_a_bigint_that_is_never_null(tables: Database) -> None:
    query = f"""
        SELECT relname FROM pg_class t WHERE {DOCMETA} AND relkind IN ('r', 'p') AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = t.oid AND attname = 'tenant_id'
                AND atttypid = 'bigint'::regtype AND attnotnull AND attgenerated = ''
                AND attidentity = '')
    """
    assert tables.query(query) == []


def test_the_tenant_is_in_every_key(tables: Database) -> None:
    """Of a primary key, a unique constraint or index, also a partial one, and of an exclusion."""
    query = f"""
        SELECT i.relname FROM pg_index JOIN pg_class i ON i.oid = indexrelid
        JOIN pg_class t ON t.oid = indrelid
        WHERE t.{DOCMETA} AND (indisunique OR indisexclusion) AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = indrelid AND attname = 'tenant_id'
                AND attnum = ANY (indkey))
    """
    assert tables.query(query) == []


def test_every_table_has_a_primary_key(tables: Database) -> None:
    query = f"""
        SELECT relname FROM pg_class t WHERE {DOCMETA} AND relkind IN ('r', 'p')
            AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisprimary)
    """
    assert tables.query(query) == []


def test_a_foreign_key_stays_within_its_tenant(tables: Database) -> None:
    """The tenant stands at the same place on both sides, or the rows lie on two nodes."""
    query = f"""
        SELECT conname FROM pg_constraint JOIN pg_class t ON t.oid = conrelid
        WHERE {DOCMETA} AND contype = 'f' AND NOT EXISTS (
            SELECT FROM unnest(conkey, confkey) AS pair (here, there)
            JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = here
            JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = there
            WHERE a.attname = 'tenant_id' AND b.attname = 'tenant_id')
    """
    assert tables.query(query) == []


def test_a_foreign_key_sets_nothing_and_moves_nothing(tables: Database) -> None:
    """SET NULL and SET DEFAULT would reach for the tenant; a key never changes."""
    query = f"""
        SELECT conname FROM pg_constraint JOIN pg_class t ON t.oid = conrelid
        WHERE {DOCMETA} AND contype = 'f'
            AND (confdeltype NOT IN ('a', 'r', 'c') OR confupdtype NOT IN ('a', 'r'))
    """
    assert tables.query(query) == []


def test_ids_are_bigint(tables: Database) -> None:
    """A node has a range of a sequence's numbers of its own, which a smaller type cannot hold."""
    query = f"""
        SELECT relname, attname FROM pg_attribute JOIN pg_class t ON t.oid = attrelid
        WHERE {DOCMETA} AND attidentity <> '' AND atttypid <> 'bigint'::regtype
    """
    assert tables.query(query) == []


def test_tables_are_plain_or_partitioned(tables: Database) -> None:
    """No inheritance but of partitions, no rule, nothing unlogged or foreign, no view on top."""
    query = f"""
        SELECT relname FROM pg_class t WHERE {DOCMETA} AND (
            relkind IN ('f', 'm', 'v') OR relkind IN ('r', 'p') AND (
                relpersistence <> 'p' OR relhasrules
                OR EXISTS (SELECT FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
                    WHERE inhrelid = t.oid AND p.relkind NOT IN ('p', 'I'))))
    """
    assert tables.query(query) == []


def test_the_first_migration_brings_no_trigger(tables: Database) -> None:
    """Citus refuses any: those that come later are named in docs/scale.md."""
    text = (SQL / "0001_initial_schema.sql").read_text(encoding="utf-8")
    assert "CREATE TRIGGER" not in text
    later = {
        path.stem
        for path in SQL.glob("*.sql")
        if not path.stem.endswith(".rollback")
        and re.search(r"CREATE (CONSTRAINT )?TRIGGER", path.read_text(encoding="utf-8"))
    }
    told = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert {id_ for id_ in later if f"`{id_}`" not in told} == set()


LAWS = [law for name, law in sorted(globals().items()) if name.startswith("test_")]


@pytest.mark.parametrize(
    ("planted", "law"),
    [
        ("CREATE TABLE docmeta.x (id bigint)", "every_table_has_the_tenant"),
        ("CREATE TABLE docmeta.x (tenant_id integer NOT NULL)", "every_table_has_the_tenant"),
        ("CREATE TABLE docmeta.x (tenant_id bigint NOT NULL)", "primary_key"),
        ("CREATE UNIQUE INDEX x ON docmeta.tags (colour) WHERE id = 0", "in_every_key"),
        (
            "ALTER TABLE docmeta.tags ADD UNIQUE (id), ADD FOREIGN KEY (id) REFERENCES docmeta.tags"
            " (id)",
            "within_its_tenant",
        ),
        (
            "ALTER TABLE docmeta.tags ADD FOREIGN KEY (id, tenant_id) REFERENCES docmeta.tags"
            " (tenant_id, id)",
            "within_its_tenant",
        ),
        (
            "ALTER TABLE docmeta.tags ADD FOREIGN KEY (tenant_id, id) REFERENCES docmeta.tags"
            " ON DELETE SET NULL",
            "sets_nothing",
        ),
        ("CREATE VIEW docmeta.x AS SELECT 1 AS one", "plain_or_partitioned"),
        ("CREATE TABLE docmeta.x () INHERITS (docmeta.tags)", "plain_or_partitioned"),
        ("ALTER TABLE docmeta.error_log SET UNLOGGED", "plain_or_partitioned"),
        (
            "ALTER TABLE docmeta.tags ADD n integer GENERATED ALWAYS AS IDENTITY",
            "ids_are_bigint",
        ),
    ],
)
def test_a_law_finds_what_breaks_it(docs: Database, planted: str, law: str) -> None:
    docs.query(planted)
    ((found),) = [each for each in LAWS if law in each.__name__]
    with pytest.raises(AssertionError):
        found(docs)


# The migration ----------------------------------------------------------------------------


def test_each_table_is_distributed_once_and_after_those_it_refers_to(docs: Database) -> None:
    calls = re.findall(
        r"create_distributed_table\(\s*'docmeta\.(\w+)', 'tenant_id',"
        r"\s*colocate_with => '([\w.]+)'",
        FORWARD.read_text(encoding="utf-8"),
    )
    order = [table for table, _ in calls]
    assert sorted(order) == sorted(TABLES)
    assert [beside for _, beside in calls] == ["none"] + ["docmeta.import_batches"] * 8
    references = docs.query("""
        SELECT t.relname, r.relname FROM pg_constraint JOIN pg_class t ON t.oid = conrelid
        JOIN pg_class r ON r.oid = confrelid WHERE contype = 'f' AND t.relname <> r.relname
    """)
    assert [p for p in references if order.index(p[0]) < order.index(p[1])] == []
    back = re.findall(r"'(\w+)'", BACK.read_text(encoding="utf-8").split("ARRAY[")[1].split("]")[0])
    assert back == order[::-1]


def test_without_citus_nothing_is_changed(db: Database) -> None:
    """By yoyo alone as well: the first statement says what is missing."""
    said = yoyo(db, "apply", "-r", FORWARD.stem, code=None)
    assert "this database has no Citus" in said
    assert db.query("SELECT migration_id FROM _yoyo_migration") == [("0001_initial_schema",)]


def test_a_migration_of_a_second_folder_is_rolled_back_alone(db: Database, tmp_path: Path) -> None:
    """As `yoyo rollback -r 0001_distribute_by_tenant sql sql/citus` does."""
    for folder, name, needs in (("a", "0001_first", ""), ("b", "0001_second", "0001_first")):
        (tmp_path / folder).mkdir()
        depends = f"-- depends: {needs}\n" if needs else ""
        (tmp_path / folder / f"{name}.sql").write_text(f"{depends}CREATE TABLE {folder} ();")
        (tmp_path / folder / f"{name}.rollback.sql").write_text(f"DROP TABLE {folder};")
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    for command in ("apply", "rollback"):
        words = [command, "--batch", "-d", "postgresql+pgproof://", "-r", "0001_second", *folders]
        run(SAFE_YOYO.program[0], *words, environment=db.environment)
    assert db.query("SELECT migration_id FROM _yoyo_migration") == [("0001_first",)]


# On Citus ---------------------------------------------------------------------------------


def contents(db: Database) -> dict[str, list[str]]:
    return {
        table: sorted(map(repr, db.query(f"SELECT * FROM docmeta.{table}"))) for table in TABLES
    }


def test_all_tables_are_distributed_by_tenant_and_lie_together(citus: Database) -> None:
    found = citus.query(
        "SELECT table_name::text, distribution_column, colocation_id "
        "FROM citus_tables WHERE table_name::text LIKE 'docmeta.%'"
    )
    assert {name.removeprefix("docmeta.") for name, _, _ in found} == set(TABLES)
    assert {column for _, column, _ in found} == {"tenant_id"}
    assert len({together for _, _, together in found}) == 1


def test_keys_and_references_hold_on_citus(citus: Database) -> None:
    claim = (
        "INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256('one'), 3) "
        "ON CONFLICT DO NOTHING"
    )
    before = len(contents(citus)["hash_index"])
    citus.query(claim)
    assert len(contents(citus)["hash_index"]) == before
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        citus.query(
            "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('?'), 'f')"
        )
    with pytest.raises(psycopg2.errors.UniqueViolation):
        citus.query("INSERT INTO docmeta.tags (name) VALUES ('TO PAY')")
    citus.query("DELETE FROM docmeta.documents WHERE tenant_id = 1 AND id = 11")
    assert citus.query("SELECT 1 FROM docmeta.document_tags WHERE document_id = 11") == []


def test_taking_it_back_keeps_every_row(citus: Database) -> None:
    before = contents(citus)
    yoyo(citus, "rollback", "-r", FORWARD.stem)
    assert citus.query("SELECT 1 FROM citus_tables WHERE table_name::text LIKE 'docmeta.%'") == []
    assert contents(citus) == before
    yoyo(citus, "apply", "-r", FORWARD.stem)
    assert contents(citus) == before
