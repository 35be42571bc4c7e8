"""The conventions of CONTRIBUTING.md, as laws over the files of sql/ and the catalog they make.

An exemption is an entry in EXEMPT with its reason; one that no longer applies fails.
"""

import re
from pathlib import Path

import pytest
import sqlparse

from database import IDS, MIGRATIONS, SQL, TABLES, Database

# Those of sql/citus/ are held to the same: yoyo reads no folder below the one it is told.
CITUS = [path for path in sorted(SQL.glob("citus/*.sql")) if not path.stem.endswith(".rollback")]
FORWARD = [*MIGRATIONS, *CITUS]
FILES = sorted(SQL.glob("*.sql")) + sorted(SQL.glob("citus/*.sql"))
HALVES = (".sql", ".rollback.sql")
KEYWORDS = """
    add all alter and array as begin between by cascade check coalesce column comment commit
    constraint continue create declare default delete distinct do drop each else elsif end
    exception execute exists extension for foreach foreign from function generated grant group
    identity if in index insert into is join key limit lock loop materialized mode not nulls on
    or order overriding partition perform policy primary raise references rename restrict return
    returning returns revoke row schema select set system table then to trigger type union
    unique update using value values view when where with
"""

# (law, what it is about): the reason.
EXEMPT: dict[tuple[str, str], str] = {
    ("bound", "docmeta.tags.colour"): "its pattern is of one length",
}


def exempt(law: str, found: set[str]) -> set[str]:
    """Return what breaks a law and is not exempt; an exemption that nothing needs fails."""
    listed = {what for name, what in EXEMPT if name == law}
    assert listed <= found, f"{law}: these exemptions are not needed: {listed - found}"
    return found - listed


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def bare(sql: str) -> str:
    """Return the SQL without comments and without what stands in single quotes."""
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", sql))


def header(path: Path) -> str:
    return re.split(r"^(?!--)", text_of(path), maxsplit=1, flags=re.M)[0]


def statements(path: Path) -> list[str]:
    """Return the statements as yoyo splits them, without comments."""
    pieces = sqlparse.split(text_of(path))
    return [words for piece in pieces if (words := sqlparse.format(piece, strip_comments=True))]


def is_transactional(path: Path) -> bool:
    """Yoyo takes the mode of both halves from the forward file."""
    forward = path.with_name(path.name.replace(".rollback.sql", ".sql"))
    return not re.search(r"^-- transactional:\s*false", text_of(forward), re.M)


files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
forward_files = pytest.mark.parametrize("path", FORWARD, ids=lambda path: path.stem)


def test_only_pairs_of_migrations_are_in_sql() -> None:
    pairs = {name for id_ in IDS for name in (f"{id_}.sql", f"{id_}.rollback.sql")}
    assert {path.name for path in SQL.iterdir()} == {*pairs, "citus"}
    distributing = {path.name for path in (SQL / "citus").iterdir()}
    assert distributing == {path.stem + end for path in CITUS for end in HALVES}
    assert all(re.fullmatch(r"\d{4}_[a-z]+(_[a-z0-9]+)+", id_) for id_ in IDS)


@files
def test_the_text_is_plain(path: Path) -> None:
    """ASCII, because yoyo opens a file once in the locale's encoding."""
    raw = path.read_bytes()
    assert raw.isascii()
    assert b"\r" not in raw
    assert b"\t" not in raw
    lines = raw.decode().split("\n")
    assert lines[-1] == ""
    assert lines[-2] != ""
    assert [line for line in lines if len(line) > 88 or line != line.rstrip()] == []


@forward_files
def test_the_header_says_what_why_locks_and_rollback(path: Path) -> None:
    head = header(path)
    parts = re.findall(r"^-- (Why|Locks|Rollback): \S", head, re.M)
    assert parts == ["Why", "Locks", "Rollback"]
    sentence = " ".join(line.removeprefix("-- ") for line in head.split("\n--\n")[0].split("\n"))
    assert re.fullmatch(r"[a-zA-Z].*\.", sentence)
    assert re.search(r"^-- Rollback: (lossless|lossy: \S+|irreversible)\b", head, re.M)
    assert not re.search(
        r"^-- (depends|transactional):.*\n-- (?!depends|transactional)", head, re.M
    )


@pytest.mark.parametrize(("before", "path"), list(zip(IDS, MIGRATIONS[1:], strict=False)))
def test_each_depends_on_the_one_before(before: str, path: Path) -> None:
    assert re.findall(r"^-- depends: (.*)$", header(path), re.M) == [before]


@files
def test_a_transactional_file_bounds_its_locks_first(path: Path) -> None:
    if is_transactional(path):
        assert re.match(r"SET LOCAL lock_timeout = '\d+m?s';$", statements(path)[0])


@files
def test_every_rollback_and_every_file_does_something(path: Path) -> None:
    assert [s for s in statements(path) if not s.startswith("SET LOCAL")]


@files
def test_no_statement_outlives_or_ends_the_transaction(path: Path) -> None:
    forbidden = re.compile(r"(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|SET(?! LOCAL))\b")
    assert [s for s in statements(path) if forbidden.match(s.upper())] == []


@files
def test_surprises_fail(path: Path) -> None:
    """No IF [NOT] EXISTS without CONCURRENTLY, no DROP CASCADE, no OR REPLACE of a new object."""
    sql = bare(text_of(path))
    lenient = re.compile(
        r"\b(CREATE|DROP|ADD|ALTER)\b(?![^;(]*CONCURRENTLY)[^;(]*\bIF\s+(NOT\s+)?EXISTS"
    )
    assert not lenient.search(sql)
    assert not re.search(r"\bDROP\b[^;]*\bCASCADE\b", sql)
    earlier = "".join(bare(text_of(other)) for other in MIGRATIONS if other.stem < path.stem[:4])
    for _, kind, name in re.findall(r"\bOR REPLACE( (\w+) ([\w.]+\())?", sql):
        assert kind == "FUNCTION"
        assert f"CREATE FUNCTION {name}" in earlier, f"{name} is new, or was never made"


@files
def test_keywords_are_upper_case(path: Path) -> None:
    found = set(
        re.findall(rf"(?<![\w.])(?:{'|'.join(KEYWORDS.split())})(?![\w.(])", bare(text_of(path)))
    )
    # Names of columns and of a type that are words of SQL as well.
    assert found - {"source", "language", "name", "action", "sequence", "trigger"} == set()


@files
def test_nothing_is_commented_out_or_left_for_later(path: Path) -> None:
    comments = re.findall(r"--(.*)", text_of(path))
    suspect = re.compile(r"\b(TODO|FIXME|XXX)\b|^\s*(CREATE|ALTER|DROP|INSERT|UPDATE|SET) .*;\s*$")
    assert [comment for comment in comments if suspect.search(comment)] == []


@files
def test_the_file_ends_with_its_last_statement(path: Path) -> None:
    """Yoyo takes a comment after it for one more, empty statement, and fails."""
    assert text_of(path).rstrip("\n").endswith(";")


# The catalog ------------------------------------------------------------------------------


def breaking(docs: Database, law: str, query: str) -> set[str]:
    """Return what a query finds against a law, but for the exemptions."""
    return exempt(law, {name for (name,) in docs.query(query)})


def test_there_are_nine_tables_with_their_keys(docs: Database) -> None:
    tables = docs.query("""
        SELECT relname FROM pg_class WHERE relnamespace = 'docmeta'::regnamespace
            AND relkind IN ('r', 'p') AND NOT relispartition
    """)
    assert {name for (name,) in tables} >= set(TABLES)
    keyless = """
        SELECT relname FROM pg_class t WHERE relnamespace = 'docmeta'::regnamespace
            AND relkind IN ('r', 'p')
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND contype = 'p')
    """
    assert breaking(docs, "primary key", keyless) == set()


def test_names_say_the_kind(docs: Database) -> None:
    """_pkey _key _fkey _check _excl for constraints, _key or _idx for other indexes."""
    constraints = """
        SELECT conname FROM pg_constraint WHERE connamespace = 'docmeta'::regnamespace
            AND contype <> 'n' AND conname !~
                CASE contype WHEN 'p' THEN '_pkey$' WHEN 'u' THEN '_key$' WHEN 'f' THEN '_fkey$'
                    WHEN 'c' THEN '_check$' WHEN 'x' THEN '_excl$' ELSE '$' END
    """
    assert breaking(docs, "constraint name", constraints) == set()
    indexes = """
        SELECT c.relname FROM pg_index i
        JOIN pg_class c ON c.oid = indexrelid JOIN pg_class t ON t.oid = indrelid
        WHERE c.relnamespace = 'docmeta'::regnamespace AND (
            c.relname !~ ('^' || t.relname || '_') OR c.relname !~
                CASE WHEN indisprimary THEN '_pkey$' WHEN indisunique THEN '_key$' ELSE '_idx$' END)
    """
    assert breaking(docs, "index name", indexes) == set()


def test_the_tenant_leads_every_key(docs: Database) -> None:
    query = """
        SELECT c.relname FROM pg_index i
        JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = indkey[0]
        WHERE c.relnamespace = 'docmeta'::regnamespace AND indisunique AND attname <> 'tenant_id'
        UNION
        SELECT conname FROM pg_constraint
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
        WHERE connamespace = 'docmeta'::regnamespace AND contype = 'f' AND attname <> 'tenant_id'
    """
    assert breaking(docs, "tenant", query) == set()


def test_types_are_the_few_that_are_allowed(docs: Database) -> None:
    query = """
        SELECT attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT attisdropped AND atttypid NOT IN ('bigint'::regtype, 'integer'::regtype,
                'text'::regtype, 'timestamptz'::regtype, 'date'::regtype, 'numeric'::regtype,
                'bytea'::regtype, 'uuid'::regtype, 'boolean'::regtype, 'jsonb'::regtype,
                'xid8'::regtype)
    """
    assert breaking(docs, "type", query) == set()


def test_ids_are_bigint_and_generated_always(docs: Database) -> None:
    query = """
        SELECT attrelid::regclass || '.' || attname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND (
            attname = 'id' AND attidentity <> 'a'
            OR attname ~ '(^|_)id$' AND attname NOT IN ('public_id', 'source_id', 'request_id',
                'transaction_id') AND atttypid <> 'bigint'::regtype)
    """
    assert breaking(docs, "id", query) == set()


def test_every_text_and_raw_column_is_bounded(docs: Database) -> None:
    """By a check of its length, or of its values."""
    query = """
        SELECT attrelid::regclass || '.' || attname FROM pg_attribute a
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT attisdropped AND atttypid IN ('text'::regtype, 'bytea'::regtype)
            AND NOT EXISTS (
                SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'c'
                    AND conkey = ARRAY[attnum]
                    AND pg_get_constraintdef(oid) ~ '_length\\(|ARRAY\\['
            ) AND NOT EXISTS (
                SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'f'
                    AND attnum = ANY (conkey)
            )
    """
    assert breaking(docs, "bound", query) == set()


def test_foreign_keys_restrict_or_cascade(docs: Database) -> None:
    query = """
        SELECT conname FROM pg_constraint WHERE connamespace = 'docmeta'::regnamespace
            AND contype = 'f' AND confdeltype NOT IN ('r', 'c')
    """
    assert breaking(docs, "on delete", query) == set()


def test_times_default_to_the_transaction_and_log_times_to_the_clock(docs: Database) -> None:
    defaults = dict(
        docs.query("""
        SELECT attrelid::regclass || '.' || attname, pg_get_expr(adbin, adrelid)
        FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        JOIN pg_class ON pg_class.oid = adrelid
        WHERE atttypid = 'timestamptz'::regtype AND NOT relispartition
            AND adrelid::regclass::text LIKE 'docmeta.%'
    """)
    )
    logs = {name for name, default in defaults.items() if default == "clock_timestamp()"}
    assert logs == {
        "docmeta.audit_log.occurred_at",
        "docmeta.error_log.occurred_at",
        "docmeta.duplicate_log.decided_at",
    }
    assert {d for name, d in defaults.items() if name not in logs} == {"now()"}


def test_soft_delete_is_on_documents_and_tags_alone(docs: Database) -> None:
    query = """
        SELECT relname, array_agg(attname::text ORDER BY attname) FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p')
            AND attname IN ('deleted_at', 'deleted_by', 'delete_reason')
        GROUP BY relname ORDER BY relname
    """
    fields = ["delete_reason", "deleted_at", "deleted_by"]
    assert docs.query(query) == [("documents", fields), ("tags", fields)]


def test_every_table_and_index_has_a_comment(docs: Database) -> None:
    query = """
        SELECT relname FROM pg_class WHERE relnamespace = 'docmeta'::regnamespace
            AND relkind IN ('r', 'p', 'v', 'm', 'i', 'I')
            AND oid NOT IN (SELECT conindid FROM pg_constraint)
            AND NOT (relispartition AND relkind = 'i')
            AND obj_description(oid, 'pg_class') IS NULL
    """
    assert breaking(docs, "comment", query) == set()


def test_a_nullable_column_says_what_null_means(docs: Database) -> None:
    """By its comment, unless its name says it: a fact that is simply not known."""
    query = """
        SELECT relname || '.' || attname FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT relispartition AND NOT attisdropped AND NOT attnotnull
            AND col_description(attrelid, attnum) IS NULL
            AND attname NOT IN ('title', 'author', 'mime_type', 'description', 'reason',
                'source_uri', 'deleted_by', 'delete_reason', 'resolved_by', 'resolution',
                'model_version')
    """
    assert breaking(docs, "null", query) == set()


def test_the_first_migration_makes_nothing_that_acts(db: Database, tmp_path: Path) -> None:
    sql = bare(text_of(MIGRATIONS[0]))
    assert not re.search(r"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE|TRIGGER|ROLE|EXTENSION)", sql)
