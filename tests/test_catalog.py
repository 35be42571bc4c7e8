"""Laws of the catalog's text: sees every change, reads alike on 15 to 18, changes nothing."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

from database import Database
from pgproof import catalog

EXPECTED = Path(__file__).parent / "expected"
SAMPLE = EXPECTED / "catalog_sample.sql"
SAMPLE_TEXT = EXPECTED / "catalog_sample.txt"

# What every case starts from. Whatever a case changes has `target` in its name, so that the law
# can ask whether the difference names it.
BASE = """
CREATE SCHEMA s;
CREATE TABLE s.target (id integer PRIMARY KEY, a text, n integer NOT NULL DEFAULT 0);
CREATE TABLE s.other (id integer PRIMARY KEY, target_id integer, b text);
CREATE FUNCTION s.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""

# Roles belong to the cluster: another test, or another worker, may have made this one.
ROLE = """
DO $$ BEGIN CREATE ROLE catalog_reader;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
"""

FUNCTION = "CREATE FUNCTION s.target(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a';"
PARTITIONED = """
CREATE TABLE s.target_all (id integer, at integer) PARTITION BY RANGE (at);
CREATE TABLE s.target_1 PARTITION OF s.target_all FOR VALUES FROM (1) TO (2);
"""
INDEX = "CREATE INDEX target_idx ON s.target (a);"
TRIGGER = "CREATE TRIGGER t BEFORE INSERT ON s.target FOR EACH ROW EXECUTE FUNCTION s.noop();"
FOREIGN_KEY = """
ALTER TABLE s.other ADD CONSTRAINT target_fkey FOREIGN KEY (target_id) REFERENCES s.target;
"""
POLICY = "CREATE POLICY p ON s.target USING (n > 0);"
IDENTITY = "ALTER TABLE s.target ALTER id ADD GENERATED ALWAYS AS IDENTITY;"
VIEW = "CREATE VIEW s.target_view AS SELECT id, a FROM s.target;"
SERVER = (
    "CREATE FOREIGN DATA WRAPPER target_w; CREATE SERVER target_s FOREIGN DATA WRAPPER target_w;"
)
FOREIGN = SERVER + "CREATE FOREIGN TABLE s.target_f (a integer) SERVER target_s;"
EVENT_TRIGGER = """
CREATE FUNCTION s.event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER target_e ON sql_drop EXECUTE FUNCTION s.event();
"""

CHANGES: dict[str, tuple[str, str]] = {
    # schemas
    "schema": ("", "CREATE SCHEMA target_schema"),
    "schema dropped": ("CREATE SCHEMA target_schema", "DROP SCHEMA target_schema"),
    # tables
    "table": ("", "CREATE TABLE s.target2 ()"),
    "table renamed": ("", "ALTER TABLE s.other RENAME TO target_other"),
    "table moved": ("", "ALTER TABLE s.target SET SCHEMA public"),
    "table unlogged": ("", "ALTER TABLE s.target SET UNLOGGED"),
    "table option": ("", "ALTER TABLE s.target SET (fillfactor = 70)"),
    "table option value": (
        "ALTER TABLE s.target SET (fillfactor = 70)",
        "ALTER TABLE s.target SET (fillfactor = 71)",
    ),
    "toast option": ("", "ALTER TABLE s.target SET (toast.autovacuum_enabled = false)"),
    "replica identity": ("", "ALTER TABLE s.target REPLICA IDENTITY FULL"),
    "replica identity index": ("", "ALTER TABLE s.target REPLICA IDENTITY USING INDEX target_pkey"),
    "clustered": ("", "ALTER TABLE s.target CLUSTER ON target_pkey"),
    "row security": ("", "ALTER TABLE s.target ENABLE ROW LEVEL SECURITY"),
    "row security forced": ("", "ALTER TABLE s.target FORCE ROW LEVEL SECURITY"),
    "inherits": ("", "CREATE TABLE s.kid () INHERITS (s.target)"),
    "inherits no more": (
        "CREATE TABLE s.kid () INHERITS (s.target)",
        "ALTER TABLE s.kid NO INHERIT s.target",
    ),
    "of type": (
        "CREATE TYPE s.kind AS (a integer); CREATE TABLE s.target_typed (a integer)",
        "ALTER TABLE s.target_typed OF s.kind",
    ),
    "partition": (
        PARTITIONED,
        "CREATE TABLE s.target_2 PARTITION OF s.target_all FOR VALUES FROM (2) TO (3)",
    ),
    "partition detached": (PARTITIONED, "ALTER TABLE s.target_all DETACH PARTITION s.target_1"),
    "partition bound": (
        PARTITIONED,
        "ALTER TABLE s.target_all DETACH PARTITION s.target_1;"
        "ALTER TABLE s.target_all ATTACH PARTITION s.target_1 FOR VALUES FROM (1) TO (3)",
    ),
    "partition's default": (PARTITIONED, "ALTER TABLE s.target_1 ALTER id SET DEFAULT 3"),
    "partition key": (
        "CREATE TABLE s.target_p (a integer, b integer) PARTITION BY LIST (a)",
        "DROP TABLE s.target_p;"
        "CREATE TABLE s.target_p (a integer, b integer) PARTITION BY LIST (b)",
    ),
    # columns
    "column": ("", "ALTER TABLE s.target ADD c integer"),
    "column dropped": ("", "ALTER TABLE s.target DROP a"),
    "column renamed": ("", "ALTER TABLE s.target RENAME a TO c"),
    "column order": ("", "ALTER TABLE s.target DROP a; ALTER TABLE s.target ADD a text"),
    "type": ("", "ALTER TABLE s.target ALTER n TYPE bigint"),
    "type modifier": (
        "ALTER TABLE s.target ADD c varchar(10)",
        "ALTER TABLE s.target ALTER c TYPE varchar(11)",
    ),
    "collation": ("", 'ALTER TABLE s.target ALTER a TYPE text COLLATE "C"'),
    "not null": ("", "ALTER TABLE s.target ALTER a SET NOT NULL"),
    "not null dropped": ("", "ALTER TABLE s.target ALTER n DROP NOT NULL"),
    "default": ("", "ALTER TABLE s.target ALTER a SET DEFAULT ''"),
    "default value": ("", "ALTER TABLE s.target ALTER n SET DEFAULT 1"),
    "default dropped": ("", "ALTER TABLE s.target ALTER n DROP DEFAULT"),
    "generated": ("", "ALTER TABLE s.target ADD c integer GENERATED ALWAYS AS (n * 2) STORED"),
    "generated no more": (
        "ALTER TABLE s.target ADD c integer GENERATED ALWAYS AS (n * 2) STORED",
        "ALTER TABLE s.target ALTER c DROP EXPRESSION",
    ),
    "identity": ("", IDENTITY),
    "identity by default": (IDENTITY, "ALTER TABLE s.target ALTER id SET GENERATED BY DEFAULT"),
    "identity increment": (IDENTITY, "ALTER TABLE s.target ALTER id SET INCREMENT 2"),
    "identity start": (IDENTITY, "ALTER TABLE s.target ALTER id SET START 7"),
    "identity dropped": (IDENTITY, "ALTER TABLE s.target ALTER id DROP IDENTITY"),
    "identity sequence renamed": (IDENTITY, "ALTER SEQUENCE s.target_id_seq RENAME TO target_q"),
    "storage": ("", "ALTER TABLE s.target ALTER a SET STORAGE EXTERNAL"),
    "compression": ("", "ALTER TABLE s.target ALTER a SET COMPRESSION pglz"),
    "statistics target": ("", "ALTER TABLE s.target ALTER a SET STATISTICS 500"),
    "statistics target of none": ("", "ALTER TABLE s.target ALTER a SET STATISTICS 0"),
    "column option": ("", "ALTER TABLE s.target ALTER a SET (n_distinct = 9)"),
    # constraints
    "check": ("", "ALTER TABLE s.target ADD CHECK (n > 0)"),
    "check not valid": ("", "ALTER TABLE s.target ADD CONSTRAINT c CHECK (n > 0) NOT VALID"),
    "check validated": (
        "ALTER TABLE s.target ADD CONSTRAINT c CHECK (n > 0) NOT VALID",
        "ALTER TABLE s.target VALIDATE CONSTRAINT c",
    ),
    "check no inherit": (
        "ALTER TABLE s.target ADD CONSTRAINT c CHECK (n > 0)",
        "ALTER TABLE s.target DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (n > 0) NO INHERIT",
    ),
    "constraint renamed": ("", "ALTER TABLE s.target RENAME CONSTRAINT target_pkey TO pk"),
    "unique": ("", "ALTER TABLE s.target ADD UNIQUE (a)"),
    "unique nulls": (
        "ALTER TABLE s.target ADD CONSTRAINT u UNIQUE (a)",
        "ALTER TABLE s.target DROP CONSTRAINT u, ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a)",
    ),
    "unique deferrable": (
        "ALTER TABLE s.target ADD CONSTRAINT u UNIQUE (a)",
        "ALTER TABLE s.target DROP CONSTRAINT u, ADD CONSTRAINT u UNIQUE (a) DEFERRABLE",
    ),
    "primary key dropped": ("", "ALTER TABLE s.target DROP CONSTRAINT target_pkey"),
    "primary key option": ("", "ALTER INDEX s.target_pkey SET (fillfactor = 50)"),
    "exclusion": ("", "ALTER TABLE s.target ADD EXCLUDE (n WITH =)"),
    "foreign key": ("", FOREIGN_KEY),
    "foreign key action": (
        FOREIGN_KEY,
        "ALTER TABLE s.other DROP CONSTRAINT target_fkey, ADD CONSTRAINT target_fkey"
        " FOREIGN KEY (target_id) REFERENCES s.target ON DELETE CASCADE",
    ),
    "foreign key deferred": (
        FOREIGN_KEY,
        "ALTER TABLE s.other ALTER CONSTRAINT target_fkey DEFERRABLE INITIALLY DEFERRED",
    ),
    "foreign key not enforced": (FOREIGN_KEY, "ALTER TABLE s.target DISABLE TRIGGER ALL"),
    # indexes
    "index": ("", INDEX),
    "index dropped": (INDEX, "DROP INDEX s.target_idx"),
    "index unique": (
        INDEX,
        "DROP INDEX s.target_idx; CREATE UNIQUE INDEX target_idx ON s.target (a)",
    ),
    "index predicate": (
        INDEX,
        "DROP INDEX s.target_idx; CREATE INDEX target_idx ON s.target (a) WHERE n > 0",
    ),
    "index order": (INDEX, "DROP INDEX s.target_idx; CREATE INDEX target_idx ON s.target (a DESC)"),
    "index method": (
        INDEX,
        "DROP INDEX s.target_idx; CREATE INDEX target_idx ON s.target USING hash (a)",
    ),
    "index option": (INDEX, "ALTER INDEX s.target_idx SET (fillfactor = 50)"),
    "index invalid": (
        INDEX,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 's.target_idx'::regclass",
    ),
    "index statistics target": (
        "CREATE INDEX target_idx ON s.target (lower(a))",
        "ALTER INDEX s.target_idx ALTER COLUMN 1 SET STATISTICS 99",
    ),
    "index attached": (
        PARTITIONED + "CREATE INDEX target_all_idx ON ONLY s.target_all (id);"
        "CREATE INDEX target_1_idx ON s.target_1 (id)",
        "ALTER INDEX s.target_all_idx ATTACH PARTITION s.target_1_idx",
    ),
    # triggers, rules, policies
    "trigger": ("", TRIGGER),
    "trigger event": (
        TRIGGER,
        "DROP TRIGGER t ON s.target;"
        "CREATE TRIGGER t BEFORE UPDATE ON s.target FOR EACH ROW EXECUTE FUNCTION s.noop()",
    ),
    "trigger disabled": (TRIGGER, "ALTER TABLE s.target DISABLE TRIGGER t"),
    "trigger always": (TRIGGER, "ALTER TABLE s.target ENABLE ALWAYS TRIGGER t"),
    "trigger of a partition disabled": (
        PARTITIONED + TRIGGER.replace("s.target ", "s.target_all "),
        "ALTER TABLE s.target_1 DISABLE TRIGGER t",
    ),
    "rule": ("", "CREATE RULE r AS ON DELETE TO s.target DO INSTEAD NOTHING"),
    "rule disabled": (
        "CREATE RULE r AS ON DELETE TO s.target DO INSTEAD NOTHING",
        "ALTER TABLE s.target DISABLE RULE r",
    ),
    "policy": ("", POLICY),
    "policy condition": (POLICY, "ALTER POLICY p ON s.target USING (n > 1)"),
    "policy check": (POLICY, "ALTER POLICY p ON s.target WITH CHECK (n > 1)"),
    "policy role": (POLICY, "ALTER POLICY p ON s.target TO catalog_reader"),
    "policy restrictive": (
        POLICY,
        "DROP POLICY p ON s.target; CREATE POLICY p ON s.target AS RESTRICTIVE USING (n > 0)",
    ),
    "policy command": (
        POLICY,
        "DROP POLICY p ON s.target; CREATE POLICY p ON s.target FOR SELECT USING (n > 0)",
    ),
    # views and sequences
    "view": ("", VIEW),
    "view query": (VIEW, "CREATE OR REPLACE VIEW s.target_view AS SELECT id, b AS a FROM s.other"),
    "view option": (VIEW, "ALTER VIEW s.target_view SET (security_barrier = true)"),
    "view default": (VIEW, "ALTER VIEW s.target_view ALTER a SET DEFAULT 'x'"),
    "materialized view": ("", "CREATE MATERIALIZED VIEW s.target_mv AS SELECT 1"),
    "materialized view filled": (
        "CREATE MATERIALIZED VIEW s.target_mv AS SELECT 1 WITH NO DATA",
        "REFRESH MATERIALIZED VIEW s.target_mv",
    ),
    "sequence": ("", "CREATE SEQUENCE s.target_seq"),
    "sequence type": ("CREATE SEQUENCE s.target_seq", "ALTER SEQUENCE s.target_seq AS smallint"),
    "sequence cycle": ("CREATE SEQUENCE s.target_seq", "ALTER SEQUENCE s.target_seq CYCLE"),
    "sequence minimum": ("CREATE SEQUENCE s.target_seq", "ALTER SEQUENCE s.target_seq MINVALUE 0"),
    "sequence cache": ("CREATE SEQUENCE s.target_seq", "ALTER SEQUENCE s.target_seq CACHE 9"),
    "sequence owner": (
        "CREATE SEQUENCE s.target_seq",
        "ALTER SEQUENCE s.target_seq OWNED BY s.other.id",
    ),
    # functions
    "function": ("", FUNCTION),
    "function body": (
        FUNCTION,
        FUNCTION.replace("CREATE", "CREATE OR REPLACE").replace("SELECT a", "SELECT  a"),
    ),
    "function volatility": (FUNCTION, "ALTER FUNCTION s.target IMMUTABLE"),
    "function strict": (FUNCTION, "ALTER FUNCTION s.target STRICT"),
    "function security": (FUNCTION, "ALTER FUNCTION s.target SECURITY DEFINER"),
    "function leakproof": (FUNCTION, "ALTER FUNCTION s.target LEAKPROOF"),
    "function parallel": (FUNCTION, "ALTER FUNCTION s.target PARALLEL SAFE"),
    "function cost": (FUNCTION, "ALTER FUNCTION s.target COST 7"),
    "function setting": (FUNCTION, "ALTER FUNCTION s.target SET search_path = ''"),
    "procedure": ("", "CREATE PROCEDURE s.target() LANGUAGE sql AS ''"),
    "aggregate": ("", "CREATE AGGREGATE s.target(integer) (sfunc = int4pl, stype = integer)"),
    "aggregate initial value": (
        "CREATE AGGREGATE s.target(integer) (sfunc = int4pl, stype = integer)",
        "CREATE OR REPLACE AGGREGATE s.target(integer)"
        " (sfunc = int4pl, stype = integer, initcond = '1')",
    ),
    # types
    "enum": ("", "CREATE TYPE s.target_mood AS ENUM ('a')"),
    "enum label": (
        "CREATE TYPE s.target_mood AS ENUM ('a', 'c')",
        "ALTER TYPE s.target_mood ADD VALUE 'b' BEFORE 'c'",
    ),
    "enum order": (
        "CREATE TYPE s.target_mood AS ENUM ('a', 'b')",
        "DROP TYPE s.target_mood; CREATE TYPE s.target_mood AS ENUM ('b', 'a')",
    ),
    "composite type": ("", "CREATE TYPE s.target_pair AS (a integer)"),
    "composite attribute": (
        "CREATE TYPE s.target_pair AS (a integer)",
        "ALTER TYPE s.target_pair ADD ATTRIBUTE b text",
    ),
    "range type": ("", "CREATE TYPE s.target_range AS RANGE (subtype = float8)"),
    "range difference": (
        "CREATE TYPE s.target_range AS RANGE (subtype = float8)",
        "DROP TYPE s.target_range;"
        "CREATE TYPE s.target_range AS RANGE (subtype = float8, subtype_diff = float8mi)",
    ),
    "domain": ("", "CREATE DOMAIN s.target_domain AS integer"),
    "domain default": (
        "CREATE DOMAIN s.target_domain AS integer",
        "ALTER DOMAIN s.target_domain SET DEFAULT 1",
    ),
    "domain not null": (
        "CREATE DOMAIN s.target_domain AS integer",
        "ALTER DOMAIN s.target_domain SET NOT NULL",
    ),
    "domain check": (
        "CREATE DOMAIN s.target_domain AS integer",
        "ALTER DOMAIN s.target_domain ADD CHECK (VALUE > 0)",
    ),
    # comments
    "comment on schema": ("CREATE SCHEMA target_schema", "COMMENT ON SCHEMA target_schema IS 'x'"),
    "comment on table": ("", "COMMENT ON TABLE s.target IS 'x'"),
    "comment's newline": (
        r"COMMENT ON TABLE s.target IS 'a\nb'",
        r"COMMENT ON TABLE s.target IS E'a\nb'",
    ),
    "comment's last blank": (
        "COMMENT ON TABLE s.target IS 'a'",
        "COMMENT ON TABLE s.target IS 'a '",
    ),
    "comment on column": ("", "COMMENT ON COLUMN s.target.a IS 'x'"),
    "comment on constraint": ("", "COMMENT ON CONSTRAINT target_pkey ON s.target IS 'x'"),
    "comment on constraint's index": ("", "COMMENT ON INDEX s.target_pkey IS 'x'"),
    "comment on index": (INDEX, "COMMENT ON INDEX s.target_idx IS 'x'"),
    "comment on trigger": (TRIGGER, "COMMENT ON TRIGGER t ON s.target IS 'x'"),
    "comment on policy": (POLICY, "COMMENT ON POLICY p ON s.target IS 'x'"),
    "comment on rule": (
        "CREATE RULE r AS ON DELETE TO s.target DO INSTEAD NOTHING",
        "COMMENT ON RULE r ON s.target IS 'x'",
    ),
    "comment on function": (FUNCTION, "COMMENT ON FUNCTION s.target IS 'x'"),
    "comment on view's column": (VIEW, "COMMENT ON COLUMN s.target_view.a IS 'x'"),
    "comment on sequence": (IDENTITY, "COMMENT ON SEQUENCE s.target_id_seq IS 'x'"),
    "comment on domain": (
        "CREATE DOMAIN s.target_domain AS integer",
        "COMMENT ON DOMAIN s.target_domain IS 'x'",
    ),
    "comment on domain constraint": (
        "CREATE DOMAIN s.target_domain AS integer CONSTRAINT c CHECK (VALUE > 0)",
        "COMMENT ON CONSTRAINT c ON DOMAIN s.target_domain IS 'x'",
    ),
    "comment on type": (
        "CREATE TYPE s.target_mood AS ENUM ()",
        "COMMENT ON TYPE s.target_mood IS 'x'",
    ),
    "comment on event trigger": (EVENT_TRIGGER, "COMMENT ON EVENT TRIGGER target_e IS 'x'"),
    # owners and privileges
    "owner of schema": (
        "CREATE SCHEMA target_schema",
        "ALTER SCHEMA target_schema OWNER TO catalog_reader",
    ),
    "owner of table": ("", "ALTER TABLE s.target OWNER TO catalog_reader"),
    "owner of function": (FUNCTION, "ALTER FUNCTION s.target OWNER TO catalog_reader"),
    "owner of type": (
        "CREATE TYPE s.target_mood AS ENUM ()",
        "ALTER TYPE s.target_mood OWNER TO catalog_reader",
    ),
    "grant on schema": (
        "CREATE SCHEMA target_schema",
        "GRANT USAGE ON SCHEMA target_schema TO catalog_reader",
    ),
    "grant on table": ("", "GRANT SELECT ON s.target TO catalog_reader"),
    "grant option": (
        "GRANT SELECT ON s.target TO catalog_reader",
        "GRANT SELECT ON s.target TO catalog_reader WITH GRANT OPTION",
    ),
    "grant to public": ("", "GRANT INSERT ON s.target TO PUBLIC"),
    "grant on column": ("", "GRANT UPDATE (a) ON s.target TO catalog_reader"),
    "grant on sequence": (IDENTITY, "GRANT USAGE ON SEQUENCE s.target_id_seq TO catalog_reader"),
    "grant on function": (FUNCTION, "GRANT EXECUTE ON FUNCTION s.target TO catalog_reader"),
    "grant on type": (
        "CREATE TYPE s.target_mood AS ENUM ()",
        "GRANT USAGE ON TYPE s.target_mood TO catalog_reader",
    ),
    "grant on built-in function": (
        "CREATE ROLE target_role",
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO target_role",
    ),
    "revoke from public": (FUNCTION, "REVOKE EXECUTE ON FUNCTION s.target FROM PUBLIC"),
    "revoke from owner": ("", "REVOKE DELETE ON s.target FROM CURRENT_USER"),
    "default privileges": (
        "CREATE SCHEMA target_schema",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA target_schema GRANT SELECT ON TABLES TO catalog_reader",
    ),
    # the rest
    "statistics": ("", "CREATE STATISTICS s.target_st ON a, n FROM s.target"),
    "statistics kind": (
        "CREATE STATISTICS s.target_st (mcv) ON a, n FROM s.target",
        "DROP STATISTICS s.target_st;"
        "CREATE STATISTICS s.target_st (ndistinct) ON a, n FROM s.target",
    ),
    "statistics object's target": (
        "CREATE STATISTICS s.target_st ON a, n FROM s.target",
        "ALTER STATISTICS s.target_st SET STATISTICS 9",
    ),
    "event trigger": ("", EVENT_TRIGGER),
    "event trigger disabled": (EVENT_TRIGGER, "ALTER EVENT TRIGGER target_e DISABLE"),
    "publication": ("", "CREATE PUBLICATION target_p"),
    "publication table": ("CREATE PUBLICATION p", "ALTER PUBLICATION p ADD TABLE s.target"),
    "publication columns": (
        "CREATE PUBLICATION p FOR TABLE s.target",
        "ALTER PUBLICATION p SET TABLE s.target (id)",
    ),
    "publication rows": (
        "CREATE PUBLICATION p FOR TABLE s.target WHERE (id > 0)",
        "ALTER PUBLICATION p SET TABLE s.target WHERE (id > 1)",
    ),
    "publication actions": (
        "CREATE PUBLICATION target_p",
        "ALTER PUBLICATION target_p SET (publish = 'insert')",
    ),
    "publication schema": (
        "CREATE SCHEMA target_schema; CREATE PUBLICATION p",
        "ALTER PUBLICATION p ADD TABLES IN SCHEMA target_schema",
    ),
    "foreign-data wrapper": ("", "CREATE FOREIGN DATA WRAPPER target_w"),
    "foreign-data wrapper option": (SERVER, "ALTER FOREIGN DATA WRAPPER target_w OPTIONS (a 'b')"),
    "server option": (SERVER, "ALTER SERVER target_s OPTIONS (a 'b')"),
    "user mapping": (SERVER, "CREATE USER MAPPING FOR PUBLIC SERVER target_s OPTIONS (user 'x')"),
    "foreign table option": (FOREIGN, "ALTER FOREIGN TABLE s.target_f OPTIONS (a 'b')"),
    "foreign column option": (FOREIGN, "ALTER FOREIGN TABLE s.target_f ALTER a OPTIONS (a 'b')"),
    "operator": (
        "CREATE SCHEMA target_schema",
        "CREATE OPERATOR target_schema.=== (leftarg = int4, rightarg = int4, function = int4eq)",
    ),
    "operator class": (
        "",
        "CREATE OPERATOR CLASS s.target_ops FOR TYPE integer USING hash AS"
        " OPERATOR 1 =, FUNCTION 1 hashint4(integer)",
    ),
    "operator family": ("", "CREATE OPERATOR FAMILY s.target_family USING btree"),
    "operator family member": (
        "CREATE OPERATOR FAMILY s.target_family USING btree",
        "ALTER OPERATOR FAMILY s.target_family USING btree ADD OPERATOR 1 < (integer, integer)",
    ),
    "cast": ("", "CREATE CAST (s.target AS text) WITH INOUT"),
    "collation object": ("", "CREATE COLLATION s.target_coll (provider = libc, locale = 'C')"),
    "conversion": (
        "",
        "CREATE CONVERSION s.target_conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    ),
    "text search configuration": (
        "",
        'CREATE TEXT SEARCH CONFIGURATION s.target_ts (PARSER = "default")',
    ),
    "text search mapping": (
        "CREATE TEXT SEARCH CONFIGURATION s.target_ts (COPY = simple)",
        "ALTER TEXT SEARCH CONFIGURATION s.target_ts DROP MAPPING FOR word",
    ),
    "text search dictionary": (
        "",
        "CREATE TEXT SEARCH DICTIONARY s.target_dict (TEMPLATE = simple)",
    ),
    "language": ("", "CREATE TRUSTED LANGUAGE target_l HANDLER plpgsql_call_handler"),
    "access method": ("", "CREATE ACCESS METHOD target_m TYPE INDEX HANDLER bthandler"),
}

# What PostgreSQL learnt later: the version that brought it, before, and the change.
LATER: dict[str, tuple[int, str, str]] = {
    "maintain": (17, "", "GRANT MAINTAIN ON s.target TO catalog_reader"),
    "virtual column": (
        18,
        "ALTER TABLE s.target ADD c integer GENERATED ALWAYS AS (n) STORED",
        "ALTER TABLE s.target DROP c, ADD c integer GENERATED ALWAYS AS (n) VIRTUAL",
    ),
    "not null unvalidated": (18, "", "ALTER TABLE s.target ADD NOT NULL a NOT VALID"),
    "not null validated": (
        18,
        "ALTER TABLE s.target ADD CONSTRAINT c NOT NULL a NOT VALID",
        "ALTER TABLE s.target VALIDATE CONSTRAINT c",
    ),
    "not null named": (18, "", "ALTER TABLE s.target ADD CONSTRAINT c NOT NULL a"),
    "check not enforced": (18, "", "ALTER TABLE s.target ADD CHECK (n > 0) NOT ENFORCED"),
    "publication of generated columns": (
        18,
        "CREATE PUBLICATION target_p",
        "ALTER PUBLICATION target_p SET (publish_generated_columns = stored)",
    ),
}

CASES = {name: (0, *case) for name, case in CHANGES.items()} | LATER


def execute(on: connection, statements: str) -> None:
    """Run statements and forget what they return."""
    with on.cursor() as cursor:
        cursor.execute(statements)


def settings(on: connection) -> list[tuple[str, str]]:
    """Every setting of the session."""
    with on.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name !~ '^transaction_'")
        rows: list[tuple[str, str]] = cursor.fetchall()
        return rows


def changed(before: list[str], after: list[str]) -> list[str]:
    """The lines that only one of two texts has."""
    diff = catalog.difference(before, after, "before", "after")
    return [line for line in diff[2:] if line[0] in "+-"]


@pytest.fixture(scope="module")
def shared(server: SimpleNamespace) -> Iterator[connection]:
    """A database for all cases: each is undone, which is cheaper than a database for each."""
    where = {"host": server.host, "port": server.port, "user": server.user}
    name = f"catalog_{os.getpid()}"
    maintenance = psycopg2.connect(
        **where, password=server.password, dbname=server.maintenance_dbname
    )
    maintenance.autocommit = True
    execute(maintenance, f"CREATE DATABASE {name} TEMPLATE template0")
    on = psycopg2.connect(**where, password=server.password, dbname=name)
    on.autocommit = True
    execute(on, ROLE)
    yield on
    on.close()
    execute(maintenance, f"DROP DATABASE {name}")
    maintenance.close()


@pytest.mark.parametrize("name", CASES)
def test_every_change_is_seen(shared: connection, name: str) -> None:
    """What a migration changes shows, under its name."""
    since, setup, change = CASES[name]
    if shared.server_version < since * 10000:
        pytest.skip(f"PostgreSQL {since} brought it")
    execute(shared, "BEGIN")
    try:
        execute(shared, BASE + setup)
        before = catalog.read(shared)
        execute(shared, change)
        lines = changed(before, catalog.read(shared))
    finally:
        execute(shared, "ROLLBACK")
    assert any("target" in line for line in lines), f"unseen: {change}\n" + "\n".join(lines)


def test_nothing_changed_is_nothing_seen(db: Database) -> None:
    """Two readings of one schema are equal, on one connection and on two."""
    on = db.connect()
    execute(on, ROLE + SAMPLE.read_text(encoding="utf-8"))
    text = catalog.read(on)
    assert catalog.read(on) == text
    assert catalog.read(db.connect()) == text


def test_every_version_gives_the_same_text(db: Database, request: pytest.FixtureRequest) -> None:
    """One sample, one text: whichever version runs this must give the same."""
    on = db.connect()
    execute(on, ROLE + SAMPLE.read_text(encoding="utf-8"))
    read = catalog.read(on)
    if request.config.getoption("--update-expected"):
        SAMPLE_TEXT.write_text("\n".join([*read, ""]), encoding="utf-8", newline="\n")
    expected = SAMPLE_TEXT.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    diff = catalog.difference(expected, read, str(SAMPLE_TEXT), f"PostgreSQL {on.server_version}")
    assert not diff, "\n".join(diff)


def test_a_fact_is_one_line(db: Database) -> None:
    """No line breaks in two, wherever a reader sees a line's end, and none ends in a blank."""
    on = db.connect()
    execute(on, BASE + "COMMENT ON TABLE s.target IS E'a\\n\\r\\f\\u0085\\u2028 '")
    (line,) = [line for line in catalog.read(on) if line.startswith("comment on table")]
    assert line.splitlines() == [line]
    assert line == line.rstrip()


@contextmanager
def in_transaction(on: connection) -> Iterator[None]:
    """Within a transaction, with settings of its own."""
    on.autocommit = False
    execute(on, "SET LOCAL search_path = s, public; SET timezone = 'Asia/Tokyo'; SELECT 1")
    yield
    on.rollback()


@contextmanager
def in_autocommit(on: connection) -> Iterator[None]:
    """Outside a transaction, with settings of the session."""
    execute(on, "SET search_path = s; SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'")
    yield
    assert on.info.transaction_status == TRANSACTION_STATUS_IDLE


@contextmanager
def in_read_only(on: connection) -> Iterator[None]:
    """Where the server refuses every write."""
    execute(on, "BEGIN READ ONLY; SET LOCAL datestyle = 'SQL, DMY'")
    yield
    execute(on, "ROLLBACK")


@contextmanager
def before_a_transaction(on: connection) -> Iterator[None]:
    """A connection that would begin a transaction with its next statement."""
    on.autocommit = False
    yield
    assert on.info.transaction_status == TRANSACTION_STATUS_IDLE
    assert not on.autocommit


Surroundings = Callable[[connection], AbstractContextManager[None]]


@pytest.mark.parametrize("surroundings", [in_transaction, in_autocommit, in_read_only])
@pytest.mark.parametrize("fails", [False, True], ids=["read", "aborted"])
def test_reading_leaves_the_session_as_it_was(
    db: Database, monkeypatch: pytest.MonkeyPatch, surroundings: Surroundings, fails: bool
) -> None:
    """Settings, transaction and what is not yet committed are the reader's to keep."""
    on = db.connect()
    execute(on, BASE)
    text = catalog.read(on)
    with surroundings(on):
        before = settings(on), on.info.transaction_status, on.autocommit
        if fails:
            with monkeypatch.context() as patch:
                patch.setattr(catalog, "SETTINGS", catalog.SETTINGS + "SELECT 1 / 0")
                with pytest.raises(psycopg2.errors.DivisionByZero):
                    catalog.read(on)
        else:
            assert catalog.read(on) == text
        assert (settings(on), on.info.transaction_status, on.autocommit) == before


def test_reading_begins_no_transaction(db: Database) -> None:
    """A connection that stood between two transactions stands there still."""
    on = db.connect()
    with before_a_transaction(on):
        assert catalog.read(on)
    execute(on, "CREATE TABLE public.made_after ()")
    on.rollback()
    assert not [line for line in catalog.read(on) if "made_after" in line]


def test_reading_sees_what_is_not_committed(db: Database) -> None:
    """Within a transaction the text is of the schema as that transaction sees it."""
    on, other = db.connect(), db.connect()
    execute(on, "BEGIN; CREATE TABLE public.pending ()")
    assert "table public.pending" in catalog.read(on)
    assert "table public.pending" not in catalog.read(other)
    execute(on, "ROLLBACK")


def test_settings_do_not_show(db: Database) -> None:
    """The text does not depend on how a session would like to see things."""
    on = db.connect()
    execute(on, ROLE + SAMPLE.read_text(encoding="utf-8"))
    plain = catalog.read(on)
    execute(
        on,
        "SET search_path = s; SET timezone = 'Asia/Tokyo'; SET datestyle = 'German';"
        "SET intervalstyle = 'iso_8601'; SET extra_float_digits = -3; SET bytea_output = 'escape';"
        "SET quote_all_identifiers = on; SET standard_conforming_strings = off",
    )
    assert not changed(plain, catalog.read(on))


def test_column_order_is_a_fact_apart(db: Database) -> None:
    """A column dropped and added again differs in its place only, a changed default in more."""
    on = db.connect()
    execute(on, BASE)
    before = catalog.read(on)
    execute(on, "ALTER TABLE s.target DROP a; ALTER TABLE s.target ADD a text")
    moved = catalog.read(on)
    assert changed(before, moved) == [
        "-column order s.target: id, a, n",
        "+column order s.target: id, n, a",
    ]
    assert catalog.same_but_for_column_order(before, moved)
    execute(on, "ALTER TABLE s.target ALTER a SET DEFAULT ''")
    assert not catalog.same_but_for_column_order(before, catalog.read(on))


def test_equal_texts_have_no_difference() -> None:
    """Nothing is said of what is the same, and the names head the difference."""
    assert catalog.difference(["a"], ["a"], "x", "y") == []
    assert catalog.difference(["a"], ["b"], "x", "y")[:2] == ["--- x", "+++ y"]


def test_any_role_reads_the_same(db: Database) -> None:
    """A role without a single right reads all of it; only the owner has another name.

    One thing the server keeps to itself: the options of a user mapping.
    """
    on = db.connect()
    execute(
        on, ROLE + SAMPLE.read_text(encoding="utf-8") + "DROP USER MAPPING FOR PUBLIC SERVER sv"
    )
    owners = catalog.read(on)
    execute(on, "BEGIN; CREATE ROLE stranger; SET LOCAL ROLE stranger")
    strangers = catalog.read(on)
    execute(on, "ROLLBACK")
    name = db.value("SELECT quote_ident(current_user)")
    assert not changed(
        *(sorted(line.replace(name, "<owner>") for line in text) for text in (owners, strangers))
    )


def test_what_is_not_the_schema_is_left_out(db: Database) -> None:
    """History, parked rows, temporary objects and what an extension made are no facts."""
    on = db.connect()
    before = catalog.read(on)
    execute(
        on,
        "CREATE TABLE public._yoyo_migration (migration_hash text PRIMARY KEY, at timestamp);"
        "CREATE TABLE public._yoyo_log (id text PRIMARY KEY);"
        "CREATE TABLE public._yoyo_version (version integer PRIMARY KEY);"
        "CREATE TABLE public.yoyo_lock (locked integer DEFAULT 1, PRIMARY KEY (locked));"
        "CREATE INDEX more ON public._yoyo_log (id); COMMENT ON TABLE public._yoyo_log IS 'x';"
        "CREATE SCHEMA parked; CREATE TABLE parked.rows (id serial PRIMARY KEY, a text);"
        "COMMENT ON COLUMN parked.rows.a IS 'x'; CREATE TYPE parked.e AS ENUM ('a');"
        "CREATE FUNCTION parked.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        "GRANT ALL ON ALL TABLES IN SCHEMA parked TO PUBLIC;"
        "CREATE TEMPORARY TABLE passing (id serial PRIMARY KEY);",
    )
    assert not changed(before, catalog.read(on, parked="parked"))
    assert changed(before, catalog.read(on))
