"""Laws of 0003: who may do what, who may migrate, and that no stranger gets the owner's rights.

Roles belong to the cluster: where a test needs one that is not there yet, or not theirs, it runs
copies of the migrations in which every docmeta_ role has another name.
"""

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import connection

from database import MIGRATE, SQL, Database, Runner
from pgproof import catalog

ROLES = ("owner", "ingest", "app", "reader", "auditor", "retention")
LOGS = ("audit_log", "duplicate_log", "audit_log_seals")
PARKED = "docmeta_parked"


def session_of(db: Database, group: str) -> connection:
    """Return a connection with the rights of a group alone, for tenant 1."""
    made = db.connect(options="-c docmeta.tenant_id=1 -c docmeta.actor=ada")
    made.cursor().execute(f"SET ROLE docmeta_{group}")
    return made


def may(session: connection, *statements: str) -> None:
    for sql in statements:
        session.cursor().execute(sql)


def may_not(session: connection, *statements: str) -> None:
    for sql in statements:
        with pytest.raises(InsufficientPrivilege):
            session.cursor().execute(sql)


# Who may do what -------------------------------------------------------------------------


def test_all_belongs_to_the_owner_who_is_nobodys_login(docs: Database) -> None:
    owned = docs.query("""
        SELECT DISTINCT o.owner::regrole::text FROM (
            SELECT nspowner, 'docmeta'::name FROM pg_namespace WHERE nspname = 'docmeta'
            UNION SELECT relowner, relnamespace::regnamespace::name FROM pg_class
            UNION SELECT proowner, pronamespace::regnamespace::name FROM pg_proc
            UNION SELECT typowner, typnamespace::regnamespace::name FROM pg_type
        ) AS o (owner, schema) WHERE o.schema = 'docmeta'
    """)
    assert owned == [("docmeta_owner",)]
    powers = docs.query(r"""
        SELECT rolname FROM pg_roles WHERE rolname ~ '^docmeta_' AND (rolcanlogin OR rolsuper
            OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
            OR shobj_description(oid, 'pg_authid') IS NULL)
    """)
    assert powers == []


def test_nothing_is_public(docs: Database) -> None:
    found = docs.query("""
        SELECT subject, privilege_type FROM (
            SELECT nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
                WHERE nspname = 'docmeta'
            UNION ALL SELECT relname, coalesce(relacl, acldefault(
                CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner)) FROM pg_class
                WHERE relnamespace = 'docmeta'::regnamespace
            UNION ALL SELECT attname, attacl FROM pg_attribute JOIN pg_class
                ON pg_class.oid = attrelid WHERE relnamespace = 'docmeta'::regnamespace
            UNION ALL SELECT proname, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
                WHERE pronamespace = 'docmeta'::regnamespace
        ) AS o (subject, acl), aclexplode(acl) WHERE grantee = 0
    """)
    assert found == []


def test_no_client_changes_a_log_or_writes_the_audit(docs: Database) -> None:
    """Nor any partition: no role but the owner has a right on one."""
    found = docs.query("""
        SELECT relname, grantee::regrole::text, privilege_type, relispartition FROM (
            SELECT relname, relacl, relowner, relispartition FROM pg_class
                WHERE relnamespace = 'docmeta'::regnamespace
            UNION ALL SELECT relname, attacl, relowner, relispartition FROM pg_class
                JOIN pg_attribute ON attrelid = pg_class.oid
                WHERE relnamespace = 'docmeta'::regnamespace
        ) AS o (relname, acl, owner, relispartition), aclexplode(acl) WHERE grantee <> owner
    """)
    assert [row for row in found if row[3]] == []
    on_logs = {(log, privilege) for log, _, privilege, _ in found if log in LOGS}
    assert on_logs == {
        ("audit_log", "SELECT"),
        ("duplicate_log", "SELECT"),
        ("duplicate_log", "INSERT"),
        ("audit_log_seals", "SELECT"),
    }
    assert {row[2] for row in found} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    deleted = {(table, role) for table, role, privilege, _ in found if privilege == "DELETE"}
    assert deleted == {("document_tags", "docmeta_app")}


def test_update_is_by_column_and_never_of_a_key(docs: Database) -> None:
    on_tables = docs.query("""
        SELECT relname FROM pg_class, aclexplode(relacl) WHERE privilege_type = 'UPDATE'
            AND relnamespace = 'docmeta'::regnamespace AND grantee <> relowner
    """)
    assert on_tables == []
    columns: dict[str, set[str]] = {}
    for table, column in docs.query("""
        SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid,
            aclexplode(attacl) WHERE privilege_type = 'UPDATE' AND grantee <> relowner
            AND relnamespace = 'docmeta'::regnamespace
    """):
        columns.setdefault(table, set()).add(column)
    assert columns["error_log"] == {
        "attempt_no",
        "next_retry_at",
        "resolved_at",
        "resolved_by",
        "resolution",
    }
    fixed = {"tenant_id", "id", "public_id", "content_sha256", "sha256", "size_bytes", "filename"}
    fixed |= {"row_version", "created_at", "created_by", "updated_at", "updated_by", "batch_id"}
    assert {(table, c) for table, found in columns.items() for c in found & fixed} == set()
    assert columns.keys() == {
        "import_batches",
        "hash_index",
        "documents",
        "document_classifications",
        "tags",
        "error_log",
    }


def test_each_group_can_do_its_work_and_no_other(docs: Database) -> None:
    ingest, app, reader, auditor, retention = (session_of(docs, group) for group in ROLES[1:])
    may(
        ingest,
        "INSERT INTO docmeta.import_batches (source_kind) VALUES ('upload')",
        "UPDATE docmeta.import_batches SET status = 'running', started_at = now()",
        "INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256('a'), 1) "
        "ON CONFLICT DO NOTHING",
        "UPDATE docmeta.hash_index SET storage_uri = 's3://a'",
        "INSERT INTO docmeta.documents (batch_id, content_sha256, filename) "
        "VALUES (1, sha256('a'), 'a'), (1, sha256('a'), 'b')",
        "UPDATE docmeta.documents SET status = 'ready', title = 'A'",
        "INSERT INTO docmeta.duplicate_log (existing_document_id, new_document_id, sha256, "
        "size_bytes, filename, decision) VALUES (1, 2, sha256('a'), 1, 'b', 'kept_both')",
        "INSERT INTO docmeta.document_classifications (document_id, category, source) "
        "VALUES (1, 'letter', 'rule')",
        "INSERT INTO docmeta.tags (name) VALUES ('imported')",
        "INSERT INTO docmeta.document_tags (document_id, tag_id, source) VALUES (1, 1, 'import')",
        "INSERT INTO docmeta.error_log (stage, error_class, message, detail_raw, retryable, "
        "next_retry_at) VALUES ('fetch', 'E', 'm', 'raw', true, now())",
        "SELECT id FROM docmeta.error_log WHERE next_retry_at <= now() FOR UPDATE SKIP LOCKED",
        "UPDATE docmeta.error_log SET attempt_no = 2, next_retry_at = now()",
    )
    may(
        app,
        "UPDATE docmeta.documents SET title = 'B', legal_hold = true WHERE id = 1",
        "UPDATE docmeta.documents SET deleted_at = now(), deleted_by = 'ada' WHERE id = 2",
        "INSERT INTO docmeta.tags (name) VALUES ('urgent')",
        "UPDATE docmeta.tags SET colour = '#ff0000' WHERE name = 'urgent'",
        "INSERT INTO docmeta.document_tags (document_id, tag_id) VALUES (1, 2)",
        "DELETE FROM docmeta.document_tags WHERE tag_id = 1",
        "UPDATE docmeta.document_classifications SET superseded_at = now()",
        "INSERT INTO docmeta.document_classifications (document_id, category, source) "
        "VALUES (1, 'invoice', 'user')",
        "UPDATE docmeta.error_log SET resolved_at = now(), resolved_by = 'ada', resolution = 'r'",
        "SELECT id, action, actor FROM docmeta.audit_log WHERE document_id = 1",
    )
    for table in ("documents", "hash_index", "tags", "document_tags", "duplicate_log"):
        may(reader, f"SELECT * FROM docmeta.{table}")
    may(reader, "SELECT id, message, context FROM docmeta.error_log")
    may(auditor, "SELECT * FROM docmeta.audit_log", "SELECT * FROM docmeta.duplicate_log")
    may(retention, "SELECT docmeta.purge_documents('0', 10)")
    assert docs.query("SELECT id FROM docmeta.documents") == [(1,)]

    raw = ("SELECT old_row FROM docmeta.audit_log", "SELECT detail_raw FROM docmeta.error_log")
    purge = "SELECT docmeta.purge_documents('0', 10)"
    may_not(ingest, "SELECT id FROM docmeta.audit_log", "DELETE FROM docmeta.documents", purge)
    may_not(ingest, "UPDATE docmeta.documents SET legal_hold = false")
    may_not(ingest, "UPDATE docmeta.error_log SET message = 'never'")
    may_not(app, *raw, purge, "INSERT INTO docmeta.documents (filename) VALUES ('x')")
    may_not(app, "UPDATE docmeta.documents SET row_version = 9", "DELETE FROM docmeta.tags")
    may_not(reader, *raw, purge, "UPDATE docmeta.tags SET name = 'x'")
    may_not(auditor, "SELECT id FROM docmeta.documents", purge)
    may_not(retention, "SELECT id FROM docmeta.documents", "DELETE FROM docmeta.documents")
    for session in (ingest, app, reader, auditor, retention):
        may_not(
            session,
            "INSERT INTO docmeta.audit_log (entity_type, entity_id, action, old_row) "
            "VALUES ('documents', 1, 'delete', '{}')",
            "UPDATE docmeta.audit_log SET actor = 'eve'",
            "DELETE FROM docmeta.audit_log",
            "TRUNCATE docmeta.audit_log",
            "UPDATE docmeta.duplicate_log SET reason = 'eve'",
            "SELECT nextval('docmeta.audit_log_id_seq')",
            "BEGIN; LOCK TABLE docmeta.audit_log IN ROW EXCLUSIVE MODE",
            "ROLLBACK; BEGIN; LOCK TABLE docmeta.audit_log IN EXCLUSIVE MODE",
            "ROLLBACK; ALTER TABLE docmeta.audit_log DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE docmeta.audit_log DISABLE TRIGGER ALL",
            "CREATE TABLE docmeta.mine ()",
        )


# Who may migrate -------------------------------------------------------------------------


@pytest.fixture
def other(db: Database, tmp_path: Path) -> Iterator[tuple[str, Runner]]:
    """A prefix of roles that are not there yet, and `migrate` for copies that name these."""
    prefix = f"r{uuid.uuid4().hex[:10]}"
    for path in SQL.iterdir():
        text = re.sub(rf"\bdocmeta_({'|'.join(ROLES)})\b", rf"{prefix}_\1", path.read_text())
        (tmp_path / path.name).write_text(text)
    yield prefix, MIGRATE.on(tmp_path)
    db.query("DROP SCHEMA IF EXISTS docmeta CASCADE")
    for (role,) in db.query("SELECT rolname FROM pg_roles WHERE rolname ~ %s", [f"^{prefix}"]):
        db.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def login(db: Database, name: str, words: str = "") -> None:
    """Make a login that may make schemas in this database, and yoyo's tables in public."""
    db.query(f"""
        CREATE ROLE {name} LOGIN {words};
        GRANT CREATE ON DATABASE "{db.dbname}" TO {name};
        GRANT CREATE ON SCHEMA public TO {name};
    """)


def round_trip(db: Database, runner: Runner, user: str) -> list[str]:
    """Migrate up, down and up as a user, who must end where he was; return the catalog."""
    runner.up(db, PGUSER=user)
    first = catalog.read(db.connect(user=user), parked=PARKED)
    runner.down(db, PGUSER=user)
    assert db.value("SELECT to_regnamespace('docmeta')") is None
    runner.up(db, PGUSER=user)
    again = catalog.read(db.connect(user=user), parked=PARKED)
    assert catalog.difference(first, again, "first", "again") == []
    return first


def test_a_login_that_makes_roles_migrates(other: tuple[str, Runner], db: Database) -> None:
    prefix, runner = other
    login(db, f"{prefix}_maker", "CREATEROLE")
    made = round_trip(db, runner, f"{prefix}_maker")
    assert f"schema docmeta owner: {prefix}_owner" in made
    assert not db.query("SELECT 1 FROM pg_roles WHERE rolname ~ %s AND rolsuper", [f"^{prefix}"])


def test_a_login_that_makes_none_is_told_what_to_have_run(
    other: tuple[str, Runner], db: Database
) -> None:
    """And with exactly that it migrates: a member of the owner with CREATE on the database."""
    prefix, runner = other
    login(db, f"{prefix}_plain")
    said = runner.up(db, code=1, PGUSER=f"{prefix}_plain").stderr
    assert f"role {prefix}_owner is not there, and {prefix}_plain may not create it" in said
    orders = re.findall(rf"(?:CREATE ROLE|GRANT) {prefix}_\w+(?: TO \w+)?;", said)
    assert orders == [
        *(f"CREATE ROLE {prefix}_{role};" for role in ROLES),
        f"GRANT {prefix}_owner TO {prefix}_plain;",
    ]
    db.query("".join(orders[:-1]))
    said = runner.up(db, code=1, PGUSER=f"{prefix}_plain").stderr
    assert f"{prefix}_plain must have the rights of {prefix}_owner to migrate" in said
    assert orders[-1] in said
    db.query(orders[-1])
    round_trip(db, runner, f"{prefix}_plain")


def test_a_role_that_may_more_is_not_taken(other: tuple[str, Runner], db: Database) -> None:
    """Functions of the owner run with its rights."""
    prefix, runner = other
    db.query(f"CREATE ROLE {prefix}_owner BYPASSRLS")
    said = runner.up(db, code=1).stderr
    assert f"may do more than docmeta is to be able to: {prefix}_owner" in said


def test_databases_that_make_the_roles_at_once_share_them(
    other: tuple[str, Runner], db: Database
) -> None:
    prefix, runner = other
    names = [f"{prefix}_{number}" for number in range(4)]
    for name in names:
        db.query(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        databases = [Database(db.host, db.port, db.user, db.password, name) for name in names]
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda one: runner.up(one, code=None), databases))
        assert [(one.returncode, one.stderr) for one in done if one.returncode] == []
        assert db.value("SELECT count(*) FROM pg_roles WHERE rolname ~ %s", [f"^{prefix}"]) == 6
    finally:
        for name in names:
            db.query(f"DROP DATABASE {name} WITH (FORCE)")


# A stranger ------------------------------------------------------------------------------

# What stands first in the path of whoever calls: functions, operators and casts under the names
# that ours use, and types in pg_temp, which an empty search_path would look through first.
TRAPS = """
    CREATE SCHEMA trap;
    CREATE TABLE trap.caught (who text, by text);
    GRANT ALL ON SCHEMA trap TO PUBLIC;
    GRANT ALL ON trap.caught TO PUBLIC;
    SET ROLE {role};
    CREATE FUNCTION trap.spring(what text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO trap.caught VALUES (current_user, what);
        RETURN true;
    END $$;
"""
TRAP_FUNCTIONS = """
    current_setting(text, boolean) text, to_jsonb(anyelement) jsonb, now() timestamptz,
    clock_timestamp() timestamptz, jsonb_each(jsonb) text, pg_has_role(oid, text) boolean,
    lower(text) text, to_tsvector(text, text) tsvector, translate(text, text, text) text,
    websearch_to_tsquery(text, text) tsquery, unnest(anyarray) text, format(text, text) text,
    sha256(bytea) bytea, date_trunc(text, timestamptz) timestamptz
"""
TRAP_TYPES = re.findall(
    r"\w+", "text jsonb timestamptz bytea regclass regrole tsvector tsquery regconfig name xid8 oid"
)


def set_traps(db: Database, role: str) -> connection:
    """Return a hostile session of a role, with everything in its way that it can put there."""
    db.query(TRAPS.format(role=role))
    for found in re.finditer(r"(\w+)(\([^)]*\)) (\w+)", TRAP_FUNCTIONS):
        name, arguments, result = found.groups()
        db.query(
            f"CREATE FUNCTION trap.{name}{arguments} RETURNS {result} LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM trap.spring('{name}'); RETURN NULL; END $$"
        )
    for left, right in (("bigint", "bigint"), ("text", "text"), ("jsonb", "text")):
        db.query(
            f"CREATE FUNCTION trap.op({left}, {right}) RETURNS boolean LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN trap.spring('operator'); END $$"
        )
        for sign in ("=", "<>", "->>", "~", "!~"):
            db.query(
                f"CREATE OPERATOR trap.{sign} (FUNCTION = trap.op, "
                f"LEFTARG = {left}, RIGHTARG = {right})"
            )
    db.query("RESET ROLE")
    hostile = db.connect(options="-c docmeta.tenant_id=1")
    with hostile.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}; SET check_function_bodies = off")
        for kind in TRAP_TYPES:
            cursor.execute(
                f"CREATE DOMAIN pg_temp.{kind} AS pg_catalog.text CHECK (trap.spring('{kind}'))"
            )
        for table in ("documents", "audit_log", "tags", "new_rows", "old_rows", "hash_index"):
            cursor.execute(f"CREATE TEMP TABLE {table} (id int, tenant_id int, old_row int)")
        cursor.execute("SET search_path = pg_temp, trap, pg_catalog, docmeta")
    return hostile


WORK = (
    "INSERT INTO docmeta.tags (name) VALUES ('one'), ('two')",
    "UPDATE docmeta.tags SET description = 'x' WHERE id = 1",
    "UPDATE docmeta.documents SET title = 'x'",
    "UPDATE docmeta.documents SET deleted_at = now(), deleted_by = 'x' WHERE id = 1",
    "INSERT INTO docmeta.document_tags (document_id, tag_id) VALUES (2, 1)",
    "DELETE FROM docmeta.document_tags",
    "UPDATE docmeta.hash_index SET storage_uri = 's3://x'",
    "SELECT docmeta.purge_documents('0 days', 10)",
    "SELECT docmeta.search_documents('a', 10)",
    "SELECT docmeta.find_tag('one')",
    "SELECT docmeta.current_tenant()",
    "SELECT docmeta.make_audit_log_months(2)",
    "SELECT docmeta.seal_audit_log()",
    "SELECT docmeta.verify_audit_log()",
    "SELECT docmeta.drop_audit_log_months('1 month')",
)


@pytest.fixture
def stranger(docs: Database) -> Iterator[str]:
    """A role with the rights of every group, and every right to make traps."""
    docs.query("""
        INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256('a'), 1);
        INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('a'), 'a'),
            (sha256('a'), 'b');
    """)
    name = f"stranger_{uuid.uuid4().hex[:8]}"
    groups = ", ".join(f"docmeta_{role}" for role in ROLES[1:])
    docs.query(f"CREATE ROLE {name} LOGIN; GRANT {groups} TO {name}")
    docs.query(f"GRANT CREATE ON SCHEMA public TO {name}")
    yield name
    docs.query(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def caught(db: Database) -> set[str]:
    """Return the roles that stepped into a trap."""
    return {who for (who,) in db.query("SELECT DISTINCT who FROM trap.caught")}


def work(hostile: connection) -> int:
    """Do all that a client may; a trap may well spoil it for who has set it. Return successes."""
    done = 0
    for sql in WORK:
        with hostile.cursor() as cursor:
            try:
                cursor.execute(sql)
                done += 1
            except psycopg2.Error:
                pass
    return done


def test_no_trap_is_run_as_the_owner(docs: Database, stranger: str) -> None:
    hostile = set_traps(docs, stranger)
    assert work(hostile) > 8
    assert caught(docs) <= {stranger}

    # The traps do work: they catch the owner with the empty path that looks safe.
    for function in ("record_changes()", "purge_documents(interval, integer)"):
        docs.query(f"ALTER FUNCTION docmeta.{function} SET search_path = ''")
    fresh = set_fresh(docs, hostile, stranger)
    work(fresh)
    assert "docmeta_owner" in caught(docs)


def set_fresh(db: Database, hostile: connection, role: str) -> connection:
    """Return a new hostile session: the old one keeps functions as it compiled them."""
    hostile.close()
    db.query("DROP SCHEMA trap CASCADE")
    return set_traps(db, role)


def test_every_function_names_pg_temp_last_and_is_for_named_roles(docs: Database) -> None:
    """An SQL-standard body (RETURN ...) is bound when it is made, and needs no path."""
    found = docs.query("""
        SELECT proname FROM pg_proc WHERE pronamespace = 'docmeta'::regnamespace
            AND prosqlbody IS NULL
            AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']
    """)
    assert found == []
    unexplained = docs.query("""
        SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'docmeta'::regnamespace
            AND obj_description(oid, 'pg_proc') IS NULL
        UNION SELECT 'trigger', tgname FROM pg_trigger
            WHERE tgrelid::regclass::text ~ '^docmeta' AND NOT tgisinternal
            AND obj_description(oid, 'pg_trigger') IS NULL
    """)
    assert unexplained == []


def test_no_stranger_makes_the_audit_write_for_him(docs: Database, stranger: str) -> None:
    """To fire it on a table of his own, he would have to be able to execute it."""
    session = docs.connect()
    session.cursor().execute(f"SET ROLE {stranger}")
    session.cursor().execute("CREATE TABLE public.documents (tenant_id bigint, id bigint)")
    for function in ("record_changes('id')", "touch_document()", "refuse_change()"):
        with pytest.raises(InsufficientPrivilege):
            session.cursor().execute(
                "CREATE TRIGGER forge AFTER INSERT ON public.documents "
                f"FOR EACH ROW EXECUTE FUNCTION docmeta.{function}"
            )
