"""Every constraint is met once and violated once, by the name that the server reports.

What a check's name says (`…_1_to_256_check`, `…_not_negative_check`) is tried at its bounds; the
other checks are listed in CASES. A constraint of tests/expected/ without a case fails.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection
from psycopg2.sql import SQL, Composed, Identifier, Placeholder

from database import IDS, ROOT, TABLES, Database

Row = Mapping[str, Any]

CONSTRAINT = re.compile(r"constraint docmeta\.(\w+) (\w+): (.*)")
CATALOG = (ROOT / "tests" / "expected" / f"{IDS[-1]}.txt").read_text(encoding="utf-8")
CONSTRAINTS = {name: (table, text) for table, name, text in CONSTRAINT.findall(CATALOG)}

SHA = b"\x01" * 32
OTHER_SHA = b"\x02" * 32

# The least that makes a row: what has no default and may not be null.
LEAST: dict[str, Row] = {
    "import_batches": {"source_kind": "upload"},
    "hash_index": {"sha256": OTHER_SHA, "size_bytes": 1},
    "documents": {"content_sha256": SHA, "filename": "a"},
    "duplicate_log": {
        "existing_document_id": 1,
        "sha256": SHA,
        "size_bytes": 1,
        "filename": "a",
        "decision": "rejected",
    },
    "document_classifications": {"document_id": 1, "category": "invoice", "source": "rule"},
    "tags": {"name": "new"},
    "document_tags": {"document_id": 1, "tag_id": 1},
    "audit_log": {
        "entity_type": "tags",
        "entity_id": 1,
        "action": "update",
        "old_row": "{}",
        "new_row": "{}",
    },
    "error_log": {"stage": "fetch", "error_class": "E", "message": ""},
    "audit_log_seals": {
        "seal_no": 1,
        "kind": "dropped",
        "month": "2026-01-01 00:00+00",
        "after_id": 1,
        "through_id": 1,
        "entry_count": 0,
        "entry_marks": b"",
        "entries_sha256": SHA,
        "sealed_at": "2026-01-01 00:00+00",
        "sealed_by": "a",
        "sha256": SHA,
    },
    "language_backfill": {"document_id": 1, "by_writer": False},
}
# A seal of one entry.
ONE_SEALED: Row = {"kind": "entries", "entry_count": 1, "entry_marks": b"\0" * 16}

NOW = "2026-01-02 00:00+00"
EARLIER = "2026-01-01 00:00+00"

# What another rule asks for beside a column, when the column is set.
BESIDE: dict[tuple[str, str], Row] = {
    ("documents", "source_system"): {"source_id": "1"},
    ("documents", "source_id"): {"source_system": "s"},
    ("documents", "deleted_by"): {"deleted_at": NOW},
    ("documents", "delete_reason"): {"deleted_at": NOW, "deleted_by": "a"},
    ("document_classifications", "model_name"): {"source": "model", "model_version": "1"},
    ("document_classifications", "model_version"): {"source": "model", "model_name": "m"},
    ("tags", "deleted_by"): {"deleted_at": NOW},
    ("tags", "delete_reason"): {"deleted_at": NOW, "deleted_by": "a"},
    ("error_log", "resolved_by"): {"resolved_at": NOW, "resolution": "r"},
    ("error_log", "resolution"): {"resolved_at": NOW, "resolved_by": "a"},
}

# The lists of known values, as schema.md of the design gives them, with what each asks for.
KNOWN: dict[str, dict[str, Row]] = {
    "import_batches_source_kind_known_check": dict.fromkeys(
        ["upload", "filesystem", "object_store", "email", "api", "crawler"], {}
    ),
    "import_batches_status_known_check": {
        "pending": {},
        "running": {"started_at": NOW},
        **dict.fromkeys(["succeeded", "partial", "failed", "cancelled"], {"finished_at": NOW}),
    },
    "hash_index_verify_status_known_check": {
        "unverified": {},
        **dict.fromkeys(["match", "mismatch", "missing"], {"last_verified_at": NOW}),
    },
    "documents_status_known_check": dict.fromkeys(
        ["received", "processing", "needs_review", "ready", "failed", "quarantined", "archived"], {}
    ),
    "duplicate_log_decision_known_check": {
        **dict.fromkeys(["rejected", "linked", "restored", "not_a_duplicate"], {}),
        "kept_both": {"new_document_id": 2},
    },
    "document_classifications_source_known_check": {
        "model": {"model_name": "m", "model_version": "1"},
        "rule": {},
        "user": {},
    },
    "document_tags_source_known_check": dict.fromkeys(["user", "rule", "model", "import"], {}),
    "audit_log_action_known_check": {
        "insert": {"old_row": None},
        **dict.fromkeys(["update", "soft_delete", "restore"], {}),
        **dict.fromkeys(["delete", "purge"], {"new_row": None}),
    },
    "error_log_stage_known_check": dict.fromkeys(
        ["fetch", "hash", "dedup", "extract", "classify", "tag", "store", "purge"], {}
    ),
    "audit_log_seals_kind_known_check": {"entries": ONE_SEALED, "dropped": {}},
    "error_log_severity_known_check": dict.fromkeys(["warning", "error", "critical"], {}),
}
# A value that is not known trips the rules for those that are; this says how not to.
UNKNOWN_BESIDE: dict[str, Row] = {
    "hash_index_verify_status_known_check": {"last_verified_at": NOW},
}

# Every other check: rows that meet it, rows that violate it and no other rule.
CASES: dict[str, tuple[list[Row], list[Row]]] = {
    "import_batches_running_has_started_check": (
        [{"status": "running", "started_at": NOW}],
        [{"status": "running"}],
    ),
    "import_batches_ended_exactly_when_finished_check": (
        [{"status": "failed", "finished_at": NOW}, {"status": "pending"}],
        [{"status": "failed"}, {"status": "pending", "finished_at": NOW}],
    ),
    "import_batches_finished_not_before_started_check": (
        [{"status": "failed", "started_at": NOW, "finished_at": NOW}],
        [{"status": "failed", "started_at": NOW, "finished_at": EARLIER}],
    ),
    "hash_index_dated_exactly_when_verified_check": (
        [{"verify_status": "match", "last_verified_at": NOW}, {}],
        [{"verify_status": "match"}, {"last_verified_at": NOW}],
    ),
    "documents_source_system_exactly_with_id_check": (
        [{"source_system": "s", "source_id": "1"}, {}],
        [{"source_system": "s"}, {"source_id": "1"}],
    ),
    **{
        f"{table}_deleted_exactly_by_someone_check": (
            [{"deleted_at": NOW, "deleted_by": "a"}, {}],
            [{"deleted_at": NOW}, {"deleted_by": "a"}],
        )
        for table in ("documents", "tags")
    },
    **{
        f"{table}_delete_reason_only_when_deleted_check": (
            [{"delete_reason": "r", "deleted_at": NOW, "deleted_by": "a"}],
            [{"delete_reason": "r"}],
        )
        for table in ("documents", "tags")
    },
    "documents_row_version_positive_check": ([{"row_version": 1}], [{"row_version": 0}]),
    "duplicate_log_supersedes_an_earlier_check": (
        [{"id": 9, "supersedes_id": 1}],
        [{"id": 1000, "supersedes_id": 1000}, {"id": 1000, "supersedes_id": 1001}],
    ),
    "duplicate_log_two_documents_differ_check": (
        [{"existing_document_id": 1, "new_document_id": 2}],
        [{"existing_document_id": 2, "new_document_id": 2}],
    ),
    "duplicate_log_kept_both_names_both_check": (
        [{"decision": "kept_both", "new_document_id": 2}],
        [{"decision": "kept_both"}],
    ),
    "document_classifications_confidence_0_to_1_check": (
        [{"confidence": 0}, {"confidence": 1}, {"confidence": None}],
        [{"confidence": "-0.0001"}, {"confidence": "1.0001"}],
    ),
    "document_classifications_model_exactly_named_check": (
        [{"source": "model", "model_name": "m", "model_version": "1"}, {"source": "user"}],
        [{"source": "model"}, {"source": "user", "model_name": "m", "model_version": "1"}],
    ),
    "document_classifications_model_exactly_versioned_check": (
        [{"source": "model", "model_name": "m", "model_version": "1"}],
        [{"source": "model", "model_name": "m"}, {"source": "rule", "model_version": "1"}],
    ),
    "document_classifications_superseded_not_before_made_check": (
        [{"classified_at": NOW, "superseded_at": NOW}],
        [{"classified_at": NOW, "superseded_at": EARLIER}],
    ),
    "tags_name_is_trimmed_check": (
        [{"name": "two words"}],
        [{"name": " a"}, {"name": "a "}, {"name": "a\n"}, {"name": "\ta"}],
    ),
    "tags_colour_is_hex_check": (
        [{"colour": "#00ff9a"}],
        [{"colour": "#00FF9A"}, {"colour": "red"}, {"colour": "#00ff9a0"}],
    ),
    "audit_log_old_row_except_on_insert_check": (
        [{"action": "insert", "old_row": None}, {"action": "delete", "new_row": None}],
        [{"action": "insert"}, {"action": "update", "old_row": None}],
    ),
    "audit_log_new_row_except_on_removal_check": (
        [{"action": "purge", "new_row": None}, {"action": "restore"}],
        [{"action": "purge"}, {"action": "delete"}, {"action": "update", "new_row": None}],
    ),
    "audit_log_occurred_at_finite_check": (
        [{"occurred_at": "0001-01-01"}, {"occurred_at": "9999-12-31"}],
        [{"occurred_at": "-infinity"}, {"occurred_at": "infinity"}],
    ),
    "audit_log_seals_seal_no_positive_check": ([{"seal_no": 1}], [{"seal_no": 0}]),
    "audit_log_seals_through_id_not_before_after_check": (
        [{"after_id": 1, "through_id": 1}],
        [{"after_id": 2, "through_id": 1}],
    ),
    "audit_log_seals_entries_exactly_where_sealed_check": (
        [ONE_SEALED, {}],
        [{"kind": "entries"}, {**ONE_SEALED, "kind": "dropped"}],
    ),
    "audit_log_seals_entry_marks_16_bytes_each_check": (
        [{**ONE_SEALED, "entry_count": 2, "entry_marks": b"\0" * 32}],
        [{**ONE_SEALED, "entry_marks": b"\0" * n} for n in (15, 17, 32)],
    ),
    "audit_log_seals_entry_marks_at_most_2_mb_check": (
        [{**ONE_SEALED, "entry_count": 125_000, "entry_marks": b"\0" * 2_000_000}],
        [{**ONE_SEALED, "entry_count": 125_001, "entry_marks": b"\0" * 2_000_016}],
    ),
    "error_log_message_at_most_8_kib_check": (
        [{"message": "x" * 8192}],
        [{"message": "x" * 8193}, {"message": "é" * 4097}],
    ),
    "error_log_detail_raw_at_most_64_kib_check": (
        [{"detail_raw": b"\0" * 65536}],
        [{"detail_raw": b"\0" * 65537}],
    ),
    "error_log_attempt_no_positive_check": ([{"attempt_no": 1}], [{"attempt_no": 0}]),
    "error_log_next_retry_only_when_retryable_check": (
        [{"retryable": True, "next_retry_at": NOW}, {"retryable": True}],
        [{"next_retry_at": NOW}],
    ),
    "error_log_resolved_wholly_or_not_check": (
        [{"resolved_at": NOW, "resolved_by": "a", "resolution": "r"}],
        [{"resolved_at": NOW}, {"resolved_by": "a", "resolution": "r"}, {"resolution": "r"}],
    ),
    "import_batches_idempotency_key_key": (
        [{"idempotency_key": "other"}, {"idempotency_key": "k", "tenant_id": 2}, {}],
        [{"idempotency_key": "k"}],
    ),
    "documents_public_id_key": (
        [{"public_id": "00000000-0000-4000-8000-000000000002"}],
        [{"public_id": "00000000-0000-4000-8000-000000000001"}],
    ),
    "duplicate_log_supersedes_key": (
        [{"supersedes_id": 1}],
        [{"supersedes_id": 2, "id": 9}],
    ),
}

# What says the same as NOT NULL, which strikes first.
NOT_NULL = {"documents_language_not_null_check"}

# The foreign keys: a row that points nowhere, and another tenant's row, which is nowhere too.
FOREIGN_KEYS: dict[str, tuple[Row, Row]] = {
    "documents_batch_fkey": ({"batch_id": 1}, {"batch_id": 999}),
    "documents_content_fkey": ({}, {"content_sha256": OTHER_SHA}),
    "duplicate_log_supersedes_fkey": ({"id": 1001, "supersedes_id": 1},
                                      {"id": 1001, "supersedes_id": 999}),
    "document_classifications_document_fkey": ({}, {"document_id": 999}),
    "document_tags_document_fkey": ({}, {"document_id": 999}),
    "document_tags_tag_fkey": ({}, {"tag_id": 999}),
    "error_log_batch_fkey": ({"batch_id": 1}, {"batch_id": 999}),
}  # fmt: skip

# One row of each table, to point to and to collide with.
SETUP = """
    INSERT INTO docmeta.import_batches (id, source_kind, idempotency_key)
        OVERRIDING SYSTEM VALUE VALUES (1, 'upload', 'k');
    INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (decode(repeat('01', 32), 'hex'), 1);
    INSERT INTO docmeta.documents (id, public_id, content_sha256, filename)
        OVERRIDING SYSTEM VALUE
        VALUES (1, '00000000-0000-4000-8000-000000000001', decode(repeat('01', 32), 'hex'), 'a');
    INSERT INTO docmeta.duplicate_log
        (id, supersedes_id, existing_document_id, sha256, size_bytes, filename, decision)
        OVERRIDING SYSTEM VALUE VALUES
        (1, NULL, 1, decode(repeat('01', 32), 'hex'), 1, 'a', 'linked'),
        (2, NULL, 1, decode(repeat('01', 32), 'hex'), 1, 'a', 'linked'),
        (3, 2, 1, decode(repeat('01', 32), 'hex'), 1, 'a', 'rejected');
    INSERT INTO docmeta.tags (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'one');
    SELECT setval(pg_get_serial_sequence('docmeta.' || name, 'id'), 100)
        FROM unnest(ARRAY['import_batches', 'documents', 'duplicate_log', 'tags']) name;
"""


@pytest.fixture
def session(docs: Database) -> connection:
    """A connection to a database with one row to point to; each insert is undone."""
    docs.query(SETUP)
    return docs.connect()


def insertion(table: str, row: Row) -> Composed:
    return SQL("INSERT INTO docmeta.{} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        Identifier(table),
        SQL(", ").join(map(Identifier, row)),
        SQL(", ").join(map(Placeholder, row)),
    )


def insert(session: connection, table: str, *rows: Row) -> psycopg2.Error | None:
    """Insert rows, each made whole, undo them, and return the server's error, if any."""
    with session.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            for row in rows:
                whole = {**LEAST[table], **row}
                cursor.execute(insertion(table, whole), whole)
        except psycopg2.Error as error:
            return error
        finally:
            cursor.execute("ROLLBACK")
    return None


def assert_met(session: connection, table: str, row: Row) -> None:
    error = insert(session, table, row)
    assert error is None, f"{row} is refused: {error}"


def assert_violates(session: connection, table: str, name: str, *rows: Row) -> None:
    error = insert(session, table, *rows)
    assert error is not None, f"{name} lets in {rows}"
    # The index of a partition is named after the partition.
    part = str(error.diag.table_name)
    reported = str(error.diag.constraint_name).replace(part, table if part > table else part, 1)
    assert reported == name, f"{rows}: {error}"


def bounds(table: str, column: str, kind: str, low: int, high: int) -> tuple[list[Row], list[Row]]:
    """Return the rows at and beyond the bounds of a length check."""
    raw = f"column docmeta.{table}.{column}: bytea" in CATALOG
    # A letter of two bytes tells characters from bytes.
    letter: Any = b"x" if raw else "x" if kind == "_bytes" else "é"
    beyond = [letter * (low - 1), letter * (high + 1)]
    if kind == "_bytes":
        beyond.append("é" * (high // 2) + "x")
    beside = BESIDE.get((table, column), {})
    return (
        [{**beside, column: letter * low}, {**beside, column: letter * high}],
        [{**beside, column: value} for value in beyond],
    )


def cases(name: str) -> tuple[list[Row], list[Row]]:
    """Return the rows that meet a check or unique constraint, and those that violate it."""
    table = CONSTRAINTS[name][0]
    rule = name.removeprefix(f"{table}_").removesuffix("_check")
    if name in CASES:
        return CASES[name]
    if name in KNOWN:
        column = rule.removesuffix("_known")
        met: list[Row] = [{column: value, **beside} for value, beside in KNOWN[name].items()]
        return met, [{column: "other", **UNKNOWN_BESIDE.get(name, {})}]
    if match := re.fullmatch(r"(\w+?)_(\d+)_to_(\d+)(_bytes)?", rule):
        return bounds(table, match[1], match[4] or "", int(match[2]), int(match[3]))
    if column := _column(rule, "_not_negative"):
        return [{column: 0}], [{column: -1}]
    if column := _column(rule, "_is_object"):
        return [{column: "{}"}, {column: '{"a": []}'}], [{column: "[]"}, {column: "1"}]
    if column := _column(rule, "_at_most_64_kib"):
        # '{"a": "…"}' is ten bytes beside its content.
        return [{column: f'{{"a": "{"x" * 65527}"}}'}], [{column: f'{{"a": "{"x" * 65528}"}}'}]
    if column := _column(rule, "_is_32_bytes"):
        return [{column: b"\3" * 32}], [{column: b"\3" * 31}, {column: b"\3" * 33}]
    raise AssertionError(f"{name} has no case in tests/test_constraints.py")


def _column(rule: str, ending: str) -> str:
    return rule.removesuffix(ending) if rule.endswith(ending) else ""


def named(*kinds: str) -> list[str]:
    return [name for name, (_, text) in CONSTRAINTS.items() if text.startswith(kinds)]


@pytest.mark.parametrize("name", sorted({*named("CHECK", "UNIQUE")} - NOT_NULL))
def test_check_and_unique_hold(name: str, session: connection) -> None:
    table = CONSTRAINTS[name][0]
    met, violating = cases(name)
    for row in met:
        assert_met(session, table, row)
    for row in violating:
        assert_violates(session, table, name, row)


@pytest.mark.parametrize("name", named("PRIMARY KEY"))
def test_primary_key_holds(name: str, session: connection) -> None:
    table, text = CONSTRAINTS[name]
    columns = re.findall(r"\w+", text.removeprefix("PRIMARY KEY"))
    key: dict[str, Any] = {c: 77 for c in columns if c not in LEAST[table] and c != "tenant_id"}
    if "occurred_at" in key:
        key["occurred_at"] = NOW
    assert_met(session, table, key)
    assert_violates(session, table, name, key, key)
    # Alike but for the tenant: the key begins with it.
    if table in ("import_batches", "hash_index", "tags", "audit_log", "error_log"):
        assert insert(session, table, key, {**key, "tenant_id": 2}) is None


@pytest.mark.parametrize("name", named("FOREIGN KEY"))
def test_foreign_key_holds(name: str, session: connection) -> None:
    table = CONSTRAINTS[name][0]
    good, bad = FOREIGN_KEYS[name]
    assert_met(session, table, good)
    assert_violates(session, table, name, bad)
    # No foreign key reaches into another tenant. Of several that fail, one is named.
    error = insert(session, table, {**good, "tenant_id": 2})
    assert error is not None
    assert str(error.diag.constraint_name).startswith(table)
    assert error.pgcode == "23503"


def required_columns() -> Iterator[tuple[str, str]]:
    for table, column, text in re.findall(r"column docmeta\.(\w+)\.(\w+): (.*)", CATALOG):
        if " not null" in text:
            yield table, column


@pytest.mark.parametrize(
    ("table", "column"), list(required_columns()), ids=lambda value: str(value)
)
def test_not_null_holds(table: str, column: str, session: connection) -> None:
    error = insert(session, table, {column: None})
    assert error is not None
    assert error.pgcode == "23502"
    assert error.diag.column_name == column
    assert re.fullmatch(rf"{table}(_first|_default)?", str(error.diag.table_name))


def test_no_case_is_left_over() -> None:
    """A constraint that is gone takes its case with it."""
    listed = {*CASES, *KNOWN, *UNKNOWN_BESIDE, *NOT_NULL, *FOREIGN_KEYS}
    assert sorted(listed - set(CONSTRAINTS)) == []
    assert sorted(set(named("FOREIGN KEY")) - set(FOREIGN_KEYS)) == []


# What a row gets that says no more than it must.
DEFAULTS: dict[str, Any] = {
    "tenant_id": 1,
    "imported_count": 0,
    "duplicate_count": 0,
    "failed_count": 0,
    "options": {},
    "verify_status": "unverified",
    "language": "und",
    "legal_hold": False,
    "attributes": {},
    "row_version": 1,
    "is_primary": False,
    "severity": "error",
    "context": {},
    "attempt_no": 1,
    "retryable": False,
    "transaction_id": "its transaction",
    **dict.fromkeys(
        ["created_at", "updated_at", "first_seen_at", "classified_at", "tagged_at"],
        "start of its transaction",
    ),
    **dict.fromkeys(
        ["initiated_by", "created_by", "updated_by", "decided_by", "classified_by", "tagged_by"],
        "session user",
    ),
    **dict.fromkeys(["actor", "db_user"], "session user"),
    **dict.fromkeys(["occurred_at", "decided_at"], "the moment"),
    "public_id": "random",
    "id": "next",
}
DEFAULTS_OF_TABLE: dict[str, Row] = {
    "import_batches": {"status": "pending"},
    "documents": {"status": "received"},
    "document_tags": {"source": "user"},
}


@pytest.mark.parametrize("table", TABLES)
def test_defaults_are_seen(table: str, session: connection) -> None:
    """The least row shows every default, and null in every column without one."""
    row = LEAST[table]
    with session.cursor() as cursor:
        cursor.execute("BEGIN; SELECT pg_sleep(0.002)")
        whole_row = SQL(" RETURNING to_jsonb({}.*)").format(Identifier(table))
        cursor.execute(insertion(table, row) + whole_row, row)
        (stored,) = cursor.fetchone() or ({},)
        cursor.execute("SELECT to_jsonb(now()), pg_current_xact_id()::text, session_user")
        start, transaction, user = cursor.fetchone() or ("", "", "")
        cursor.execute("ROLLBACK")
    meaning: dict[str, Callable[[Any], bool]] = {
        "its transaction": lambda value: value == transaction,
        "start of its transaction": lambda value: value == start,
        "the moment": lambda value: value > start,
        "session user": lambda value: value == user,
        "random": lambda value: uuid.UUID(value).version == 4,
        "next": lambda value: value > 0,
    }
    for column in set(stored) - set(row):
        default = {**DEFAULTS, **DEFAULTS_OF_TABLE.get(table, {})}.get(column)
        value = stored[column]
        if isinstance(default, str) and default in meaning:
            assert meaning[default](value), f"{column} is {value}, not {default}"
        else:
            assert value == default, column


# What ON DELETE does: the row that is to go, and a row that points to it where SETUP has none.
DELETIONS: dict[str, tuple[str, Row | None]] = {
    "documents_batch_fkey": ("import_batches WHERE id = 1", {"batch_id": 1}),
    "documents_content_fkey": ("hash_index", None),
    "duplicate_log_supersedes_fkey": ("duplicate_log WHERE id = 2", None),
    "document_classifications_document_fkey": (
        "documents WHERE id = 1",
        {},
    ),
    "document_tags_document_fkey": ("documents WHERE id = 1", {}),
    "document_tags_tag_fkey": ("tags WHERE id = 1", {}),
    "error_log_batch_fkey": ("import_batches WHERE id = 1", {"batch_id": 1}),
}


@pytest.mark.parametrize("name", named("FOREIGN KEY"))
def test_on_delete_does_what_it_says(name: str, docs: Database) -> None:
    docs.query(SETUP)
    goes, pointing = DELETIONS[name]
    table, text = CONSTRAINTS[name]
    if pointing is not None:
        row = {**LEAST[table], **pointing}
        with docs.connect().cursor() as cursor:
            cursor.execute(insertion(table, row), row)
    before = docs.value(f"SELECT count(*) FROM docmeta.{table}")
    if "ON DELETE CASCADE" in text:
        docs.query(f"DELETE FROM docmeta.{goes}")
        assert docs.value(f"SELECT count(*) FROM docmeta.{table}") == before - 1
    else:
        assert "ON DELETE RESTRICT" in text
        # A log refuses any DELETE by trigger; its key guards it where that is switched off.
        docs.query(f"ALTER TABLE docmeta.{goes.split()[0]} DISABLE TRIGGER USER")
        with pytest.raises(psycopg2.IntegrityError) as caught:
            docs.query(f"DELETE FROM docmeta.{goes}")
        assert caught.value.diag.constraint_name == name
