"""Laws of 0014: a login sees and changes one tenant, on every table and partition, or nothing.

The first is a fuzz: every group asks all it may of every table and partition by its name, once
with its own rights and once with far too many, while the other tenant's rows carry a mark.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import (
    ForeignKeyViolation,
    InsufficientPrivilege,
    InvalidParameterValue,
    NumericValueOutOfRange,
    UndefinedObject,
)
from psycopg2.extensions import connection

from database import IDS, MIGRATE, Database
from test_indexes import ROWS

GROUPS = ("ingest", "app", "reader", "auditor", "retention")
BEFORE = next(before for before, id_ in pairwise(IDS) if "isolate" in id_)
UP_TO_BEFORE = replace(MIGRATE, all_down=("down", "--to", BEFORE, "--yes", "--sql"))

# Rows of tenant {t}, in every table; each that holds a text holds the mark of its tenant.
OF_TENANT = """
    SET docmeta.actor = 'mark-{t}';
    INSERT INTO docmeta.import_batches (tenant_id, source_kind, source_uri)
        VALUES ({t}, 'upload', 'mark-{t}');
    INSERT INTO docmeta.hash_index (tenant_id, sha256, size_bytes, storage_uri)
        VALUES ({t}, sha256('a'), 1, 'mark-{t}'), ({t}, sha256('only-{t}'), 1, 'mark-{t}');
    INSERT INTO docmeta.documents (tenant_id, content_sha256, filename, title, deleted_at,
        deleted_by) VALUES ({t}, sha256('a'), 'mark-{t}', 'shared word', NULL, NULL),
        ({t}, sha256('only-{t}'), 'mark-{t}', 'trash', now() - interval '9 days', 'x');
    INSERT INTO docmeta.duplicate_log (tenant_id, existing_document_id, sha256, size_bytes,
        filename, decision) VALUES ({t}, 1, sha256('a'), 1, 'mark-{t}', 'linked');
    INSERT INTO docmeta.tags (tenant_id, name, description) VALUES ({t}, 'urgent', 'mark-{t}');
    INSERT INTO docmeta.document_tags (tenant_id, document_id, tag_id, tagged_by)
        SELECT {t}, d.id, t.id, 'mark-{t}' FROM docmeta.documents d
        JOIN docmeta.tags t USING (tenant_id) WHERE tenant_id = {t};
    INSERT INTO docmeta.document_classifications (tenant_id, document_id, category, source)
        SELECT {t}, id, 'mark-{t}', 'user' FROM docmeta.documents WHERE tenant_id = {t};
    INSERT INTO docmeta.error_log (tenant_id, stage, error_class, message, detail_raw)
        VALUES ({t}, 'fetch', 'E', 'mark-{t}', 'mark-{t}');
    INSERT INTO docmeta.language_backfill (tenant_id, document_id, by_writer)
        VALUES ({t}, {t}, true);
    INSERT INTO docmeta.audit_log (tenant_id, entity_type, entity_id, action, old_row,
        occurred_at) SELECT {t}, 'mark-{t}', 1, 'delete', '{{"mark-{t}": 1}}', now() + m
        FROM unnest(ARRAY['-2 years', '1 month', '3 years']::interval[]) m;
    RESET docmeta.actor;
"""


@pytest.fixture
def two(docs: Database) -> Database:
    """Tenants 1 and 2 with rows in every table and in partitions of every kind."""
    for ahead in (1, 1, 1, 4):  # three calls give the first partition its end
        docs.query(f"SELECT docmeta.make_audit_log_months({ahead})")
    for tenant in (1, 2):
        docs.query(OF_TENANT.format(t=tenant))
    docs.query("SELECT docmeta.seal_audit_log()")
    return docs


def tables(db: Database) -> list[str]:
    """Return every table of docmeta, and every partition by its own name."""
    found = db.query(
        "SELECT relname FROM pg_class WHERE relnamespace = 'docmeta'::regnamespace "
        "AND relkind IN ('r', 'p') ORDER BY relname"
    )
    return [name for (name,) in found]


def rows_of(db: Database, tenant: int) -> dict[str, Any]:
    """Return the rows of a tenant, as the superuser sees them."""
    return {
        table: db.value(
            f"SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)), '[]') "
            f"FROM docmeta.{table} t WHERE tenant_id = {tenant}"
        )
        for table in tables(db)
    }


def session_of(db: Database, group: str, tenant: str | int | None) -> connection:
    """Return a connection with the rights of a group alone."""
    made = db.connect()
    with made.cursor() as cursor:
        cursor.execute(f"SET ROLE docmeta_{group}")
        if tenant is not None:
            cursor.execute("SELECT set_config('docmeta.tenant_id', %s, false)", [str(tenant)])
    return made


def test_every_table_and_partition_has_its_policy(two: Database) -> None:
    """Also those that were made after 0014."""
    found = two.query("""
        SELECT relname, relrowsecurity, relforcerowsecurity, count(polname),
            bool_and(polpermissive AND polcmd = '*' AND polroles = '{0}'::oid[]
                AND polwithcheck IS NULL), min(pg_get_expr(polqual, polrelid)),
            bool_and(obj_description(pg_policy.oid, 'pg_policy') IS NOT NULL)
        FROM pg_class LEFT JOIN pg_policy ON polrelid = pg_class.oid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p')
        GROUP BY 1, 2, 3 ORDER BY 1
    """)
    assert len(found) > 14
    qual = "(tenant_id = ( SELECT docmeta.current_tenant() AS current_tenant))"
    for table, *rest in found:
        assert rest == [True, False, 1, True, qual, True], table


# The fuzz --------------------------------------------------------------------------------


def statements(
    dice: random.Random,
    table: str,
    columns: list[str],
    writable: list[str],
    other: int,
    row: dict[str, Any],
) -> Iterator[str]:
    """Yield what a client may ask of a table: politely, carelessly and with bad intent."""
    some = ", ".join(columns) or "*"
    column = dice.choice(columns or ["tenant_id"])
    write = dice.choice(writable or columns or ["tenant_id"])
    target = f"docmeta.{table}"
    row = {**row, "id": dice.randrange(10**6, 10**9), "document_id": dice.randrange(10**6)}
    copied = json.dumps(row).replace("'", "''")
    yield f"SELECT {some} FROM {target}"
    yield f"SELECT {some} FROM {target} WHERE tenant_id = {other}"
    yield f"SELECT {some} FROM {target} WHERE tenant_id = {other} OR true ORDER BY 1 DESC"
    yield f"SELECT min(tenant_id), max(tenant_id), array_agg({column}::text) FROM {target}"
    yield f"SELECT {some} FROM {target} t WHERE pg_temp.leak(t.{column}::text)"
    yield f"SELECT a.{column}, b.tenant_id FROM {target} a, docmeta.documents b LIMIT 99"
    yield f"SELECT (SELECT string_agg(DISTINCT tenant_id::text, ',') FROM {target}), {column} " + (
        f"FROM {target} WHERE EXISTS (SELECT FROM {target} x WHERE x.tenant_id = {other})"
    )
    yield f"SELECT {some} FROM {target} WHERE tenant_id = {other} FOR UPDATE"
    yield f"UPDATE {target} SET {write} = {write} WHERE tenant_id = {other} RETURNING {some}"
    yield f"UPDATE {target} SET {write} = {write} RETURNING {some}"
    yield f"UPDATE {target} SET {write} = NULL WHERE true"
    yield f"UPDATE {target} SET tenant_id = {other}"
    yield f"DELETE FROM {target} WHERE tenant_id = {other}"
    yield (
        f"INSERT INTO {target} OVERRIDING SYSTEM VALUE "
        f"SELECT * FROM jsonb_populate_record(NULL::{target}, '{copied}') RETURNING *"
    )
    yield (
        f"MERGE INTO {target} t USING (VALUES ({other})) s (tenant_id) "
        f"ON t.tenant_id = s.tenant_id WHEN MATCHED THEN UPDATE SET {write} = NULL"
    )
    yield f"WITH x AS (DELETE FROM {target} RETURNING {some}) SELECT * FROM x"
    yield f"TABLE {target}"


CALLS = (
    "SELECT docmeta.find_tag('urgent')",
    "SELECT docmeta.search_documents('shared OR mark', 1000)",
    "SELECT docmeta.search_documents('trash or mark', 1000)",
    "SELECT docmeta.purge_documents('0', 1000)",
    "SELECT docmeta.verify_audit_log()",
    "SELECT docmeta.audit_log_tenants()",
    "SELECT docmeta.current_tenant()",
)


@pytest.mark.parametrize("rights", ["as granted", "everything granted"])
def test_no_statement_reaches_the_other_tenant(rights: str, two: Database) -> None:
    dice = random.Random(rights)
    every = tables(two)
    if rights == "everything granted":
        groups = ", ".join(f"docmeta_{group}" for group in GROUPS)
        two.query(f"GRANT ALL ON ALL TABLES IN SCHEMA docmeta TO {groups}")
    outcomes: Counter[str] = Counter()
    for tenant, other in ((1, 2), (2, 1)):
        foreign = rows_of(two, other)
        ids = {row["id"] for row in foreign["documents"] + foreign["tags"]}
        for group in GROUPS:
            session = session_of(two, group, tenant)
            session.cursor().execute(
                "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql "
                "AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
            ) if may_make_functions(two) else None
            asked = [("", call) for call in CALLS]
            for table in every:
                readable = columns(two, table, group)
                writable = columns(two, table, group, "UPDATE")
                row = (foreign[table] or [{}])[0]
                kinds = statements(dice, table, readable, writable, other, row)
                asked += [(table, sql) for sql in kinds]
            for table, sql in asked:
                heard, outcome = ask(session, sql)
                outcomes[outcome] += 1
                assert f"mark-{other}" not in heard, f"{group}: {sql}"
                if table and sql.startswith("SELECT min"):
                    assert heard.startswith((f"[({tenant}, {tenant}", "[(None", "refused")), sql
                if "find_tag" in sql or "search_documents" in sql:
                    assert not ids & set(map(int, re.findall(r"\d+", heard))), sql
                if outcome == "changed" or not table:
                    assert rows_of(two, other) == foreign, f"{group}: {sql}"
            session.close()
    assert min(outcomes[outcome] for outcome in ("seen", "changed", "refused")) > 9, outcomes


def may_make_functions(db: Database) -> bool:
    """Let everyone make temporary objects, as by default."""
    return bool(db.value("SELECT has_database_privilege('public', current_database(), 'TEMP')"))


def columns(db: Database, table: str, group: str, right: str = "SELECT") -> list[str]:
    """Return the columns of a table that a group may read, or has another right on."""
    found = db.query(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
        "AND NOT attisdropped AND has_column_privilege(%s, attrelid, attnum, %s) "
        "ORDER BY attnum",
        [f"docmeta.{table}", f"docmeta_{group}", right],
    )
    return [name for (name,) in found]


def ask(session: connection, sql: str) -> tuple[str, str]:
    """Return all that a statement told its client, in rows, errors and notices; and its outcome."""
    del session.notices[:]
    with session.cursor() as cursor:
        try:
            cursor.execute(sql)
        except psycopg2.Error as error:
            # What the client sent himself tells him nothing.
            told = str(error).replace(sql, "")
            told = "" if re.search("Failing row|Key \\(", told) else told
            return f"refused: {told.split('LINE 1')[0]} {session.notices}", "refused"
        found = cursor.fetchall() if cursor.description else []
        wrote = cursor.rowcount and not re.match("SELECT|TABLE", str(cursor.statusmessage))
        return f"{found} {session.notices}", "changed" if wrote or "WITH x" in sql else "seen"


# No tenant -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "error", "words"),
    [
        (None, UndefinedObject, "docmeta.tenant_id is not set"),
        ("", UndefinedObject, "docmeta.tenant_id is not set"),
        ("all", InvalidParameterValue, 'must be the number of a tenant, not "all"'),
        ("1 OR true", InvalidParameterValue, 'not "1 OR true"'),
        ("1.5", InvalidParameterValue, 'not "1.5"'),
        (" 1", InvalidParameterValue, 'not " 1"'),
        ("9999999999999999999", NumericValueOutOfRange, "out of range"),
    ],
)
def test_no_tenant_is_an_error_and_never_tenant_1(
    setting: str | None, error: type[psycopg2.Error], words: str, two: Database
) -> None:
    asked = 0
    for group in GROUPS:
        session = session_of(two, group, setting)
        for table in tables(two):
            if mine := columns(two, table, group):
                with pytest.raises(error, match=re.escape(words)):
                    session.cursor().execute(f"SELECT {mine[0]} FROM docmeta.{table}")
                asked += 1
        calls = {"retention": "purge_documents('0', 1)", "reader": "find_tag('urgent')"}
        if group in calls:
            with pytest.raises(error, match=re.escape(words)):
                session.cursor().execute(f"SELECT docmeta.{calls[group]}")
    assert asked > 20


def test_a_reset_tenant_is_no_tenant(two: Database) -> None:
    reader = session_of(two, "reader", 1)
    reader.cursor().execute("RESET docmeta.tenant_id")
    with pytest.raises(UndefinedObject):
        reader.cursor().execute("SELECT id FROM docmeta.documents")


def test_a_prepared_query_follows_the_tenant(two: Database) -> None:
    """A plan that is kept must not keep the tenant."""
    reader = session_of(two, "reader", 1)
    with reader.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute("PREPARE mine AS SELECT DISTINCT tenant_id FROM docmeta.documents")
        for tenant in (1, 2, 1):
            cursor.execute(f"SET docmeta.tenant_id = '{tenant}'; EXECUTE mine")
            assert cursor.fetchall() == [(tenant,)]


# Writing ---------------------------------------------------------------------------------


def test_who_forgets_the_tenant_of_a_row_writes_none_to_tenant_1(two: Database) -> None:
    """The default of tenant_id is 1: for others to leave it out is an error."""
    insert = "INSERT INTO docmeta.tags (name) VALUES ('new')"
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        session_of(two, "app", 2).cursor().execute(insert)
    session_of(two, "app", 1).cursor().execute(insert)


def test_foreign_keys_hold_and_tell_nothing(two: Database) -> None:
    """A content of the other tenant and one of nobody look alike; one's own is found."""
    ingest = session_of(two, "ingest", 1)
    document = "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('{}'), 'x')"
    ingest.cursor().execute(document.format("only-1"))
    told = []
    for content in ("only-2", "nobodys"):
        with pytest.raises(ForeignKeyViolation) as caught:
            ingest.cursor().execute(document.format(content))
        told.append(re.sub(r"\\x\w+", "", str(caught.value)))
    assert told[0] == told[1]


def test_the_audit_row_is_of_the_tenant_of_the_row(two: Database) -> None:
    since = two.value("SELECT max(id) FROM docmeta.audit_log")
    session_of(two, "app", 2).cursor().execute(
        "UPDATE docmeta.documents SET title = 'new' WHERE filename = 'mark-2'"
    )
    count = "SELECT count(*) FROM docmeta.audit_log WHERE id > %s"
    for tenant, number in ((1, 0), (2, 2)):
        with session_of(two, "auditor", tenant).cursor() as cursor:
            cursor.execute(count, [since])
            assert cursor.fetchall() == [(number,)]


def test_purge_takes_the_trash_of_the_tenant(two: Database) -> None:
    trash = "SELECT tenant_id FROM docmeta.documents WHERE deleted_at IS NOT NULL"
    with session_of(two, "retention", 2).cursor() as cursor:
        cursor.execute("SELECT docmeta.purge_documents('1 day', 100)")
        assert cursor.fetchall() == [(1,)]
    assert two.query(trash) == [(1,)]
    orphans = "SELECT tenant_id FROM docmeta.hash_index WHERE orphaned_at IS NOT NULL"
    assert two.query(orphans) == [(2,)]


# Plans -----------------------------------------------------------------------------------

# Their operators are not leakproof; what serves them instead.
BY_FUNCTION = {
    "documents_search_idx": "SELECT docmeta.search_documents('77', 10)",
    "tags_live_name_key": "SELECT docmeta.find_tag('Tag 77')",
}

# With the tenant given, the key holds the time as well, and may be the cheaper of the two.
BY_KEY = {"audit_log_occurred_at_idx": r"_pkey .*\n.*Index Cond: .*tenant_id = .*occurred_at >="}


def test_the_indexes_serve_under_the_policies(docs: Database) -> None:
    """For each query that an index names, as one asks it who may."""
    docs.query(ROWS)
    indexes = docs.query("""
        SELECT relname, obj_description(oid, 'pg_class'), ARRAY(
            SELECT relid::regclass::text FROM pg_partition_tree(i.oid)
            WHERE isleaf AND pg_relation_size(relid) > 0 UNION SELECT relname
        ) FROM pg_class i
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('i', 'I')
            AND NOT relispartition AND oid NOT IN (SELECT conindid FROM pg_constraint)
        ORDER BY relname
    """)
    assert len(indexes) > 10
    assert BY_FUNCTION.keys() <= {index for index, *_ in indexes}
    unused = {}
    for index, comment, parts in indexes:
        if index in BY_FUNCTION:
            continue
        query = comment.partition(": ")[2]
        group = "ingest" if "FOR UPDATE" in query else "reader"
        arguments = ", ".join(["NULL"] * len(set(re.findall(r"\$\d", query))))
        with session_of(docs, group, 1).cursor() as cursor:
            cursor.execute("SET plan_cache_mode = force_generic_plan")
            cursor.execute("SET enable_partition_pruning = off")  # NULL would lie in none
            cursor.execute(f"PREPARE served AS {query}")
            cursor.execute(f"EXPLAIN EXECUTE served ({arguments})")
            plan = "\n".join(line for (line,) in cursor.fetchall())
        served = "|".join(
            [*(part.split(".")[-1] + r"\b" for part in parts), BY_KEY.get(index, "$^")]
        )
        if not re.search(served, plan):
            unused[index] = plan
    assert not unused, "\n\n".join(f"{i} is not used:\n{plan}" for i, plan in unused.items())

    # The plan of these is inside a function, so the server's count must tell.
    for index, call in BY_FUNCTION.items():
        before = scans(docs, index)
        with closing(session_of(docs, "reader", 3)) as reader:
            reader.cursor().execute(call)
        assert scans(docs, index) > before, index


def scans(db: Database, index: str) -> int:
    time.sleep(0.2)  # a session tells its counts as it ends
    return int(
        db.value("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [index])
    )


def test_search_finds_by_word_the_newest_first_and_only_live(two: Database) -> None:
    document = (
        "INSERT INTO docmeta.documents (content_sha256, filename) "
        "VALUES (sha256('a'), 'annual_report-2026.pdf') RETURNING id"
    )
    ids = [two.value(document) for _ in range(3)]
    two.query(
        "UPDATE docmeta.documents SET deleted_at = now(), deleted_by = 'x' WHERE id = %s", ids[:1]
    )
    with session_of(two, "reader", 1).cursor() as cursor:
        for words, most, found in (
            ("report", 9, [ids[2], ids[1]]),
            ("REPORT 2026 -letter", 1, [ids[2]]),
            ("report letter", 9, []),
            ("", 9, []),
        ):
            cursor.execute("SELECT docmeta.search_documents(%s, %s)", [words, most])
            assert [id_ for (id_,) in cursor.fetchall()] == found, words
        for name, there in (("URGENT", True), ("none", False)):
            cursor.execute("SELECT docmeta.find_tag(%s) IS NOT NULL", [name])
            assert cursor.fetchall() == [(there,)]


# The way back ----------------------------------------------------------------------------


def test_the_rollback_lays_no_tenant_open_unasked(two: Database) -> None:
    said = UP_TO_BEFORE.down(two, code=1, PGOPTIONS="-c docmeta.open_tenants=").stderr
    assert "docmeta has rows of several tenants, from 1 to 2" in said
    assert 'PGOPTIONS="-c docmeta.open_tenants=yes"' in said
    said = UP_TO_BEFORE.down(two, code=1, PGOPTIONS="-c docmeta.open_tenants=ja").stderr
    assert 'docmeta.open_tenants must be yes or unset, not "ja"' in said
    with session_of(two, "reader", 1).cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM docmeta.documents")
        assert cursor.fetchall() == [(1,)]

    UP_TO_BEFORE.down(two, PGOPTIONS="-c docmeta.open_tenants=yes")
    with session_of(two, "reader", None).cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM docmeta.documents ORDER BY 1")
        assert cursor.fetchall() == [(1,), (2,)]
    MIGRATE.up(two)
    with session_of(two, "reader", 2).cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM docmeta.documents")
        assert cursor.fetchall() == [(2,)]


def test_one_tenant_is_rolled_back_without_a_word(docs: Database) -> None:
    docs.query(OF_TENANT.format(t=7))
    UP_TO_BEFORE.down(docs, PGOPTIONS="-c docmeta.open_tenants=")
