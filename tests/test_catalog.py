"""Laws of the catalog's text: reads alike on 15 to 18, changes nothing, leaves out the rest.

That it sees every change is the law of test_catalog_judge.py.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection

from catalog_changes import BASE, ROLE
from database import Database
from pgproof import catalog

EXPECTED = Path(__file__).parent / "expected"
SAMPLE = EXPECTED / "catalog_sample.sql"
SAMPLE_TEXT = EXPECTED / "catalog_sample.txt"


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
