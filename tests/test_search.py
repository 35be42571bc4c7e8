"""Laws of 0004: documents are found by words of their names, and writers feed the index evenly."""

import re

from database import IDS, Database
from running import at, cut_off, migrating, wait_until

BEFORE, SEARCH = IDS[2:4]
ROWS = """
    INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256('a'), 1);
    INSERT INTO docmeta.documents (content_sha256, filename, title, deleted_at, deleted_by) VALUES
        (sha256('a'), 'invoice_2026-03.final.pdf', NULL, NULL, NULL),
        (sha256('a'), 'scan 17.tiff', 'Invoice of Müller & Söhne', NULL, NULL),
        (sha256('a'), 'Rechnung.PDF', 'The invoices by e-mail', NULL, NULL),
        (sha256('a'), 'invoice.txt', NULL, now(), 'bob');
"""


def search(db: Database, words: str, tenant: int = 1) -> list[str]:
    """Ask as the comment on the index says."""
    comment = db.value("SELECT obj_description('docmeta.documents_search_idx'::regclass)")
    query = comment.partition(": ")[2].replace("SELECT id", "SELECT filename")
    query = re.sub(r"\$\d", "%s", query)
    return sorted(name for (name,) in db.query(query, [tenant, words]))


INVOICE, SCAN, RECHNUNG = "invoice_2026-03.final.pdf", "scan 17.tiff", "Rechnung.PDF"


FOUND = {
    "invoice": [INVOICE, SCAN],
    "INVOICE pdf": [INVOICE],
    "pdf": [RECHNUNG, INVOICE],
    "2026 final": [INVOICE],
    "müller": [SCAN],
    "17 tiff söhne": [SCAN],
    "the": [RECHNUNG],
    "invoice -pdf": [SCAN],
    "nothing": [],
    # As it is written in the name.
    INVOICE: [INVOICE],
    "invoice_2026": [INVOICE],
    "invoice-2026 .final": [INVOICE],
    "Rechnung.PDF": [RECHNUNG],
    '"2026-03.final"': [INVOICE],
    "invoice -2026": [SCAN],
    "e-mail": [RECHNUNG],
}


def test_words_of_filename_and_title_are_found(docs: Database) -> None:
    """Without folding endings, for names come in every language; what is in the trash is not."""
    docs.query(ROWS)
    docs.query("SET default_text_search_config = 'german'; SET enable_seqscan = off")
    for words, found in FOUND.items():
        assert search(docs, words) == sorted(found), words
        by_function = docs.query(
            "SET docmeta.tenant_id = '1'; SELECT filename FROM docmeta.documents "
            "WHERE id IN (SELECT docmeta.search_documents(%s, 10))",
            [words],
        )
        assert sorted(by_function) == [(name,) for name in sorted(found)], words
        assert search(docs, words, tenant=2) == []


def test_a_search_follows_what_is_written(docs: Database) -> None:
    docs.query(ROWS)
    docs.query("SET enable_seqscan = off")
    docs.query("UPDATE docmeta.documents SET title = 'Mahnung' WHERE filename = 'scan 17.tiff'")
    assert search(docs, "mahnung") == [SCAN]
    assert search(docs, "müller") == []


def test_the_list_that_a_writer_has_to_empty_is_short(docs: Database) -> None:
    assert docs.value(
        "SELECT reloptions FROM pg_class WHERE oid = 'docmeta.documents_search_idx'::regclass"
    ) == ["gin_pending_list_limit=64"]


def test_writers_go_on_while_it_is_built_and_a_cut_is_mended(db: Database) -> None:
    """The build waits for an old transaction; killed there, it leaves an INVALID index."""
    at(db, BEFORE)
    db.query(ROWS)
    old = db.connect()
    old.autocommit = False
    old.cursor().execute(
        "UPDATE docmeta.documents SET title = 'old' WHERE filename = 'invoice.txt'"
    )

    def waits_for_the_old_one() -> bool:
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'virtualxid'"
        return bool(db.query(f"{waiting} AND datname = current_database()"))

    assert cut_off(db, "up", "--to", SEARCH, when=waits_for_the_old_one)
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'docmeta.{}'::regclass"
    assert db.value(is_valid.format("documents_search_idx")) is False
    with migrating(db, "up", "--to", SEARCH) as process:
        assert wait_until(waits_for_the_old_one, process)
        db.query("SET lock_timeout = '1s'")
        db.query("INSERT INTO docmeta.documents (content_sha256, filename) "
                 "VALUES (sha256('a'), 'meanwhile')")  # fmt: skip
        old.rollback()
        assert process.wait(60) == 0
    assert db.value(is_valid.format("documents_search_idx")) is True
    db.query("SET enable_seqscan = off")
    assert search(db, "meanwhile") == ["meanwhile"]
