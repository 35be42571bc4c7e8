"""Laws of 0002: every change leaves its audit row, the logs take no change, the trash is purged.

The first law is a model: random statements, and after each the difference of the tables' rows
must be what audit_log gained, no row more.
"""

import json
import random
from collections import Counter
from io import StringIO
from typing import Any

import pytest
from psycopg2.errors import (
    CheckViolation,
    InvalidParameterValue,
    InvalidTransactionState,
    LockNotAvailable,
    RestrictViolation,
)
from psycopg2.extensions import connection

from database import MIGRATE, Database

# The audited tables, with the column that entity_id is, and the one that document_id is.
AUDITED: dict[str, tuple[str, str | None]] = {
    "import_batches": ("id", None),
    "documents": ("id", "id"),
    "document_classifications": ("id", "document_id"),
    "tags": ("id", None),
    "document_tags": ("tag_id", "document_id"),
}
LOGS = ("audit_log", "duplicate_log")

Row = dict[str, Any]
Key = tuple[int, int, int | None]
TRASH = "deleted_at = now(), deleted_by = 'bob'"
LIVE = "deleted_at = NULL, deleted_by = NULL, delete_reason = NULL"


@pytest.fixture
def store(docs: Database) -> Database:
    """Two contents, a batch, a tag, and two documents with a link and a classification each."""
    docs.query("""
        SET docmeta.tenant_id = '1';
        INSERT INTO docmeta.hash_index (sha256, size_bytes)
            VALUES (sha256('a'), 1), (sha256('b'), 1);
        INSERT INTO docmeta.import_batches (source_kind) VALUES ('upload');
        INSERT INTO docmeta.tags (name) VALUES ('urgent');
        INSERT INTO docmeta.documents (content_sha256, filename)
            VALUES (sha256('a'), 'a'), (sha256('b'), 'b');
        INSERT INTO docmeta.document_tags (document_id, tag_id)
            SELECT id, 1 FROM docmeta.documents;
        INSERT INTO docmeta.document_classifications (document_id, category, source)
            SELECT id, 'letter', 'user' FROM docmeta.documents;
    """)
    return docs


def audited(db: Database, what: str, since: int = 0) -> list[tuple[Any, ...]]:
    """Return columns of the audit rows, in the order in which they were written."""
    return db.query(f"SELECT {what} FROM docmeta.audit_log WHERE id > %s ORDER BY id", [since])


def last_id(db: Database) -> int:
    return int(db.value("SELECT coalesce(max(id), 0) FROM docmeta.audit_log"))


def refused(session: connection, sql: str) -> str:
    with pytest.raises(RestrictViolation) as caught:
        session.cursor().execute(sql)
    return str(caught.value.diag.message_primary)


# One row for each changed row ------------------------------------------------------------


def snapshot(db: Database) -> dict[str, dict[Key, Row]]:
    """Return every row of the audited tables, by tenant, entity and document."""
    found: dict[str, dict[Key, Row]] = {}
    for table, (entity, document) in AUDITED.items():
        rows = db.query(f"SELECT to_jsonb(t) FROM docmeta.{table} t")
        found[table] = {
            (row["tenant_id"], row[entity], row[document] if document else None): row
            for (row,) in rows
        }
    return found


def expected(before: dict[Key, Row], after: dict[Key, Row]) -> list[tuple[Any, ...]]:
    """Return what the audit must say of two states of a table: key, action, old and new row."""
    said: list[tuple[Any, ...]] = []
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None:
            said.append((*key, "insert", None, new))
        elif new is None:
            said.append((*key, "purge" if old.get("deleted_at") else "delete", old, None))
        elif changed := [name for name in old if old[name] != new[name]]:
            trash = bool(old.get("deleted_at")), bool(new.get("deleted_at"))
            action = {(False, True): "soft_delete", (True, False): "restore"}.get(trash, "update")
            said.append((*key, action, {n: old[n] for n in changed}, {n: new[n] for n in changed}))
    return said


def statement(dice: random.Random) -> str:
    """Return a statement of one of the kinds that writers use, on a random part of the rows."""
    some = f"id % {dice.randint(2, 4)} = {dice.randint(0, 3)}"
    linked = some.replace("id", "document_id")
    n = dice.randrange(10**9)
    of_content = f"sha256('{dice.choice('ab')}')"
    return dice.choice(
        [
            "INSERT INTO docmeta.import_batches (source_kind, options) SELECT 'upload', "
            f"jsonb_build_object('n', g + {n}, 'none', null) FROM generate_series(1, 3) g",
            f"UPDATE docmeta.import_batches SET status = 'running', started_at = now() "
            f"WHERE {some}",
            f"UPDATE docmeta.import_batches SET options = '{{\"n\": [1, {n}]}}' WHERE {some}",
            f"DELETE FROM docmeta.import_batches WHERE {some}",
            "INSERT INTO docmeta.documents (content_sha256, filename, source_path_raw) "
            f"SELECT {of_content}, 'f' || g, '\\x00ff5c' FROM generate_series(1, 4) g",
            f"INSERT INTO docmeta.documents (content_sha256, filename, {TRASH.split(' ')[0]}, "
            f"deleted_by) VALUES ({of_content}, 'z', now(), 'eve')",
            f"UPDATE docmeta.documents SET title = title WHERE {some}",
            f"UPDATE docmeta.documents SET title = 'Ä{n}', page_count = {n % 7} WHERE {some}",
            f"UPDATE docmeta.documents SET attributes = attributes || '{{\"k\": {n % 3}}}' "
            f"WHERE {some}",
            f"UPDATE docmeta.documents SET {TRASH}, title = 'gone' WHERE {some} "
            "AND deleted_at IS NULL",
            f"UPDATE docmeta.documents SET {LIVE} WHERE {some}",
            "UPDATE docmeta.documents SET id = DEFAULT WHERE id IN (SELECT id FROM "
            "docmeta.documents d WHERE NOT EXISTS (SELECT 1 FROM docmeta.document_tags t WHERE "
            "t.document_id = d.id) AND NOT EXISTS (SELECT 1 FROM "
            "docmeta.document_classifications c WHERE c.document_id = d.id) LIMIT 2)",
            f"DELETE FROM docmeta.documents WHERE {some} AND id > 20",
            f"SELECT docmeta.purge_documents('0', {dice.randint(1, 3)})",
            f"INSERT INTO docmeta.tags (name) VALUES ('t{n % 9}'), ('u{n}') "
            'ON CONFLICT (tenant_id, lower(name COLLATE "C")) WHERE deleted_at IS NULL '
            f"DO UPDATE SET colour = '#{n % 4:06x}'",
            "INSERT INTO docmeta.tags (name) VALUES ('urgent') ON CONFLICT DO NOTHING",
            f"UPDATE docmeta.tags SET {TRASH} WHERE {some} AND deleted_at IS NULL",
            f"DELETE FROM docmeta.tags WHERE {some} AND id NOT IN "
            "(SELECT tag_id FROM docmeta.document_tags)",
            "INSERT INTO docmeta.document_tags (document_id, tag_id) SELECT d.id, t.id FROM "
            "docmeta.documents d, docmeta.tags t WHERE (d.id + t.id) % 5 = 0 LIMIT 7 "
            "ON CONFLICT DO NOTHING",
            "UPDATE docmeta.document_tags SET tag_id = (SELECT max(id) FROM docmeta.tags) "
            f"WHERE {linked} AND NOT EXISTS (SELECT 1 FROM docmeta.document_tags d WHERE "
            "d.document_id = document_tags.document_id AND d.tag_id <> document_tags.tag_id)",
            f"UPDATE docmeta.document_tags SET source = 'rule' WHERE {linked}",
            f"DELETE FROM docmeta.document_tags WHERE {linked}",
            "INSERT INTO docmeta.document_classifications (document_id, category, confidence, "
            f"source) SELECT id, 'c' || {n}, 0.5, 'user' FROM docmeta.documents WHERE {some}",
            f"UPDATE docmeta.document_classifications SET confidence = 0.50 WHERE {linked}",
            f"UPDATE docmeta.document_classifications SET superseded_at = now() WHERE {linked}",
            f"DELETE FROM docmeta.document_classifications WHERE {linked}",
            "MERGE INTO docmeta.tags t USING (VALUES ('urgent'), ('m' || "
            f"{n % 5})) s (name) ON t.name = s.name AND t.deleted_at IS NULL "
            f"WHEN MATCHED THEN UPDATE SET description = 'd{n % 4}' "
            "WHEN NOT MATCHED THEN INSERT (name) VALUES (s.name)",
            f"WITH gone AS (DELETE FROM docmeta.document_tags WHERE {linked} RETURNING *) "
            "UPDATE docmeta.tags SET description = 'left' WHERE id IN (SELECT tag_id FROM gone)",
        ]
    )


def test_the_audit_is_the_difference(store: Database) -> None:
    """Whatever the client's time zone, format of bytea and date style are."""
    dice = random.Random(1)
    store.query("SET timezone = 'UTC'")
    met: Counter[str] = Counter()
    before, since = snapshot(store), last_id(store)
    client = store.connect(
        options="-c docmeta.tenant_id=1 -c timezone=Asia/Kathmandu -c bytea_output=escape"
    )
    for _ in range(400):
        sql = statement(dice)
        client.cursor().execute(sql)
        after = snapshot(store)
        for table in AUDITED:
            said = store.query(
                "SELECT tenant_id, entity_id, document_id, action, old_row, new_row "
                "FROM docmeta.audit_log WHERE entity_type = %s AND id > %s",
                [table, since],
            )
            right = expected(before[table], after[table])
            assert sorted(map(json.dumps, said)) == sorted(map(json.dumps, right)), sql
            met.update(f"{table} {row[3]}" for row in said)
        before, since = after, last_id(store)
    kinds = {f"{table} {action}" for table in AUDITED for action in ("insert", "update", "delete")}
    kinds |= {"documents soft_delete", "documents restore", "documents purge"}
    kinds |= {"tags soft_delete", "tags purge"}
    assert kinds - met.keys() == set(), "too few statements to show these"


def test_copy_and_prepared_batches_are_recorded(store: Database) -> None:
    since = last_id(store)
    with store.connect().cursor() as cursor:
        cursor.copy_expert(
            "COPY docmeta.tags (name) FROM STDIN", StringIO("".join(f"t{n}\n" for n in range(500)))
        )
    told = audited(store, "action, new_row ->> 'name'", since)
    assert sorted(told) == sorted(("insert", f"t{n}") for n in range(500))


def test_a_large_row_is_recorded_whole(store: Database) -> None:
    since = last_id(store)
    value = "x" * 65000
    store.query(
        "UPDATE docmeta.documents SET attributes = jsonb_build_object('k', %s::text), "
        "source_path_raw = decode(repeat('ff', 4096), 'hex') WHERE id = 1",
        [value],
    )
    ((old, new),) = audited(store, "old_row, new_row", since)
    assert old["attributes"] == {}
    assert new["attributes"] == {"k": value}
    assert new["source_path_raw"] == "\\x" + "ff" * 4096


def test_one_statement_is_one_insert(store: Database) -> None:
    """A trigger on the log counts them: one for 1,000 rows."""
    store.query("""
        CREATE TABLE public.calls (n int);
        GRANT INSERT ON public.calls TO PUBLIC;
        CREATE FUNCTION public.count_call() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO public.calls VALUES (1); RETURN NULL; END';
        CREATE TRIGGER z AFTER INSERT ON docmeta.audit_log
            FOR EACH STATEMENT EXECUTE FUNCTION public.count_call();
        INSERT INTO docmeta.tags (name) SELECT 't' || n FROM generate_series(1, 1000) n;
        UPDATE docmeta.tags SET colour = '#000000';
    """)
    assert store.value("SELECT count(*) FROM public.calls") == 2


# Who and why -----------------------------------------------------------------------------


def test_the_actor_is_who_the_client_names_and_the_login_is_kept(store: Database) -> None:
    since = last_id(store)
    client = store.connect(options="-c docmeta.tenant_id=1")
    rename = "UPDATE docmeta.tags SET name = name || '!' WHERE id = 1"
    for setting in (
        "SELECT 1",
        "SET docmeta.actor = 'ada'; SET docmeta.request_id = 'r-1'",
        "SET docmeta.actor = ''; SET docmeta.request_id = ''",
        "SET docmeta.actor = 'bob'; SET ROLE docmeta_app",
    ):
        client.cursor().execute(f"{setting}; {rename}")
    who = store.user
    assert audited(store, "actor, db_user, request_id", since) == [
        (who, who, None),
        ("ada", who, "r-1"),
        (who, who, None),
        ("bob", who, None),
    ]
    assert store.value("SELECT updated_by FROM docmeta.tags WHERE id = 1") == "bob"


@pytest.mark.parametrize("setting", ["actor", "request_id"])
def test_a_claim_too_long_stops_the_change(setting: str, store: Database) -> None:
    store.query(f"SET docmeta.{setting} = '{'x' * 257}'")
    for sql in (
        "INSERT INTO docmeta.tags (name) VALUES ('new')",
        "DELETE FROM docmeta.document_tags",
        "UPDATE docmeta.import_batches SET expected_count = 9",
    ):
        with pytest.raises(CheckViolation, match=f"audit_log_{setting}_1_to_256_check"):
            store.query(sql)


def test_times_and_transactions_are_the_servers(store: Database) -> None:
    session = store.connect()
    session.autocommit = False
    with session.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text, now()")
        ((transaction, begun),) = cursor.fetchall()
        for name in ("one", "two"):
            cursor.execute("INSERT INTO docmeta.tags (name) VALUES (%s)", [name])
        cursor.execute(
            "SELECT transaction_id::text, occurred_at FROM docmeta.audit_log "
            "WHERE entity_type = 'tags' ORDER BY id DESC LIMIT 2"
        )
        (second, first) = cursor.fetchall()
    session.commit()
    assert first[0] == second[0] == transaction
    assert begun < first[1] < second[1]


# What may not be changed -----------------------------------------------------------------


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("table", LOGS)
def test_a_log_takes_no_change_even_from_a_superuser(
    table: str, role: str, filled: Database
) -> None:
    """In a session that replicates too, and where no row would be hit."""
    before = filled.rows()[table]
    session = filled.connect(options=f"-c session_replication_role={role}")
    for sql, verb in (
        (f"UPDATE docmeta.{table} SET tenant_id = tenant_id", "UPDATE"),
        (f"UPDATE docmeta.{table} SET tenant_id = 1 WHERE false", "UPDATE"),
        (f"DELETE FROM docmeta.{table} WHERE id = 1", "DELETE"),
        (f"TRUNCATE docmeta.{table}", "TRUNCATE"),
        (f"TRUNCATE docmeta.{table} CASCADE", "TRUNCATE"),
        (
            f"INSERT INTO docmeta.{table} OVERRIDING SYSTEM VALUE SELECT * FROM docmeta.{table} "
            f"ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET tenant_id = 1",
            "UPDATE",
        ),
        (
            f"MERGE INTO docmeta.{table} USING (VALUES (1)) s (id) ON {table}.id = s.id "
            "WHEN MATCHED THEN DELETE",
            "DELETE",
        ),
    ):
        assert refused(session, sql) == f"docmeta.{table} refuses {verb}: it is append-only"
    assert filled.rows()[table] == before


@pytest.mark.parametrize("table", [*AUDITED, "hash_index"])
def test_no_truncate_escapes_the_audit(table: str, store: Database) -> None:
    said = refused(store.connect(), f"TRUNCATE docmeta.{table} CASCADE")
    assert said.endswith("refuses TRUNCATE: it is audited row by row")


# Bookkeeping -----------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["documents", "tags"])
def test_touch_is_the_servers_word_and_only_for_a_change(table: str, store: Database) -> None:
    version = "row_version" if table == "documents" else "0"
    state = f"SELECT updated_at, updated_by, {version} FROM docmeta.{table} WHERE id = 1"
    name = "title" if table == "documents" else "description"
    ((at, by, number),) = store.query(state)

    store.query(f"UPDATE docmeta.{table} SET {name} = {name}")
    assert store.query(state) == [(at, by, number)]

    forged = ", row_version = 900" if table == "documents" else ""
    store.query("SET docmeta.actor = 'ada'")
    store.query(
        f"UPDATE docmeta.{table} SET {name} = 'new', updated_at = '2001-01-01', "
        f"updated_by = 'eve'{forged} WHERE id = 1"
    )
    ((after, by, counted),) = store.query(state)
    assert after > at
    assert (by, counted) == ("ada", number + 1 if table == "documents" else 0)


def test_a_backfill_touches_nothing_but_is_recorded(store: Database) -> None:
    state = "SELECT updated_at, updated_by, row_version FROM docmeta.documents WHERE id = 1"
    before, since = store.query(state), last_id(store)
    for table, change in (("documents", "language = 'de'"), ("tags", "description = 'none'")):
        since = last_id(store)
        store.query("SET docmeta.backfill = 'on'")
        store.query("SET ROLE docmeta_owner")
        store.query(f"UPDATE docmeta.{table} SET {change} WHERE id = 1")
        store.query("RESET ROLE")
        ((action, new),) = audited(store, "action, new_row", since)
        assert (action, len(new)) == ("update", 1)
    assert store.query(state) == before


@pytest.mark.parametrize("setting", ["on", "true", "", "off"])
def test_a_client_cannot_pass_for_a_backfill(setting: str, store: Database) -> None:
    """Nor can an owner with another word than 'on'."""
    role = "docmeta_app" if setting == "on" else "docmeta_owner"
    store.query(f"SET docmeta.backfill = '{setting}'; SET ROLE {role}")
    store.query("UPDATE docmeta.documents SET title = 'x' WHERE id = 1")
    store.query("UPDATE docmeta.tags SET colour = '#000000' WHERE id = 1")
    store.query("RESET ROLE")
    assert store.value("SELECT row_version FROM docmeta.documents WHERE id = 1") == 2
    assert store.value("SELECT updated_at > created_at FROM docmeta.tags WHERE id = 1")


# The trash -------------------------------------------------------------------------------


def purge(db: Database, older_than: str, at_most: int = 100) -> int:
    return int(
        db.value(
            "SET docmeta.tenant_id = '1'; SET statement_timeout = '20s'; "
            "SELECT docmeta.purge_documents(%s::interval, %s)",
            [older_than, at_most],
        )
    )


def test_purge_takes_what_is_due_the_longest_deleted_first(store: Database) -> None:
    store.query("""
        INSERT INTO docmeta.documents
            (content_sha256, filename, deleted_at, deleted_by, legal_hold, retain_until)
        VALUES
            (sha256('a'), 'held', now() - interval '9 days', 'x', true, NULL),
            (sha256('a'), 'retained', now() - interval '9 days', 'x', false, now() + '1 day'),
            (sha256('a'), 'expired', now() - interval '8 days', 'x', false, now()),
            (sha256('a'), 'older', now() - interval '7 days', 'x', false, NULL),
            (sha256('a'), 'old', now() - interval '6 days', 'x', false, NULL),
            (sha256('a'), 'fresh', now() - interval '1 day', 'x', false, NULL);
    """)
    left = "SELECT filename FROM docmeta.documents WHERE deleted_at IS NOT NULL ORDER BY id"
    every = ["held", "retained", "expired", "older", "old", "fresh"]
    assert purge(store, "10 days") == 0
    assert purge(store, "5 days", 2) == 2
    assert [f for (f,) in store.query(left)] == [f for f in every if f not in ("expired", "older")]
    assert purge(store, "5 days", 2) == 1
    assert purge(store, "5 days", 2) == 0
    assert [f for (f,) in store.query(left)] == ["held", "retained", "fresh"]
    assert store.value("SELECT count(*) FROM docmeta.documents WHERE deleted_at IS NULL") == 2


def test_purge_tells_of_document_links_and_orphaned_content(store: Database) -> None:
    store.query(f"UPDATE docmeta.documents SET {TRASH} WHERE id = 1")
    since = last_id(store)
    assert purge(store, "0") == 1
    told = audited(store, "entity_type, action, document_id, old_row ->> 'filename'", since)
    assert sorted(told, key=str) == [
        ("document_classifications", "delete", 1, None),
        ("document_tags", "delete", 1, None),
        ("documents", "purge", 1, "a"),
    ]
    orphans = "SELECT sha256 = sha256('a') FROM docmeta.hash_index WHERE orphaned_at IS NOT NULL"
    assert store.query(orphans) == [(True,)]

    # A document of that content makes it no orphan again.
    store.query(
        "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('a'), 'again')"
    )
    assert store.query(orphans) == []


def test_a_document_finds_its_abandoned_content_by_key_whatever_the_statistics_say(
    store: Database,
) -> None:
    """The index of abandoned contents was empty at the last ANALYZE, and a purge has filled it."""

    def digests(count: int) -> str:
        return f"SELECT sha256(n::text::bytea) AS d FROM generate_series(1, {count}) n"

    def entries_read() -> Any:
        store.query("SELECT pg_stat_force_next_flush()")
        return store.value(
            "SELECT idx_tup_read FROM pg_stat_user_indexes "
            "WHERE indexrelname = 'hash_index_orphan_idx'"
        )

    store.query(
        f"INSERT INTO docmeta.hash_index (sha256, size_bytes) SELECT d, 1 FROM ({digests(5000)}) n"
    )
    store.query("ANALYZE docmeta.hash_index")
    store.query(
        f"UPDATE docmeta.hash_index SET orphaned_at = now() WHERE sha256 IN ({digests(2000)})"
    )
    before = entries_read()
    store.query(
        "INSERT INTO docmeta.documents (content_sha256, filename) "
        f"SELECT d, 'a' FROM ({digests(10)}) n"
    )
    assert entries_read() == before
    orphans = "SELECT count(*) FROM docmeta.hash_index WHERE orphaned_at IS NOT NULL"
    assert store.value(orphans) == 1990


def test_purge_leaves_a_document_that_is_being_restored(store: Database) -> None:
    store.query(f"UPDATE docmeta.documents SET {TRASH}")
    rescuer = store.connect()
    rescuer.autocommit = False
    rescuer.cursor().execute(f"UPDATE docmeta.documents SET {LIVE} WHERE id = 1")
    assert purge(store, "0") == 1
    rescuer.commit()
    assert purge(store, "0") == 0
    assert store.query("SELECT id FROM docmeta.documents") == [(1,)]


def test_purge_leaves_a_content_that_an_importer_is_pointing_at(store: Database) -> None:
    """Who has pointed a document at it, but not committed, keeps it from being an orphan."""
    store.query(f"UPDATE docmeta.documents SET {TRASH} WHERE id = 1")
    importer = store.connect()
    importer.autocommit = False
    importer.cursor().execute(
        "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('a'), 'late')"
    )
    assert purge(store, "0") == 0
    importer.commit()
    assert purge(store, "0") == 1
    assert store.value("SELECT count(*) FROM docmeta.hash_index WHERE orphaned_at IS NULL") == 2


def test_purge_and_an_importer_who_restores_do_not_wait_for_each_other(store: Database) -> None:
    """He locks the content, by a claim that finds it known, and then the document in the trash."""
    store.query(f"UPDATE docmeta.documents SET {TRASH} WHERE id = 1")
    importer = store.connect(options="-c deadlock_timeout=10s -c lock_timeout=5s")
    importer.autocommit = False
    cursor = importer.cursor()
    cursor.execute(
        "INSERT INTO docmeta.hash_index AS known (sha256, size_bytes) VALUES (sha256('a'), 1) "
        "ON CONFLICT (tenant_id, sha256) DO UPDATE SET orphaned_at = NULL "
        "WHERE known.orphaned_at IS NOT NULL RETURNING sha256"
    )
    assert cursor.fetchall() == []
    assert purge(store, "0") == 0
    cursor.execute(f"UPDATE docmeta.documents SET {LIVE} WHERE id = 1")
    importer.commit()
    assert purge(store, "0") == 0
    assert store.value("SELECT count(*) FROM docmeta.documents WHERE deleted_at IS NULL") == 2


def test_purge_gives_way_to_who_has_locked_what_hangs_on_a_document(store: Database) -> None:
    """He may be about to lock the document itself: then one of the two must end, and not he."""
    store.query(f"UPDATE docmeta.documents SET {TRASH} WHERE id = 1")
    client = store.connect()
    client.autocommit = False
    cursor = client.cursor()
    cursor.execute(
        "UPDATE docmeta.document_classifications SET superseded_at = now() WHERE document_id = 1"
    )
    with pytest.raises(LockNotAvailable):
        purge(store, "0")
    cursor.execute(
        "INSERT INTO docmeta.document_classifications (document_id, category, source) "
        "VALUES (1, 'invoice', 'user')"
    )
    client.commit()
    assert purge(store, "0") == 1


def test_since_when_it_is_in_the_trash_a_client_cannot_say(store: Database) -> None:
    """Or it could be purged the moment that it was deleted."""
    client = store.connect()
    client.cursor().execute(
        "SET docmeta.tenant_id = '1'; SET ROLE docmeta_app; "
        "UPDATE docmeta.documents SET deleted_at = '-infinity', deleted_by = 'x' WHERE id = 1"
    )
    assert purge(store, "1 day") == 0
    client.cursor().execute("UPDATE docmeta.documents SET deleted_at = '-infinity' WHERE id = 1")
    assert purge(store, "1 day") == 0
    assert store.value(
        "SELECT deleted_at > now() - interval '1 h' FROM docmeta.documents WHERE id = 1"
    )
    # Whoever brings rows over from another store must be able to.
    store.query("UPDATE docmeta.documents SET deleted_at = now() - interval '2 days' WHERE id = 1")
    assert purge(store, "1 day") == 1


def test_a_content_that_got_a_document_unseen_is_no_orphan(store: Database) -> None:
    """While the triggers of 0002 were rolled back, say."""
    store.query("""
        UPDATE docmeta.hash_index SET orphaned_at = now();
        INSERT INTO docmeta.hash_index (sha256, size_bytes, orphaned_at)
            VALUES (sha256('c'), 1, now())
    """)
    MIGRATE.down(store, PGOPTIONS="-c docmeta.open_tenants=yes")
    MIGRATE.up(store)
    orphans = "SELECT sha256 = sha256('c') FROM docmeta.hash_index WHERE orphaned_at IS NOT NULL"
    assert store.query(orphans) == [(True,)]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("'-1 day', 1", "older_than"),
        ("'-100 years 36523 days', 1", "older_than"),
        ("NULL, 1", "older_than"),
        ("'1 day', 0", "at_most"),
        ("'1 day', NULL", "at_most"),
    ],
)
def test_purge_refuses_a_slip_of_the_pen(arguments: str, word: str, store: Database) -> None:
    with pytest.raises(InvalidParameterValue, match=word):
        store.query(f"SELECT docmeta.purge_documents({arguments})")


def test_purge_refuses_an_old_snapshot(store: Database) -> None:
    store.query("SET default_transaction_isolation = 'serializable'")
    with pytest.raises(InvalidTransactionState, match="READ COMMITTED"):
        store.query("SELECT docmeta.purge_documents('1 day', 1)")
