"""Laws of the trash: what is deleted there frees its name, keeps its row, and may come back."""

import psycopg2
import pytest

from database import Database

DELETE = (
    "UPDATE docmeta.{} SET deleted_at = now(), deleted_by = 'bob', delete_reason = 'twice' "
    "WHERE id = {}"
)
RESTORE = (
    "UPDATE docmeta.{} SET deleted_at = NULL, deleted_by = NULL, delete_reason = NULL WHERE id = {}"
)
# A live row with unique values, the same values again, and the index that keeps them apart.
UNIQUE_AMONG_THE_LIVE = {
    "documents": (
        "INSERT INTO docmeta.documents (content_sha256, filename, source_system, source_id) "
        "VALUES (sha256('a'), 'a', 'scanner', 'S-1') RETURNING id",
        "documents_live_source_key",
    ),
    "tags": (
        "INSERT INTO docmeta.tags (name) VALUES ('Urgent') RETURNING id",
        "tags_live_name_key",
    ),
}


@pytest.fixture
def store(docs: Database) -> Database:
    docs.query("INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256('a'), 1)")
    return docs


@pytest.mark.parametrize("table", UNIQUE_AMONG_THE_LIVE)
def test_a_deleted_row_frees_its_values_stays_and_comes_back(table: str, store: Database) -> None:
    insert, index = UNIQUE_AMONG_THE_LIVE[table]
    first = store.value(insert)
    with pytest.raises(psycopg2.errors.UniqueViolation) as caught:
        store.query(insert)
    assert caught.value.diag.constraint_name == index

    store.query(DELETE.format(table, first))
    second = store.value(insert)
    assert store.query(f"SELECT id, deleted_at IS NULL FROM docmeta.{table} ORDER BY id") == [
        (first, False),
        (second, True),
    ]

    with pytest.raises(psycopg2.errors.UniqueViolation) as caught:
        store.query(RESTORE.format(table, first))
    assert caught.value.diag.constraint_name == index

    # Any number of deleted rows may share the values; the last of them can be restored.
    store.query(DELETE.format(table, second))
    store.query(RESTORE.format(table, first))
    live = store.query(f"SELECT id FROM docmeta.{table} WHERE deleted_at IS NULL")
    assert live == [(first,)]


def test_a_deleted_document_does_not_block_its_content(store: Database) -> None:
    insert = "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('a'), 'a')"
    first = store.value(insert + " RETURNING id")
    store.query(DELETE.format("documents", first))
    store.query(insert)
    assert store.value("SELECT count(*) FROM docmeta.documents") == 2


@pytest.mark.parametrize("other", ["urgent", "URGENT"])
def test_ascii_case_makes_no_other_tag(other: str, store: Database) -> None:
    store.query("INSERT INTO docmeta.tags (name) VALUES ('Urgent')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        store.query("INSERT INTO docmeta.tags (name) VALUES (%s)", [other])


def test_no_locale_decides_which_tags_are_equal(store: Database) -> None:
    store.query("INSERT INTO docmeta.tags (name) VALUES ('ÄRGER'), ('ärger'), ('İ'), ('i')")
    assert store.value("SELECT count(*) FROM docmeta.tags") == 4


def test_one_current_classification_by_source_and_one_primary(store: Database) -> None:
    document = store.value(
        "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('a'), 'a') "
        "RETURNING id"
    )
    insert = (
        "INSERT INTO docmeta.document_classifications "
        "(document_id, category, source, model_name, model_version, is_primary) "
        f"VALUES ({document}, %s, %s, %s, %s, %s)"
    )
    store.query(insert, ["invoice", "model", "layout", "1", True])
    store.query(insert, ["invoice", "rule", None, None, False])
    store.query(insert, ["invoice", "user", None, None, False])
    refused: list[tuple[list[object], str]] = [
        (["invoice", "model", "layout", "2", False], "document_classifications_current_key"),
        (["invoice", "rule", None, None, False], "document_classifications_current_key"),
        (["letter", "user", None, None, True], "document_classifications_current_primary_key"),
    ]
    for again, index in refused:
        with pytest.raises(psycopg2.errors.UniqueViolation) as caught:
            store.query(insert, again)
        assert caught.value.diag.constraint_name == index
    store.query("UPDATE docmeta.document_classifications SET superseded_at = now()")
    store.query(insert, ["invoice", "model", "layout", "2", True])
