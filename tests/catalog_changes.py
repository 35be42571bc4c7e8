"""Small changes, one for each kind of object and property that PostgreSQL has.

A case is a name, statements that set it up, and the change.
"""

# What every case starts from. Whatever a case changes has `target` in its name, so that the law
# can ask whether the difference names it.
BASE = """
CREATE SCHEMA s;
CREATE TABLE s.target (id integer PRIMARY KEY, a text, n integer NOT NULL DEFAULT 0);
CREATE TABLE s.other (id integer PRIMARY KEY, target_id integer, b text);
CREATE FUNCTION s.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
"""

# Roles belong to the cluster: another test, or another worker, may have made these.
ROLE = """
DO $$ BEGIN CREATE ROLE catalog_reader;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE catalog_target;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
"""

# Subscriptions too belong to the cluster, and another worker has its own.
THIS = "(SELECT oid FROM pg_database WHERE datname = current_database())"

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

DOMAIN = "CREATE DOMAIN s.target_domain AS integer;"
ENUM = "CREATE TYPE s.target_mood AS ENUM ('a', 'b');"
PAIR = "CREATE TYPE s.target_pair AS (a integer);"
RANGE = "CREATE TYPE s.target_range AS RANGE (subtype = float8);"
MATVIEW = "CREATE MATERIALIZED VIEW s.target_mv AS SELECT 1 AS a;"
SEQUENCE = "CREATE SEQUENCE s.target_seq;"
RULE = "CREATE RULE r AS ON DELETE TO s.target DO INSTEAD NOTHING;"
PROCEDURE = "CREATE PROCEDURE s.target() LANGUAGE sql AS '';"
AGGREGATE = "CREATE AGGREGATE s.target(integer) (sfunc = int4pl, stype = integer);"
STATISTICS = "CREATE STATISTICS s.target_st ON a, n FROM s.target;"
PUBLICATION = "CREATE PUBLICATION target_p;"
PERIODS = "CREATE TABLE s.target_p (a int4range, b int4range, PRIMARY KEY (a, b));"
MOVING = "msfunc = int4pl, minvfunc = int4mi, mstype = integer"
RANK = """
CREATE AGGREGATE s.target(VARIADIC "any" ORDER BY VARIADIC "any") (
    sfunc = ordered_set_transition_multi, stype = internal, finalfunc = rank_final,
    finalfunc_extra
);
"""
FINAL = """
CREATE FUNCTION s.final(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION s.final(integer, integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
"""
NUMERIC_AVERAGE = """
    sfunc = numeric_avg_accum, stype = internal, finalfunc = numeric_avg,
    combinefunc = numeric_avg_combine
"""
USER_MAPPING = "CREATE USER MAPPING FOR PUBLIC SERVER target_s OPTIONS (a 'b');"
SCHEMA = "CREATE SCHEMA target_schema;"
OPERATOR = """
CREATE SCHEMA target_schema;
CREATE OPERATOR target_schema.=== (leftarg = int4, rightarg = int4, function = int4eq);
"""
CLASS = """
CREATE OPERATOR CLASS s.target_ops FOR TYPE integer USING hash AS
    OPERATOR 1 =, FUNCTION 1 hashint4(integer);
"""
CLASS_IN_SYSTEM = """
CREATE OPERATOR CLASS s.target_ops FOR TYPE oid USING hash FAMILY integer_ops AS
    OPERATOR 1 = (oid, oid), FUNCTION 1 (oid, oid) hashoid(oid);
"""
CLASS_OF_QUERIES = """
CREATE OPERATOR CLASS s.target_ops FOR TYPE tsquery USING hash AS
    OPERATOR 1 =, FUNCTION 1 (tsquery, tsquery) hashint4(integer);
"""
CLASS_STORED = """
CREATE OPERATOR CLASS s.target_ops FOR TYPE point USING gist AS
    OPERATOR 1 << (point, point), STORAGE box;
"""
FAMILY = "CREATE OPERATOR FAMILY s.target_family USING btree;"
CAST = "CREATE CAST (s.target AS text) WITH INOUT;"
COLLATION = "CREATE COLLATION s.target_coll (provider = libc, locale = 'C');"
CONVERSION = "CREATE CONVERSION s.target_conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;"
CONFIGURATION = "CREATE TEXT SEARCH CONFIGURATION s.target_ts (COPY = simple);"
DICTIONARY = "CREATE TEXT SEARCH DICTIONARY s.target_dict (TEMPLATE = simple);"
PARSER = """
CREATE TEXT SEARCH PARSER s.target_parser
    (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype);
"""
TEMPLATE = "CREATE TEXT SEARCH TEMPLATE s.target_template (lexize = dsimple_lexize);"
# With functions of its own, for pg_dump says no more than the name where they are the system's
LANGUAGE_FUNCTIONS = """
CREATE FUNCTION s.call() RETURNS language_handler
    LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION s.inline(internal) RETURNS void
    LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION s.validator(oid) RETURNS void
    LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
"""
MAKE_LANGUAGE = "CREATE TRUSTED LANGUAGE target_l HANDLER s.call"
LANGUAGE = f"{LANGUAGE_FUNCTIONS} {MAKE_LANGUAGE};"
METHOD = "CREATE ACCESS METHOD target_m TYPE INDEX HANDLER bthandler;"
TRANSFORM = """
CREATE TRANSFORM FOR s.target LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal));
"""
# initdb's own is no business of a migration, nor of pg_dump.
EXTENSION = """
DROP EXTENSION plpgsql CASCADE; CREATE EXTENSION plpgsql;
COMMENT ON EXTENSION plpgsql IS 'target';
"""
SUBSCRIPTION = """
CREATE SUBSCRIPTION target_sub CONNECTION 'host=nowhere' PUBLICATION p
    WITH (connect = false, slot_name = NONE);
"""
BASE_TYPE = """
CREATE TYPE s.target_base;
CREATE FUNCTION s.base_in(cstring) RETURNS s.target_base
    LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION s.base_out(s.target_base) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE FUNCTION s.base_receive(internal) RETURNS s.target_base
    LANGUAGE internal STABLE STRICT AS 'textrecv';
CREATE FUNCTION s.base_send(s.target_base) RETURNS bytea
    LANGUAGE internal STABLE STRICT AS 'textsend';
"""


def again(what: str, before: str, after: str) -> tuple[str, str]:
    """Return a case that drops a thing to make it otherwise."""
    return before, f"DROP {what}; {after}"


def constraint(before: str, after: str, setup: str = "") -> tuple[str, str]:
    """Return a case of a constraint of s.other that comes back as another."""
    return (
        f"{setup}; ALTER TABLE s.other ADD CONSTRAINT target_c {before}",
        f"ALTER TABLE s.other DROP CONSTRAINT target_c, ADD CONSTRAINT target_c {after}",
    )


def foreign_key(after: str) -> tuple[str, str]:
    key = "FOREIGN KEY (target_id) REFERENCES s.target"
    return constraint(key, f"{key} {after}")


def index(definition: str, before: str = INDEX) -> tuple[str, str]:
    """Return a case of an index that comes back as another."""
    return again("INDEX s.target_idx", before, f"CREATE INDEX target_idx ON {definition}")


def trigger(after: str) -> tuple[str, str]:
    function = "FOR EACH ROW EXECUTE FUNCTION s.noop()"
    before = f"CREATE TRIGGER t BEFORE UPDATE ON s.target {function}"
    return again("TRIGGER t ON s.target", before, after.replace("...", function))


def function(
    after: str, before: str = "s.target(a integer) RETURNS integer LANGUAGE sql AS 'SELECT a'"
) -> tuple[str, str]:
    return again("FUNCTION s.target", f"CREATE FUNCTION {before}", f"CREATE FUNCTION {after}")


def aggregate(options: str, before: str = "", arguments: str = "integer") -> tuple[str, str]:
    """Return a case of an aggregate with more options than before."""
    made = f"CREATE AGGREGATE s.target({arguments}) (sfunc = int4pl, stype = integer"
    return again(
        f"AGGREGATE s.target({arguments})", f"{made}{before})", f"{made}{before}, {options})"
    )


def range_type(options: str, subtype: str = "float8", setup: str = "") -> tuple[str, str]:
    made = f"CREATE TYPE s.target_range AS RANGE (subtype = {subtype}"
    return again("TYPE s.target_range", f"{setup}{made})", f"{made}, {options})")


def base_type(options: str) -> tuple[str, str]:
    """Return a case of a base type that comes back with more options."""
    made = "CREATE TYPE s.target_base (input = s.base_in, output = s.base_out"
    shell = BASE_TYPE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    return (
        f"{BASE_TYPE} {made})",
        f"DROP TYPE s.target_base CASCADE; {shell} {made}, {options})",
    )


def partition(by: str, bound: str, other: str) -> tuple[str, str]:
    """Return a case of a partition with one bound, and then another."""
    made = "CREATE TABLE s.target_1 PARTITION OF s.target_all"
    setup = f"CREATE TABLE s.target_all (id integer, a text) PARTITION BY {by};"
    return setup + f"{made} {bound}", f"DROP TABLE s.target_1; {made} {other}"


def partition_key(before: str, after: str) -> tuple[str, str]:
    made = "CREATE TABLE s.target_p (a text, b text) PARTITION BY"
    return again("TABLE s.target_p", f"{made} {before}", f"{made} {after}")


def operator(options: str, setup: str = "") -> tuple[str, str]:
    before, change = again(
        "OPERATOR target_schema.=== (int4, int4)", OPERATOR, OPERATOR.partition(";")[2]
    )
    return before + setup, change.replace("int4eq)", f"int4eq, {options})")


def operator_class(definition: str, setup: str = "") -> tuple[str, str]:
    before, change = again(
        "OPERATOR CLASS s.target_ops USING hash", CLASS, f"CREATE OPERATOR CLASS {definition}"
    )
    return setup + before, change


def collation(assignment: str, before: str = "collprovider = 'c'") -> tuple[str, str]:
    """Return a case of what not every build of PostgreSQL offers: it may lack ICU."""
    update = "UPDATE pg_collation SET {} WHERE collname = 'target_coll'"
    return COLLATION + update.format(before), update.format(assignment)


def subscription(change: str) -> tuple[str, str]:
    return SUBSCRIPTION, f"ALTER SUBSCRIPTION target_sub {change}"


def subscription_with(option: str) -> tuple[str, str]:
    """Return a case of what is said once and for all of a subscription."""
    return again(
        "SUBSCRIPTION target_sub", SUBSCRIPTION, SUBSCRIPTION.replace("NONE)", f"NONE, {option})")
    )


def comment(on: str, setup: str = "") -> tuple[str, str]:
    return setup, f"COMMENT ON {on} IS 'x'"


def owner(of: str, setup: str = "") -> tuple[str, str]:
    return setup, f"ALTER {of} OWNER TO catalog_reader"


def grant(what: str, setup: str = "") -> tuple[str, str]:
    return setup, f"GRANT {what} TO catalog_reader"


def default_privileges(what: str) -> tuple[str, str]:
    return "", f"ALTER DEFAULT PRIVILEGES {what}"


def label(values: str, catalog: str = "pg_seclabel") -> tuple[str, str]:
    """Return a case of a security label: a provider of them has to be loaded, none is at hand."""
    return "", f"INSERT INTO {catalog} VALUES ({values}, 'provider', 'target')"


def tablespace(relation: str, setup: str = "") -> tuple[str, str]:
    """Return a case of another tablespace: every server has this one, though not for tables."""
    return (
        setup,
        "UPDATE pg_class SET reltablespace = (SELECT oid FROM pg_tablespace "
        f"WHERE spcname = 'pg_global') WHERE oid = '{relation}'::regclass",
    )


CHANGES: dict[str, tuple[str, str]] = {
    # schemas
    "schema": ("", "CREATE SCHEMA target_schema"),
    "schema dropped": ("CREATE SCHEMA target_schema", "DROP SCHEMA target_schema"),
    "schema renamed": (SCHEMA, "ALTER SCHEMA target_schema RENAME TO target_other"),
    "schema public": ("COMMENT ON SCHEMA public IS 'target'", "DROP SCHEMA public"),
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
    "table logged": ("ALTER TABLE s.target SET UNLOGGED", "ALTER TABLE s.target SET LOGGED"),
    "table option dropped": (
        "ALTER TABLE s.target SET (fillfactor = 70)",
        "ALTER TABLE s.target RESET (fillfactor)",
    ),
    "table access method": (
        "CREATE ACCESS METHOD target_m TYPE TABLE HANDLER heap_tableam_handler",
        "ALTER TABLE s.other SET ACCESS METHOD target_m",
    ),
    "table tablespace": tablespace("s.target"),
    "function of an extension": (
        FUNCTION,
        "ALTER EXTENSION plpgsql ADD FUNCTION s.target(integer)",
    ),
    "replica identity nothing": ("", "ALTER TABLE s.target REPLICA IDENTITY NOTHING"),
    "clustered no more": (
        "ALTER TABLE s.target CLUSTER ON target_pkey",
        "ALTER TABLE s.target SET WITHOUT CLUSTER",
    ),
    "inherits two": (
        "CREATE TABLE s.parent (); CREATE TABLE s.target_kid () INHERITS (s.target)",
        "ALTER TABLE s.target_kid INHERIT s.parent",
    ),
    "inherits in another order": (
        "CREATE TABLE s.parent (); CREATE TABLE s.target_kid () INHERITS (s.target, s.parent)",
        "ALTER TABLE s.target_kid NO INHERIT s.target;ALTER TABLE s.target_kid INHERIT s.target",
    ),
    "inherited column not null": (
        "CREATE TABLE s.target_kid () INHERITS (s.target)",
        "ALTER TABLE s.target_kid ALTER a SET NOT NULL",
    ),
    "inherited column made local": again(
        "TABLE s.target_kid",
        "CREATE TABLE s.target_kid () INHERITS (s.target)",
        "CREATE TABLE s.target_kid (a text) INHERITS (s.target)",
    ),
    "inherited column with its own default made local": again(
        "TABLE s.target_kid",
        "CREATE TABLE s.target_kid () INHERITS (s.other);"
        "ALTER TABLE s.target_kid ALTER b SET DEFAULT 'x'",
        "CREATE TABLE s.target_kid (b text DEFAULT 'x') INHERITS (s.other)",
    ),
    "inherited constraint made local": again(
        "TABLE s.target_kid",
        "ALTER TABLE s.other ADD CONSTRAINT c CHECK (id > 0);"
        "CREATE TABLE s.target_kid () INHERITS (s.other)",
        "CREATE TABLE s.target_kid (CONSTRAINT c CHECK (id > 0)) INHERITS (s.other)",
    ),
    "inherited constraint validated": (
        "CREATE TABLE s.target_kid () INHERITS (s.other);"
        "ALTER TABLE s.other ADD CONSTRAINT c CHECK (id > 0) NOT VALID",
        "ALTER TABLE s.target_kid VALIDATE CONSTRAINT c",
    ),
    "of type no more": (
        PAIR + "CREATE TABLE s.target_typed OF s.target_pair",
        "ALTER TABLE s.target_typed NOT OF",
    ),
    "partition of a list": partition(
        "LIST (a)", "FOR VALUES IN ('a')", "FOR VALUES IN ('a', NULL)"
    ),
    "partition of hashes": partition(
        "HASH (a)",
        "FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    ),
    "partition by default": partition("LIST (a)", "FOR VALUES IN ('a')", "DEFAULT"),
    "partition parted": partition(
        "LIST (a)", "FOR VALUES IN ('a')", "FOR VALUES IN ('a') PARTITION BY LIST (id)"
    ),
    "partition being detached": (
        PARTITIONED,
        "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 's.target_1'::regclass",
    ),
    "partition's check": (PARTITIONED, "ALTER TABLE s.target_1 ADD CHECK (id > 0)"),
    "partition's column order": again(
        "TABLE s.target_1",
        PARTITIONED,
        "CREATE TABLE s.target_1 (at integer, id integer);"
        "ALTER TABLE s.target_all ATTACH PARTITION s.target_1 FOR VALUES FROM (1) TO (2)",
    ),
    "partition strategy": partition_key("LIST (a)", "HASH (a)"),
    "partition key's expression": partition_key("LIST (lower(a))", "LIST (upper(a))"),
    "partition key's operator class": partition_key("LIST (a)", "LIST (a text_pattern_ops)"),
    "partition key's collation": partition_key("LIST (a)", 'LIST (a COLLATE "C")'),
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
    "type of arrays": ("", "ALTER TABLE s.target ALTER a TYPE text[] USING ARRAY[a]"),
    "type's precision": (
        "ALTER TABLE s.target ADD c numeric(9, 2)",
        "ALTER TABLE s.target ALTER c TYPE numeric(9, 3)",
    ),
    "type's fields": (
        "ALTER TABLE s.target ADD c interval DAY",
        "ALTER TABLE s.target ALTER c TYPE interval DAY TO SECOND",
    ),
    "serial": ("", "ALTER TABLE s.target ADD c serial"),
    "default of another function": (
        "ALTER TABLE s.target ADD c timestamptz DEFAULT now()",
        "ALTER TABLE s.target ALTER c SET DEFAULT clock_timestamp()",
    ),
    "generated expression": (
        "ALTER TABLE s.target ADD c integer GENERATED ALWAYS AS (n * 2) STORED",
        "ALTER TABLE s.target DROP c, ADD c integer GENERATED ALWAYS AS (n * 3) STORED",
    ),
    "identity minimum": (IDENTITY, "ALTER TABLE s.target ALTER id SET MINVALUE -5"),
    "identity maximum": (IDENTITY, "ALTER TABLE s.target ALTER id SET MAXVALUE 500"),
    "identity cycle": (IDENTITY, "ALTER TABLE s.target ALTER id SET CYCLE"),
    "identity cache": (IDENTITY, "ALTER TABLE s.target ALTER id SET CACHE 5"),
    "identity sequence's type": (IDENTITY, "ALTER SEQUENCE s.target_id_seq AS bigint"),
    "identity sequence unlogged": (IDENTITY, "ALTER SEQUENCE s.target_id_seq SET UNLOGGED"),
    "storage plain": ("", "ALTER TABLE s.target ALTER a SET STORAGE PLAIN"),
    "storage main": ("", "ALTER TABLE s.target ALTER a SET STORAGE MAIN"),
    "compression dropped": (
        "ALTER TABLE s.target ALTER a SET COMPRESSION pglz",
        "ALTER TABLE s.target ALTER a SET COMPRESSION default",
    ),
    "statistics target dropped": (
        "ALTER TABLE s.target ALTER a SET STATISTICS 500",
        "ALTER TABLE s.target ALTER a SET STATISTICS -1",
    ),
    "column option of heirs": ("", "ALTER TABLE s.target ALTER a SET (n_distinct_inherited = 9)"),
    "column option dropped": (
        "ALTER TABLE s.target ALTER a SET (n_distinct = 9)",
        "ALTER TABLE s.target ALTER a RESET (n_distinct)",
    ),
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
    "check expression": constraint("CHECK (id > 0)", "CHECK (id > 1)"),
    "primary key's columns": (
        "",
        "ALTER TABLE s.target DROP CONSTRAINT target_pkey,"
        "ADD CONSTRAINT target_pkey PRIMARY KEY (id, n)",
    ),
    "primary key's included column": (
        "",
        "ALTER TABLE s.target DROP CONSTRAINT target_pkey,"
        "ADD CONSTRAINT target_pkey PRIMARY KEY (id) INCLUDE (a)",
    ),
    "primary key's tablespace": tablespace("s.target_pkey"),
    "unique columns' order": constraint("UNIQUE (id, b)", "UNIQUE (b, id)"),
    "unique included column": constraint("UNIQUE (b)", "UNIQUE (b) INCLUDE (target_id)"),
    "unique deferred": constraint("UNIQUE (b) DEFERRABLE", "UNIQUE (b) INITIALLY DEFERRED"),
    "unique without index": (
        "CREATE UNIQUE INDEX target_c ON s.other (b)",
        "ALTER TABLE s.other ADD CONSTRAINT target_c UNIQUE USING INDEX target_c",
    ),
    "exclusion's operator": constraint(
        "EXCLUDE USING gist (int4range(id, id) WITH &&)",
        "EXCLUDE USING gist (int4range(id, id) WITH =)",
    ),
    "exclusion's method": constraint("EXCLUDE (id WITH =)", "EXCLUDE USING hash (id WITH =)"),
    "exclusion's condition": constraint(
        "EXCLUDE (id WITH =)", "EXCLUDE (id WITH =) WHERE (id > 0)"
    ),
    "exclusion's operator class": constraint(
        "EXCLUDE (b WITH =)", "EXCLUDE (b text_pattern_ops WITH =)"
    ),
    "exclusion deferrable": constraint("EXCLUDE (id WITH =)", "EXCLUDE (id WITH =) DEFERRABLE"),
    "foreign key deferrable": foreign_key("DEFERRABLE"),
    "foreign key match": foreign_key("MATCH FULL"),
    "foreign key on update": foreign_key("ON UPDATE CASCADE"),
    "foreign key on delete of null": foreign_key("ON DELETE SET NULL"),
    "foreign key on delete of a default": foreign_key("ON DELETE SET DEFAULT"),
    "foreign key on delete of some columns": constraint(
        "FOREIGN KEY (id, target_id) REFERENCES s.parent ON DELETE SET NULL",
        "FOREIGN KEY (id, target_id) REFERENCES s.parent ON DELETE SET NULL (target_id)",
        "CREATE TABLE s.parent (a integer, b integer, PRIMARY KEY (a, b))",
    ),
    "foreign key restricted": foreign_key("ON DELETE RESTRICT"),
    "foreign key not valid": foreign_key("NOT VALID"),
    "foreign key validated": (
        FOREIGN_KEY.replace("s.target;", "s.target NOT VALID;"),
        "ALTER TABLE s.other VALIDATE CONSTRAINT target_fkey",
    ),
    "foreign key to other columns": constraint(
        "FOREIGN KEY (target_id) REFERENCES s.parent (a)",
        "FOREIGN KEY (target_id) REFERENCES s.parent (b)",
        "CREATE TABLE s.parent (a integer UNIQUE, b integer UNIQUE)",
    ),
    "foreign key not enforced in a partition": (
        PARTITIONED + "ALTER TABLE s.target_all ADD FOREIGN KEY (id) REFERENCES s.target",
        "ALTER TABLE s.target_1 DISABLE TRIGGER ALL",
    ),
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
    "index left behind invalid": (
        "",
        INDEX
        + "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 's.target_idx'::regclass",
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
    "index renamed": (INDEX, "ALTER INDEX s.target_idx RENAME TO target_2_idx"),
    "index column": index("s.target (n)"),
    "index included column": index("s.target (a) INCLUDE (n)"),
    "index expression": index(
        "s.target (upper(a))", "CREATE INDEX target_idx ON s.target (lower(a))"
    ),
    "index operator class": index("s.target (a text_pattern_ops)"),
    "index operator class's option": (
        "ALTER TABLE s.target ADD d tsvector; CREATE INDEX target_idx ON s.target USING gist (d)",
        "DROP INDEX s.target_idx;"
        "CREATE INDEX target_idx ON s.target USING gist (d tsvector_ops (siglen = 64))",
    ),
    "index collation": index('s.target (a COLLATE "C")'),
    "index nulls first": index("s.target (a NULLS FIRST)"),
    "index nulls not distinct": (
        "CREATE UNIQUE INDEX target_idx ON s.target (a)",
        "DROP INDEX s.target_idx;CREATE UNIQUE INDEX target_idx ON s.target (a) NULLS NOT DISTINCT",
    ),
    "index of the partitioned table only": (
        PARTITIONED + "CREATE INDEX target_idx ON s.target_all (id)",
        "DROP INDEX s.target_idx; CREATE INDEX target_idx ON ONLY s.target_all (id)",
    ),
    "index clustered": (INDEX, "ALTER TABLE s.target CLUSTER ON target_idx"),
    "index of replica identity": (
        "CREATE UNIQUE INDEX target_idx ON s.target (n)",
        "ALTER TABLE s.target REPLICA IDENTITY USING INDEX target_idx",
    ),
    "index tablespace": tablespace("s.target_idx", INDEX),
    "index depends on extension": (INDEX, "ALTER INDEX s.target_idx DEPENDS ON EXTENSION plpgsql"),
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
    "trigger renamed": (TRIGGER, "ALTER TRIGGER t ON s.target RENAME TO u"),
    "trigger time": trigger("CREATE TRIGGER t AFTER UPDATE ON s.target ..."),
    "trigger level": trigger(
        "CREATE TRIGGER t BEFORE UPDATE ON s.target EXECUTE FUNCTION s.noop()"
    ),
    "trigger columns": trigger("CREATE TRIGGER t BEFORE UPDATE OF a ON s.target ..."),
    "trigger condition": trigger(
        "CREATE TRIGGER t BEFORE UPDATE ON s.target FOR EACH ROW WHEN (NEW.n > 0)"
        "EXECUTE FUNCTION s.noop()"
    ),
    "trigger arguments": trigger(
        "CREATE TRIGGER t BEFORE UPDATE ON s.target FOR EACH ROW EXECUTE FUNCTION s.noop('x')"
    ),
    "trigger tables": trigger(
        "CREATE TRIGGER t AFTER UPDATE ON s.target REFERENCING OLD TABLE AS o ..."
    ),
    "trigger function": (
        TRIGGER + "CREATE FUNCTION s.noop2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON s.target FOR EACH ROW"
        " EXECUTE FUNCTION s.noop2()",
    ),
    "trigger as a constraint": trigger("CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON s.target ..."),
    "trigger deferrable": trigger(
        "CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON s.target DEFERRABLE INITIALLY DEFERRED ..."
    ),
    "trigger of a view": (
        VIEW,
        "CREATE TRIGGER t INSTEAD OF INSERT ON s.target_view FOR EACH ROW"
        " EXECUTE FUNCTION s.noop()",
    ),
    "trigger on replicas": (TRIGGER, "ALTER TABLE s.target ENABLE REPLICA TRIGGER t"),
    "trigger depends on extension": (
        TRIGGER,
        "ALTER TRIGGER t ON s.target DEPENDS ON EXTENSION plpgsql",
    ),
    "rule renamed": (RULE, "ALTER RULE r ON s.target RENAME TO u"),
    "rule condition": (
        RULE,
        "CREATE OR REPLACE RULE r AS ON DELETE TO s.target WHERE OLD.n > 0 DO INSTEAD NOTHING",
    ),
    "rule also": (
        RULE,
        "CREATE OR REPLACE RULE r AS ON DELETE TO s.target DO ALSO DELETE FROM s.other",
    ),
    "rule always": (RULE, "ALTER TABLE s.target ENABLE ALWAYS RULE r"),
    "policy renamed": (POLICY, "ALTER POLICY p ON s.target RENAME TO q"),
    "policy of public": (
        "CREATE POLICY p ON s.target TO catalog_reader USING (n > 0)",
        "ALTER POLICY p ON s.target TO PUBLIC",
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
    "view renamed": (VIEW, "ALTER VIEW s.target_view RENAME TO target_view2"),
    "view column renamed": (VIEW, "ALTER VIEW s.target_view RENAME a TO b"),
    "view check option": (VIEW, "ALTER VIEW s.target_view SET (check_option = local)"),
    "view check option cascaded": (
        VIEW.replace(";", " WITH LOCAL CHECK OPTION;"),
        "ALTER VIEW s.target_view SET (check_option = cascaded)",
    ),
    "view security": (VIEW, "ALTER VIEW s.target_view SET (security_invoker = true)"),
    "materialized view query": again(
        "MATERIALIZED VIEW s.target_mv", MATVIEW, MATVIEW.replace("SELECT 1", "SELECT 2")
    ),
    "materialized view option": (
        MATVIEW,
        "ALTER MATERIALIZED VIEW s.target_mv SET (fillfactor = 90)",
    ),
    "materialized view tablespace": tablespace("s.target_mv", MATVIEW),
    "materialized view index": (MATVIEW, "CREATE INDEX ON s.target_mv (a)"),
    "materialized view clustered": (
        MATVIEW + "CREATE INDEX i ON s.target_mv (a)",
        "ALTER MATERIALIZED VIEW s.target_mv CLUSTER ON i",
    ),
    "materialized view column": (
        MATVIEW,
        "ALTER MATERIALIZED VIEW s.target_mv ALTER a SET STATISTICS 9",
    ),
    "materialized view access method": again(
        "MATERIALIZED VIEW s.target_mv",
        MATVIEW + "CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler",
        "CREATE MATERIALIZED VIEW s.target_mv USING m AS SELECT 1 AS a",
    ),
    "materialized view depends on extension": (
        MATVIEW,
        "ALTER MATERIALIZED VIEW s.target_mv DEPENDS ON EXTENSION plpgsql",
    ),
    "sequence start": (SEQUENCE, "ALTER SEQUENCE s.target_seq START 5"),
    "sequence increment": (SEQUENCE, "ALTER SEQUENCE s.target_seq INCREMENT 5"),
    "sequence downwards": again(
        "SEQUENCE s.target_seq", SEQUENCE, "CREATE SEQUENCE s.target_seq INCREMENT -1"
    ),
    "sequence maximum": (SEQUENCE, "ALTER SEQUENCE s.target_seq MAXVALUE 500"),
    "sequence unlogged": (SEQUENCE, "ALTER SEQUENCE s.target_seq SET UNLOGGED"),
    "sequence owner dropped": (
        "CREATE SEQUENCE s.target_seq OWNED BY s.other.id",
        "ALTER SEQUENCE s.target_seq OWNED BY NONE",
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
    "function overloaded": (
        FUNCTION,
        "CREATE FUNCTION s.target(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    ),
    "function argument's name": function(
        "s.target(b integer) RETURNS integer LANGUAGE sql AS 'SELECT $1'"
    ),
    "function argument's default": function(
        "s.target(a integer DEFAULT 1) RETURNS integer LANGUAGE sql AS 'SELECT a'"
    ),
    "function argument's mode": function(
        "s.target(a integer, OUT b integer) LANGUAGE sql AS 'SELECT a'"
    ),
    "function of any number of arguments": function(
        "s.target(VARIADIC a integer[]) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "s.target(a integer[]) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ),
    "function result": function("s.target(a integer) RETURNS bigint LANGUAGE sql AS 'SELECT a'"),
    "function of a set": function(
        "s.target(a integer) RETURNS SETOF integer LANGUAGE sql AS 'SELECT a'"
    ),
    "function of a table": function(
        "s.target(a integer) RETURNS TABLE (b integer) LANGUAGE sql AS 'SELECT a'"
    ),
    "function rows": function(
        "s.target() RETURNS SETOF integer LANGUAGE sql ROWS 5 AS 'SELECT 1'",
        "s.target() RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1'",
    ),
    "function language": function(
        "s.target(a integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN END'"
    ),
    "function of the server": function(
        "s.target(a integer) RETURNS integer LANGUAGE internal AS 'int4abs'",
        "s.target(a integer) RETURNS integer LANGUAGE internal AS 'int4um'",
    ),
    "function of a library": function(
        "s.target(internal) RETURNS internal LANGUAGE c"
        " AS '$libdir/dict_snowball', 'dsnowball_init'",
        "s.target(internal) RETURNS internal LANGUAGE internal AS 'dsimple_init'",
    ),
    "function in SQL's words": function(
        "s.target(a integer) RETURNS integer LANGUAGE sql RETURN a + 2",
        "s.target(a integer) RETURNS integer LANGUAGE sql RETURN a + 1",
    ),
    "function in a window": function(
        "s.target(a integer) RETURNS integer LANGUAGE internal WINDOW AS 'int4abs'"
    ),
    "function support": (FUNCTION, "ALTER FUNCTION s.target SUPPORT pg_catalog.textlike_support"),
    "function transforms": (
        TRANSFORM + "CREATE FUNCTION s.target(s.target) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION s.target(s.target) RETURNS integer"
        " TRANSFORM FOR TYPE s.target LANGUAGE sql AS 'SELECT 1'",
    ),
    "function stable": (FUNCTION, "ALTER FUNCTION s.target STABLE"),
    "function parallel restricted": (FUNCTION, "ALTER FUNCTION s.target PARALLEL RESTRICTED"),
    "function setting dropped": (
        FUNCTION + "ALTER FUNCTION s.target SET search_path = ''",
        "ALTER FUNCTION s.target RESET search_path",
    ),
    "function depends on extension": (
        FUNCTION,
        "ALTER FUNCTION s.target DEPENDS ON EXTENSION plpgsql",
    ),
    "procedure body": (
        PROCEDURE,
        PROCEDURE.replace("CREATE", "CREATE OR REPLACE").replace("''", "'SELECT 1'"),
    ),
    "procedure security": (PROCEDURE, "ALTER PROCEDURE s.target SECURITY DEFINER"),
    "aggregate state": (
        AGGREGATE,
        "CREATE OR REPLACE AGGREGATE s.target(integer) (sfunc = int4mul, stype = integer)",
    ),
    "aggregate space": aggregate("sspace = 9"),
    "aggregate final": aggregate("finalfunc = int4abs"),
    "aggregate final's arguments": again(
        "AGGREGATE s.target(integer)",
        f"{FINAL}{AGGREGATE[:-2]}, finalfunc = s.final)",
        f"{AGGREGATE[:-2]}, finalfunc = s.final, finalfunc_extra)",
    ),
    "aggregate final that modifies": aggregate(
        "finalfunc_modify = read_write", ", finalfunc = int4abs"
    ),
    "aggregate combined": aggregate("combinefunc = int4pl"),
    "aggregate serialized": again(
        "AGGREGATE s.target(numeric)",
        f"CREATE AGGREGATE s.target(numeric) ({NUMERIC_AVERAGE})",
        f"CREATE AGGREGATE s.target(numeric) ({NUMERIC_AVERAGE},"
        " serialfunc = numeric_avg_serialize, deserialfunc = numeric_avg_deserialize)",
    ),
    "aggregate parallel": aggregate("parallel = safe"),
    "aggregate sorted": aggregate("sortop = OPERATOR(pg_catalog.<)"),
    "aggregate moving": aggregate(MOVING),
    "aggregate moving space": aggregate("msspace = 9", f", {MOVING}"),
    "aggregate moving initial value": aggregate("minitcond = '1'", f", {MOVING}"),
    "aggregate moving final": aggregate("mfinalfunc = int4abs", f", {MOVING}, finalfunc = int4abs"),
    "aggregate moving final that modifies": aggregate(
        "mfinalfunc_modify = read_write", f", {MOVING}, finalfunc = int4abs, mfinalfunc = int4abs"
    ),
    "aggregate of an order": (
        RANK,
        'DROP AGGREGATE s.target(VARIADIC "any" ORDER BY VARIADIC "any");'
        + RANK.replace(");", ", hypothetical);"),
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
    "type renamed": (ENUM, "ALTER TYPE s.target_mood RENAME TO target_mood2"),
    "enum label renamed": (ENUM, "ALTER TYPE s.target_mood RENAME VALUE 'a' TO 'z'"),
    "composite attribute renamed": (PAIR, "ALTER TYPE s.target_pair RENAME ATTRIBUTE a TO b"),
    "composite attribute's type": (PAIR, "ALTER TYPE s.target_pair ALTER ATTRIBUTE a TYPE text"),
    "composite attribute's collation": (
        "CREATE TYPE s.target_pair AS (a text)",
        'ALTER TYPE s.target_pair ALTER ATTRIBUTE a TYPE text COLLATE "C"',
    ),
    "range subtype": again("TYPE s.target_range", RANGE, RANGE.replace("float8", "integer")),
    "range operator class": range_type("subtype_opclass = text_pattern_ops", "text"),
    "range collation": range_type('collation = "C"', "text"),
    "range canonical": (
        "CREATE FUNCTION s.c(int4range) RETURNS int4range LANGUAGE internal IMMUTABLE"
        " AS 'int4range_canonical';" + RANGE,
        "UPDATE pg_range SET rngcanonical = 's.c'::regproc"
        " WHERE rngtypid = 's.target_range'::regtype",
    ),
    "range's multirange": range_type("multirange_type_name = s.target_ranges"),
    "base type": (BASE_TYPE, "DROP TYPE s.target_base CASCADE"),
    "base type completed": (
        BASE_TYPE,
        "CREATE TYPE s.target_base (input = s.base_in, output = s.base_out)",
    ),
    "base type's alignment": base_type("alignment = double"),
    "base type's length": base_type("internallength = 8"),
    "base type by value": base_type("like = integer"),
    "base type's storage": base_type("storage = extended"),
    "base type received": base_type("receive = s.base_receive"),
    "base type sent": base_type("send = s.base_send"),
    "base type's modifiers": base_type("typmod_in = varchartypmodin"),
    "base type's modifiers shown": base_type(
        "typmod_in = varchartypmodin, typmod_out = varchartypmodout"
    ),
    "base type analyzed": base_type("analyze = array_typanalyze"),
    "base type subscripted": base_type("subscript = raw_array_subscript_handler"),
    "base type's category": base_type("category = 'S'"),
    "base type preferred": base_type("preferred = true"),
    "base type's default": base_type("default = 'x'"),
    "base type's delimiter": base_type("delimiter = '|'"),
    "base type's element": base_type(
        "element = integer, internallength = 8, subscript = raw_array_subscript_handler"
    ),
    "base type collatable": base_type("collatable = true"),
    "domain's type": again("DOMAIN s.target_domain", DOMAIN, DOMAIN.replace("integer", "bigint")),
    "domain's collation": again(
        "DOMAIN s.target_domain",
        "CREATE DOMAIN s.target_domain AS text",
        'CREATE DOMAIN s.target_domain AS text COLLATE "C"',
    ),
    "domain default dropped": (
        "CREATE DOMAIN s.target_domain AS integer DEFAULT 1",
        "ALTER DOMAIN s.target_domain DROP DEFAULT",
    ),
    "domain check not valid": (
        DOMAIN,
        "ALTER DOMAIN s.target_domain ADD CHECK (VALUE > 0) NOT VALID",
    ),
    "domain check validated": (
        DOMAIN + "ALTER DOMAIN s.target_domain ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID",
        "ALTER DOMAIN s.target_domain VALIDATE CONSTRAINT c",
    ),
    "domain check renamed": (
        "CREATE DOMAIN s.target_domain AS integer CONSTRAINT c CHECK (VALUE > 0)",
        "ALTER DOMAIN s.target_domain RENAME CONSTRAINT c TO d",
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
    "comment on view": comment("VIEW s.target_view", VIEW),
    "comment on materialized view": comment("MATERIALIZED VIEW s.target_mv", MATVIEW),
    "comment on materialized view's column": comment("COLUMN s.target_mv.a", MATVIEW),
    "comment on foreign table": comment("FOREIGN TABLE s.target_f", FOREIGN),
    "comment on foreign column": comment("COLUMN s.target_f.a", FOREIGN),
    "comment on composite attribute": comment("COLUMN s.target_pair.a", PAIR),
    "comment on partition": comment("TABLE s.target_1", PARTITIONED),
    "comment on procedure": comment("PROCEDURE s.target", PROCEDURE),
    "comment on aggregate": comment("AGGREGATE s.target(integer)", AGGREGATE),
    "comment on range type": comment("TYPE s.target_range", RANGE),
    "comment on statistics": comment("STATISTICS s.target_st", STATISTICS),
    "comment on operator": comment("OPERATOR target_schema.=== (int4, int4)", OPERATOR),
    "comment on operator class": comment("OPERATOR CLASS s.target_ops USING hash", CLASS),
    "comment on operator family": comment("OPERATOR FAMILY s.target_family USING btree", FAMILY),
    "comment on cast": comment("CAST (s.target AS text)", CAST),
    "comment on collation": comment("COLLATION s.target_coll", COLLATION),
    "comment on conversion": comment("CONVERSION s.target_conv", CONVERSION),
    "comment on configuration": comment("TEXT SEARCH CONFIGURATION s.target_ts", CONFIGURATION),
    "comment on dictionary": comment("TEXT SEARCH DICTIONARY s.target_dict", DICTIONARY),
    "comment on parser": comment("TEXT SEARCH PARSER s.target_parser", PARSER),
    "comment on template": comment("TEXT SEARCH TEMPLATE s.target_template", TEMPLATE),
    "comment on transform": comment("TRANSFORM FOR s.target LANGUAGE sql", TRANSFORM),
    "comment on language": comment("LANGUAGE target_l", LANGUAGE),
    "comment on access method": comment("ACCESS METHOD target_m", METHOD),
    "comment on publication": comment("PUBLICATION target_p", PUBLICATION),
    "comment on subscription": comment("SUBSCRIPTION target_sub", SUBSCRIPTION),
    "comment on foreign-data wrapper": comment("FOREIGN DATA WRAPPER target_w", SERVER),
    "comment on server": comment("SERVER target_s", SERVER),
    "comment on extension": (EXTENSION, "COMMENT ON EXTENSION plpgsql IS 'x'"),
    "comment on database": (
        "",
        "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'target');"
        " END $$",
    ),
    "security label on table": label("'s.target'::regclass, 'pg_class'::regclass, 0"),
    "security label on column": label("'s.target'::regclass, 'pg_class'::regclass, 2"),
    "security label on database": label(
        f"{THIS}, 'pg_database'::regclass",
        "pg_shseclabel",
    ),
    # owners and privileges
    "owner of schema": (
        "CREATE SCHEMA target_schema",
        "ALTER SCHEMA target_schema OWNER TO catalog_reader",
    ),
    "owner of schema public": ("", "ALTER SCHEMA public OWNER TO catalog_target"),
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
        "",
        "GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO catalog_target",
    ),
    "revoke from public": (FUNCTION, "REVOKE EXECUTE ON FUNCTION s.target FROM PUBLIC"),
    "revoke from owner": ("", "REVOKE DELETE ON s.target FROM CURRENT_USER"),
    "default privileges": (
        "CREATE SCHEMA target_schema",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA target_schema GRANT SELECT ON TABLES TO catalog_reader",
    ),
    "owner of view": owner("VIEW s.target_view", VIEW),
    "owner of materialized view": owner("MATERIALIZED VIEW s.target_mv", MATVIEW),
    "owner of sequence": owner("SEQUENCE s.target_seq", SEQUENCE),
    "owner of foreign table": owner("FOREIGN TABLE s.target_f", FOREIGN),
    "owner of procedure": owner("PROCEDURE s.target", PROCEDURE),
    "owner of aggregate": owner("AGGREGATE s.target(integer)", AGGREGATE),
    "owner of composite type": owner("TYPE s.target_pair", PAIR),
    "owner of domain": owner("DOMAIN s.target_domain", DOMAIN),
    "owner of statistics": owner("STATISTICS s.target_st", STATISTICS),
    "owner of operator": owner("OPERATOR target_schema.=== (int4, int4)", OPERATOR),
    "owner of operator class": owner("OPERATOR CLASS s.target_ops USING hash", CLASS),
    "owner of operator family": owner("OPERATOR FAMILY s.target_family USING btree", FAMILY),
    "owner of collation": owner("COLLATION s.target_coll", COLLATION),
    "owner of conversion": owner("CONVERSION s.target_conv", CONVERSION),
    "owner of configuration": owner("TEXT SEARCH CONFIGURATION s.target_ts", CONFIGURATION),
    "owner of dictionary": owner("TEXT SEARCH DICTIONARY s.target_dict", DICTIONARY),
    "owner of language": owner("LANGUAGE target_l", LANGUAGE),
    "owner of publication": owner("PUBLICATION target_p", PUBLICATION),
    "owner of server": owner("SERVER target_s", SERVER),
    # These must belong to a superuser
    "owner of foreign-data wrapper": (
        SERVER,
        "UPDATE pg_foreign_data_wrapper SET fdwowner = 'catalog_reader'::regrole"
        " WHERE fdwname = 'target_w'",
    ),
    "owner of event trigger": (
        EVENT_TRIGGER,
        "UPDATE pg_event_trigger SET evtowner = 'catalog_reader'::regrole",
    ),
    "owner of subscription": (
        SUBSCRIPTION,
        f"UPDATE pg_subscription SET subowner = 'catalog_reader'::regrole WHERE subdbid = {THIS}",
    ),
    "grant all": grant("ALL ON s.target"),
    "grant on view": grant("SELECT ON s.target_view", VIEW),
    "grant on view's column": grant("SELECT (a) ON s.target_view", VIEW),
    "grant on materialized view": grant("SELECT ON s.target_mv", MATVIEW),
    "grant on foreign table": grant("SELECT ON s.target_f", FOREIGN),
    "grant on partition": grant("SELECT ON s.target_1", PARTITIONED),
    "grant on procedure": grant("EXECUTE ON PROCEDURE s.target", PROCEDURE),
    "grant on aggregate": grant("EXECUTE ON FUNCTION s.target(integer)", AGGREGATE),
    "grant on domain": grant("USAGE ON DOMAIN s.target_domain", DOMAIN),
    "grant on language": grant("USAGE ON LANGUAGE target_l", LANGUAGE),
    "grant on foreign-data wrapper": grant("USAGE ON FOREIGN DATA WRAPPER target_w", SERVER),
    "grant on server": grant("USAGE ON FOREIGN SERVER target_s", SERVER),
    "grant on database": (
        "",
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO catalog_target',"
        " current_database()); END $$",
    ),
    "grant option on column": (
        "GRANT UPDATE (a) ON s.target TO catalog_reader",
        "GRANT UPDATE (a) ON s.target TO catalog_reader WITH GRANT OPTION",
    ),
    "grant by another": (
        "GRANT USAGE ON SCHEMA s TO catalog_reader;"
        "GRANT SELECT ON s.target TO catalog_reader WITH GRANT OPTION;"
        "GRANT SELECT ON s.target TO PUBLIC",
        "REVOKE SELECT ON s.target FROM PUBLIC;"
        "SET ROLE catalog_reader; GRANT SELECT ON s.target TO PUBLIC; RESET ROLE",
    ),
    "grant on built-in table": ("", "GRANT SELECT ON pg_catalog.pg_authid TO catalog_target"),
    "grant on built-in column": (
        "",
        "GRANT SELECT (rolpassword) ON pg_catalog.pg_authid TO catalog_target",
    ),
    "grant on built-in type": ("", "GRANT USAGE ON TYPE pg_catalog.int4 TO catalog_target"),
    "grant on built-in schema": ("", "GRANT CREATE ON SCHEMA pg_catalog TO catalog_target"),
    "grant on built-in language": ("", "GRANT USAGE ON LANGUAGE sql TO catalog_target"),
    "grant on an extension's language": ("", "GRANT USAGE ON LANGUAGE plpgsql TO catalog_target"),
    "grant on an extension's table": (
        "CREATE TABLE s.own (a integer); ALTER EXTENSION plpgsql ADD TABLE s.own",
        "GRANT SELECT (a) ON s.own TO catalog_target",
    ),
    "grant on an extension's sequence": (
        "CREATE SEQUENCE s.own; ALTER EXTENSION plpgsql ADD SEQUENCE s.own",
        "GRANT SELECT ON s.own TO catalog_target",
    ),
    "grant on an extension's type": (
        "CREATE TYPE s.own AS ENUM (); ALTER EXTENSION plpgsql ADD TYPE s.own",
        "GRANT USAGE ON TYPE s.own TO catalog_target",
    ),
    "grant on an extension's foreign-data wrapper": (
        "CREATE FOREIGN DATA WRAPPER own; ALTER EXTENSION plpgsql ADD FOREIGN DATA WRAPPER own",
        "GRANT USAGE ON FOREIGN DATA WRAPPER own TO catalog_target",
    ),
    "grant on an extension's server": (
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER own FOREIGN DATA WRAPPER w;"
        "ALTER EXTENSION plpgsql ADD SERVER own",
        "GRANT USAGE ON FOREIGN SERVER own TO catalog_target",
    ),
    "grant on an extension's schema": (
        "CREATE SCHEMA own; ALTER EXTENSION plpgsql ADD SCHEMA own",
        "GRANT USAGE ON SCHEMA own TO catalog_target",
    ),
    "grant on schema public": ("", "GRANT CREATE ON SCHEMA public TO catalog_target"),
    "default privileges on tables": default_privileges("GRANT SELECT ON TABLES TO catalog_target"),
    "default privileges on sequences": default_privileges(
        "GRANT SELECT ON SEQUENCES TO catalog_target"
    ),
    "default privileges on functions": default_privileges(
        "GRANT EXECUTE ON FUNCTIONS TO catalog_target"
    ),
    "default privileges on types": default_privileges("GRANT USAGE ON TYPES TO catalog_target"),
    "default privileges on schemas": default_privileges("GRANT USAGE ON SCHEMAS TO catalog_target"),
    "default privileges of another": default_privileges(
        "FOR ROLE catalog_target REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
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
    "language": (LANGUAGE_FUNCTIONS, MAKE_LANGUAGE),
    "access method": ("", "CREATE ACCESS METHOD target_m TYPE INDEX HANDLER bthandler"),
    "statistics renamed": (STATISTICS, "ALTER STATISTICS s.target_st RENAME TO target_st2"),
    "statistics columns": again(
        "STATISTICS s.target_st", STATISTICS, "CREATE STATISTICS s.target_st ON id, n FROM s.target"
    ),
    "statistics expression": again(
        "STATISTICS s.target_st",
        STATISTICS,
        "CREATE STATISTICS s.target_st ON (lower(a)), n FROM s.target",
    ),
    "event trigger event": again(
        "EVENT TRIGGER target_e",
        EVENT_TRIGGER,
        "CREATE EVENT TRIGGER target_e ON ddl_command_end EXECUTE FUNCTION s.event()",
    ),
    "event trigger tags": again(
        "EVENT TRIGGER target_e",
        EVENT_TRIGGER,
        "CREATE EVENT TRIGGER target_e ON sql_drop WHEN TAG IN ('DROP TABLE')"
        " EXECUTE FUNCTION s.event()",
    ),
    "event trigger function": again(
        "EVENT TRIGGER target_e",
        EVENT_TRIGGER + EVENT_TRIGGER.split("CREATE EVENT")[0].replace("event()", "event2()"),
        "CREATE EVENT TRIGGER target_e ON sql_drop EXECUTE FUNCTION s.event2()",
    ),
    "event trigger always": (EVENT_TRIGGER, "ALTER EVENT TRIGGER target_e ENABLE ALWAYS"),
    "event trigger on replicas": (EVENT_TRIGGER, "ALTER EVENT TRIGGER target_e ENABLE REPLICA"),
    "publication renamed": (PUBLICATION, "ALTER PUBLICATION target_p RENAME TO target_p2"),
    "publication of all tables": again(
        "PUBLICATION target_p", PUBLICATION, "CREATE PUBLICATION target_p FOR ALL TABLES"
    ),
    "publication through the root": (
        PUBLICATION,
        "ALTER PUBLICATION target_p SET (publish_via_partition_root = true)",
    ),
    "publication table dropped": (
        "CREATE PUBLICATION p FOR TABLE s.target",
        "ALTER PUBLICATION p DROP TABLE s.target",
    ),
    "subscription": again("SUBSCRIPTION target_sub", SUBSCRIPTION, "SELECT"),
    "subscription publications": subscription("SET PUBLICATION q WITH (refresh = false)"),
    "subscription slot": subscription("SET (slot_name = 'x')"),
    "subscription binary": subscription("SET (binary = true)"),
    "subscription streaming": subscription_with("streaming = true"),
    "subscription in two phases": subscription_with("two_phase = true"),
    "subscription stops at errors": subscription("SET (disable_on_error = true)"),
    "subscription commits": subscription("SET (synchronous_commit = 'on')"),
    # By this way no worker is started
    "subscription enabled": (
        SUBSCRIPTION,
        f"UPDATE pg_subscription SET subenabled = true WHERE subdbid = {THIS}",
    ),
    "foreign-data wrapper handler": (
        SERVER + "CREATE FUNCTION s.h() RETURNS fdw_handler LANGUAGE internal AS 'int4abs'",
        "ALTER FOREIGN DATA WRAPPER target_w HANDLER s.h",
    ),
    "foreign-data wrapper validator": (
        SERVER,
        "ALTER FOREIGN DATA WRAPPER target_w VALIDATOR postgresql_fdw_validator",
    ),
    "server": (SERVER, "DROP SERVER target_s"),
    "server type": (
        SERVER,
        "DROP SERVER target_s; CREATE SERVER target_s TYPE 'x' FOREIGN DATA WRAPPER target_w",
    ),
    "server version": (SERVER, "ALTER SERVER target_s VERSION '2'"),
    "server's wrapper": (
        SERVER + "CREATE FOREIGN DATA WRAPPER v",
        "DROP SERVER target_s; CREATE SERVER target_s FOREIGN DATA WRAPPER v",
    ),
    "user mapping's user": (
        SERVER + USER_MAPPING,
        "DROP USER MAPPING FOR PUBLIC SERVER target_s;"
        + USER_MAPPING.replace("PUBLIC", "catalog_reader"),
    ),
    "user mapping's option": (
        SERVER + USER_MAPPING,
        "ALTER USER MAPPING FOR PUBLIC SERVER target_s OPTIONS (SET a 'c')",
    ),
    "foreign table": (SERVER, "CREATE FOREIGN TABLE s.target_f () SERVER target_s"),
    "foreign table's server": (
        FOREIGN + "CREATE SERVER r FOREIGN DATA WRAPPER target_w",
        "DROP FOREIGN TABLE s.target_f; CREATE FOREIGN TABLE s.target_f (a integer) SERVER r",
    ),
    "foreign table's check": (FOREIGN, "ALTER FOREIGN TABLE s.target_f ADD CHECK (a > 0)"),
    "foreign partition": (
        PARTITIONED + SERVER,
        "CREATE FOREIGN TABLE s.target_f PARTITION OF s.target_all FOR VALUES FROM (2) TO (3)"
        " SERVER target_s",
    ),
    "operator function": again(
        "OPERATOR target_schema.=== (int4, int4)",
        OPERATOR,
        OPERATOR.partition(";")[2].replace("int4eq", "int4ne"),
    ),
    "operator of one side": again(
        "OPERATOR target_schema.=== (int4, int4)",
        OPERATOR,
        "CREATE OPERATOR target_schema.=== (rightarg = int4, function = int4abs)",
    ),
    "operator commutator": operator("commutator = OPERATOR(target_schema.===)"),
    "operator negator": operator("negator = OPERATOR(target_schema.!==)"),
    "operator restriction": operator("restrict = eqsel"),
    "operator join": operator("join = eqjoinsel"),
    "operator merges": operator("merges"),
    "operator hashes": operator("hashes"),
    "operator class by default": again(
        "OPERATOR FAMILY s.target_ops USING hash",
        CLASS_OF_QUERIES,
        CLASS_OF_QUERIES.replace("FOR TYPE", "DEFAULT FOR TYPE"),
    ),
    "operator class's family": operator_class(
        "s.target_ops FOR TYPE integer USING hash FAMILY s.f AS"
        " OPERATOR 1 =, FUNCTION 1 hashint4(integer)",
        "CREATE OPERATOR FAMILY s.f USING hash;",
    ),
    "operator class's family in another schema": again(
        "OPERATOR CLASS s.target_ops USING hash",
        "CREATE OPERATOR FAMILY s.f USING hash; CREATE OPERATOR FAMILY public.f USING hash;"
        + CLASS.replace("hash AS", "hash FAMILY s.f AS"),
        CLASS.replace("hash AS", "hash FAMILY public.f AS"),
    ),
    "operator class's member in the system's family": again(
        "OPERATOR CLASS s.target_ops USING hash",
        CLASS_IN_SYSTEM,
        CLASS_IN_SYSTEM.replace("hashoid(oid)", "hashint4(integer)"),
    ),
    "operator class's storage": again(
        "OPERATOR FAMILY s.target_ops USING gist",
        CLASS_STORED,
        CLASS_STORED.replace("STORAGE box", "STORAGE polygon"),
    ),
    "operator class's order": again(
        "OPERATOR FAMILY s.target_ops USING gist",
        CLASS_STORED,
        CLASS_STORED.replace(
            "STORAGE", "OPERATOR 15 <-> (point, point) FOR ORDER BY float_ops, STORAGE"
        ),
    ),
    "operator class's order by another family": again(
        "OPERATOR FAMILY s.target_ops USING gist",
        "CREATE OPERATOR FAMILY s.f USING btree;"
        + CLASS_STORED.replace(
            "STORAGE", "OPERATOR 15 <-> (point, point) FOR ORDER BY float_ops, STORAGE"
        ),
        CLASS_STORED.replace("STORAGE", "OPERATOR 15 <-> (point, point) FOR ORDER BY s.f, STORAGE"),
    ),
    "operator family's member of a class": (
        CLASS,
        "DELETE FROM pg_depend WHERE refclassid = 'pg_opclass'::regclass"
        " AND classid = 'pg_amop'::regclass AND refobjid ="
        " (SELECT oid FROM pg_opclass WHERE opcname = 'target_ops')",
    ),
    "operator family's function": (
        FAMILY,
        "ALTER OPERATOR FAMILY s.target_family USING btree"
        " ADD FUNCTION 1 (integer, integer) btint4cmp(integer, integer)",
    ),
    "operator family's member dropped": (
        FAMILY + "ALTER OPERATOR FAMILY s.target_family USING btree"
        " ADD OPERATOR 1 < (integer, integer)",
        "ALTER OPERATOR FAMILY s.target_family USING btree DROP OPERATOR 1 (integer, integer)",
    ),
    "cast as assignment": again("CAST (s.target AS text)", CAST, CAST[:-1] + " AS ASSIGNMENT"),
    "cast implicit": again("CAST (s.target AS text)", CAST, CAST[:-1] + " AS IMPLICIT"),
    "cast by function": again(
        "CAST (s.target AS text)",
        CAST + "CREATE FUNCTION s.c(s.target) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "CREATE CAST (s.target AS text) WITH FUNCTION s.c(s.target)",
    ),
    "cast of the same bytes": again(
        "CAST (s.target_mood AS integer)",
        "CREATE TYPE s.target_mood AS ENUM ();"
        "CREATE FUNCTION s.c(s.target_mood) RETURNS integer LANGUAGE sql AS 'SELECT 1';"
        "CREATE CAST (s.target_mood AS integer) WITH FUNCTION s.c(s.target_mood)",
        "INSERT INTO pg_cast VALUES"
        " (40000, 's.target_mood'::regtype, 'integer'::regtype, 0, 'e', 'b')",
    ),
    "collation's locale": again(
        "COLLATION s.target_coll", COLLATION, COLLATION.replace("'C'", "'POSIX'")
    ),
    "collation's ctype": again(
        "COLLATION s.target_coll",
        COLLATION,
        "CREATE COLLATION s.target_coll (lc_collate = 'C', lc_ctype = 'POSIX')",
    ),
    "collation not deterministic": collation("collisdeterministic = false"),
    "collation's provider": collation("collprovider = 'i', collcollate = NULL, collctype = NULL"),
    "conversion by default": again(
        "CONVERSION s.target_conv", CONVERSION, CONVERSION.replace("CREATE", "CREATE DEFAULT")
    ),
    "conversion's function": again(
        "CONVERSION s.target_conv",
        "CREATE FUNCTION s.c(integer, integer, cstring, internal, integer, boolean)"
        " RETURNS integer LANGUAGE c STRICT"
        " AS '$libdir/utf8_and_iso8859_1', 'iso8859_1_to_utf8';" + CONVERSION,
        CONVERSION.replace("FROM iso", "FROM pg_catalog.iso").replace(
            "pg_catalog.iso8859_1_to_utf8", "s.c"
        ),
    ),
    "conversion's encodings": again(
        "CONVERSION s.target_conv",
        CONVERSION,
        "CREATE CONVERSION s.target_conv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    ),
    "text search mapping's dictionaries": (
        CONFIGURATION,
        "ALTER TEXT SEARCH CONFIGURATION s.target_ts ALTER MAPPING FOR word"
        " WITH english_stem, simple",
    ),
    "text search configuration's parser": again(
        "TEXT SEARCH CONFIGURATION s.target_ts",
        PARSER + CONFIGURATION,
        "CREATE TEXT SEARCH CONFIGURATION s.target_ts (PARSER = s.target_parser)",
    ),
    "text search dictionary's option": (
        DICTIONARY,
        "ALTER TEXT SEARCH DICTIONARY s.target_dict (accept = false)",
    ),
    "text search dictionary's template": again(
        "TEXT SEARCH DICTIONARY s.target_dict",
        DICTIONARY + TEMPLATE,
        DICTIONARY.replace("simple", "s.target_template"),
    ),
    "text search parser": ("", PARSER),
    "text search parser's headline": again(
        "TEXT SEARCH PARSER s.target_parser",
        PARSER,
        PARSER.replace("(start", "(headline = prsd_headline, start"),
    ),
    "text search template": ("", TEMPLATE),
    "text search template's init": again(
        "TEXT SEARCH TEMPLATE s.target_template",
        TEMPLATE,
        TEMPLATE.replace("(lexize", "(init = dsimple_init, lexize"),
    ),
    "transform": ("", TRANSFORM),
    "transform back": again(
        "TRANSFORM FOR s.target LANGUAGE sql",
        "CREATE FUNCTION s.t(internal) RETURNS s.target LANGUAGE internal IMMUTABLE"
        " AS 'record_recv';" + TRANSFORM,
        TRANSFORM.replace("(FROM", "(TO SQL WITH FUNCTION s.t(internal), FROM"),
    ),
    "language not trusted": again(
        "LANGUAGE target_l", LANGUAGE, MAKE_LANGUAGE.replace("TRUSTED", "")
    ),
    "language's inline handler": again(
        "LANGUAGE target_l", LANGUAGE, f"{MAKE_LANGUAGE} INLINE s.inline"
    ),
    "language's validator": again(
        "LANGUAGE target_l", LANGUAGE, f"{MAKE_LANGUAGE} VALIDATOR s.validator"
    ),
    "access method's handler": again(
        "ACCESS METHOD target_m", METHOD, METHOD.replace("bt", "hash")
    ),
    "access method of tables": again(
        "ACCESS METHOD target_m",
        METHOD,
        "CREATE ACCESS METHOD target_m TYPE TABLE HANDLER heap_tableam_handler",
    ),
    "extension": (EXTENSION, "DROP EXTENSION plpgsql"),
    "extension's schema": (
        EXTENSION + SCHEMA,
        "UPDATE pg_extension SET extnamespace = 'target_schema'::regnamespace"
        " WHERE extname = 'plpgsql'",
    ),
    "extension's version": (
        EXTENSION,
        "UPDATE pg_extension SET extversion = 'target' WHERE extname = 'plpgsql'",
    ),
    "setting of the database": (
        "",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET target.a = 1', current_database());"
        " END $$",
    ),
    "setting of a role in the database": (
        "",
        "DO $$ BEGIN EXECUTE format('ALTER ROLE catalog_target IN DATABASE %I SET work_mem = 64',"
        " current_database()); END $$",
    ),
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
    # pg_dump learnt it later
    "publication of an extension's table": (
        18,
        "CREATE TABLE s.own (); ALTER EXTENSION plpgsql ADD TABLE s.own;" + PUBLICATION,
        "ALTER PUBLICATION target_p ADD TABLE s.own",
    ),
    "subscription origin": (16, *subscription("SET (origin = none)")),
    "subscription without password": (16, *subscription("SET (password_required = false)")),
    "subscription run by its owner": (16, *subscription("SET (run_as_owner = true)")),
    "subscription failover": (17, *subscription_with("failover = true")),
    "collation's rules": (16, *collation("collicurules = '&a < b'", "collprovider = 'i'")),
    "collation built in": (
        17,
        *again(
            "COLLATION s.target_coll",
            COLLATION,
            "CREATE COLLATION s.target_coll (provider = builtin, locale = 'C')",
        ),
    ),
    "event trigger at login": (
        17,
        *again(
            "EVENT TRIGGER target_e",
            EVENT_TRIGGER,
            "CREATE EVENT TRIGGER target_e ON login EXECUTE FUNCTION s.event()",
        ),
    ),
    "partitioned table's access method": (
        17,
        PARTITIONED + "CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler",
        "ALTER TABLE s.target_all SET ACCESS METHOD m",
    ),
    "not null not inherited": (
        18,
        "",
        "ALTER TABLE s.target ADD CONSTRAINT c NOT NULL a NO INHERIT",
    ),
    "not null inherited": (
        18,
        "ALTER TABLE s.target ADD CONSTRAINT c NOT NULL a NO INHERIT",
        "ALTER TABLE s.target ALTER CONSTRAINT c INHERIT",
    ),
    "comment on not null": (
        18,
        "ALTER TABLE s.target ADD CONSTRAINT c NOT NULL a",
        "COMMENT ON CONSTRAINT c ON s.target IS 'x'",
    ),
    "domain not null named": (
        17,
        "CREATE DOMAIN s.target_domain AS integer NOT NULL",
        "ALTER DOMAIN s.target_domain RENAME CONSTRAINT target_domain_not_null TO c",
    ),
    "foreign key no more enforced": (
        18,
        FOREIGN_KEY,
        "ALTER TABLE s.other ALTER CONSTRAINT target_fkey NOT ENFORCED",
    ),
    "foreign key of a partitioned table not valid": (
        18,
        PARTITIONED,
        "ALTER TABLE s.target_all ADD FOREIGN KEY (id) REFERENCES s.target NOT VALID",
    ),
    "foreign key of a partition validated": (
        18,
        PARTITIONED + "ALTER TABLE s.target_all ADD CONSTRAINT c"
        " FOREIGN KEY (id) REFERENCES s.target NOT VALID",
        "ALTER TABLE s.target_1 VALIDATE CONSTRAINT c",
    ),
    "primary key without overlaps": (
        18,
        *again("TABLE s.target_p", PERIODS, PERIODS.replace("b)", "b WITHOUT OVERLAPS)")),
    ),
    "foreign key to a period": (
        18,
        PERIODS.replace("b)", "b WITHOUT OVERLAPS)")
        + "CREATE TABLE s.target_k (a int4range, b int4range)",
        "ALTER TABLE s.target_k ADD FOREIGN KEY (a, PERIOD b) REFERENCES s.target_p (a, PERIOD b)",
    ),
    "default privileges on large objects": (
        18,
        *default_privileges("GRANT SELECT ON LARGE OBJECTS TO catalog_target"),
    ),
    "generated expression set": (
        17,
        "ALTER TABLE s.target ADD c integer GENERATED ALWAYS AS (n * 2) STORED",
        "ALTER TABLE s.target ALTER c SET EXPRESSION AS (n * 3)",
    ),
}

CASES = {name: (0, *case) for name, case in CHANGES.items()} | LATER
