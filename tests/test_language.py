"""Laws of 0005 to 0008: language becomes NOT NULL under writers, and back, and no null is lost."""

import random
import threading
import time

import psycopg2
import pytest
from psycopg2 import errors

from database import IDS, SQL, Database
from running import at, cut_off, migrating, wait_until

BEFORE, DEFAULT, BACKFILL, VALIDATE, REQUIRE = IDS[3:8]
NULLS = "SELECT tenant_id, id FROM docmeta.documents WHERE language IS NULL ORDER BY 1, 2"
REMEMBERED = "SELECT tenant_id, document_id FROM docmeta.language_backfill"
ALL_BUT_LANGUAGE = "SELECT (to_jsonb(d) - 'language')::text FROM docmeta.documents d ORDER BY 1"
BATCHES = """
    SELECT count(*) FROM docmeta.audit_log WHERE actor = '0006_backfill_document_language'
    GROUP BY transaction_id
"""


def put_documents(
    db: Database, number: int, language: str = "CASE WHEN n % 5 = 0 THEN 'de' END"
) -> None:
    """Put in documents of two tenants, written long ago; without a language, but for some."""
    db.query(f"""
        INSERT INTO docmeta.hash_index (tenant_id, sha256, size_bytes)
            VALUES (1, sha256('a'), 1), (2, sha256('a'), 1);
        INSERT INTO docmeta.documents
            (tenant_id, content_sha256, filename, language, updated_at, updated_by, row_version)
            SELECT 1 + n % 2, sha256('a'), n, {language}, '2020-01-01', 'ada', 3
            FROM generate_series(1, {number}) n;
    """)


@pytest.fixture
def old(db: Database) -> Database:
    """A database as it was before 0005, with 3,000 documents."""
    at(db, BEFORE)
    put_documents(db, 3000)
    return db


# The steps --------------------------------------------------------------------------------


def test_no_writer_meets_an_error_before_0008(old: Database) -> None:
    """He may name the column or not, send NULL, or change a document that is null still."""
    null = iter(old.query(NULLS))
    made = "INSERT INTO docmeta.documents (content_sha256, filename{}) VALUES (sha256('a'), 'x'{})"
    for migration in (DEFAULT, BACKFILL, VALIDATE):
        at(old, migration)
        old.query(
            "UPDATE docmeta.documents SET title = 't' WHERE (tenant_id, id) = %s", [next(null)]
        )
        for names, values in (("", ""), (", language", ", NULL"), (", language", ", DEFAULT")):
            written = old.value(f"{made.format(names, values)} RETURNING language")
            assert written == "und"
        old.query("UPDATE docmeta.documents SET language = NULL WHERE filename = 'x'")
    assert old.query(NULLS) == []
    at(old, REQUIRE)
    assert old.value(f"{made.format('', '')} RETURNING language") == "und"
    for statement in (
        made.format(", language", ", NULL"),
        "UPDATE docmeta.documents SET language = NULL",
    ):
        with pytest.raises(errors.NotNullViolation):
            old.query(statement)


def test_a_client_has_no_way_around(old: Database) -> None:
    """The setting of the backfill meets the check; language_backfill is its owner's alone."""
    at(old, VALIDATE)
    old.query("SET docmeta.backfill = 'on'")
    with pytest.raises(errors.CheckViolation) as caught:
        old.query("UPDATE docmeta.documents SET language = NULL")
    assert caught.value.diag.constraint_name == "documents_language_not_null_check"
    for role in ("ingest", "app", "reader", "auditor", "retention"):
        with pytest.raises(errors.InsufficientPrivilege):
            old.query(f"SET ROLE docmeta_{role}; SELECT 1 FROM docmeta.language_backfill")
        old.query("RESET ROLE")


def test_the_trigger_remembers_for_who_may_not(old: Database) -> None:
    """Whatever stands before its own names in the search_path, and in the temporary schema."""
    at(old, DEFAULT)
    key = old.query(NULLS)[0]
    old.query("""
        CREATE SCHEMA hostile;
        GRANT USAGE ON SCHEMA hostile TO docmeta_app;
        CREATE FUNCTION hostile.steal(text) RETURNS text LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''stolen by %'', current_user; END';
        CREATE DOMAIN hostile.text AS pg_catalog.text CHECK (hostile.steal(VALUE) = VALUE);
        CREATE TABLE hostile.language_backfill (tenant_id bigint, document_id bigint);
        SET ROLE docmeta_app;
        SET search_path = hostile, pg_catalog;
    """)
    old.query("UPDATE docmeta.documents SET title = 't' WHERE (tenant_id, id) = %s", [key])
    old.query("RESET ROLE; RESET search_path")
    assert old.query(f"{REMEMBERED} WHERE by_writer") == [key]
    assert old.query("SELECT 1 FROM hostile.language_backfill") == []


def test_not_null_is_set_without_a_scan(old: Database) -> None:
    """The server says so, and does not say it of a check that is not valid."""
    at(old, VALIDATE)
    session = old.connect(options="-c client_min_messages=debug1")
    text = (SQL / f"{REQUIRE}.sql").read_text(encoding="utf-8")
    for undone, proved in (
        ("", True),
        ((SQL / f"{VALIDATE}.rollback.sql").read_text(encoding="utf-8"), False),
    ):
        session.notices.clear()
        session.cursor().execute(f"BEGIN; {undone} {text} ROLLBACK")
        told = "".join(session.notices)
        assert ("sufficient to prove that it does not contain nulls" in told) == proved


# The backfill -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_killed_anywhere_and_run_again_it_ends_right(seed: int, old: Database) -> None:
    """Up and down: each null is filled once, in batches, and is null again."""
    chance = random.Random(seed)
    nulls, rest = old.query(NULLS), old.query(ALL_BUT_LANGUAGE)
    at(old, DEFAULT)
    cuts = 0

    def run_with_cuts(*words: str) -> None:
        nonlocal cuts
        began = len(old.query(REMEMBERED))
        for share in sorted(chance.sample(range(1, 2000), 3)):

            def is_far_enough(share: int = share) -> bool:
                return abs(len(old.query(REMEMBERED)) - began) >= share

            cuts += cut_off(old, *words, when=is_far_enough)
        with migrating(old, *words) as process:
            told, _ = process.communicate(timeout=60)
            assert process.returncode == 0, told

    run_with_cuts("up", "--to", BACKFILL)
    assert old.query(NULLS) == []
    assert sorted(old.query(REMEMBERED)) == nulls
    assert old.query(ALL_BUT_LANGUAGE) == rest
    batches = [count for (count,) in old.query(BATCHES)]
    assert sum(batches) == len(nulls), "a document was filled twice, or not logged"
    assert max(batches) <= 100
    run_with_cuts("down", "--to", DEFAULT, "--yes")
    assert cuts >= 3, "the kills came too late: this run shows nothing"
    assert old.query(NULLS) == nulls
    assert old.query(REMEMBERED) == []
    assert old.query(ALL_BUT_LANGUAGE) == rest


def test_a_locked_document_is_passed_over_and_met_again(old: Database) -> None:
    """The others are filled meanwhile; a row that is only pointed to is no hindrance."""
    at(old, DEFAULT)
    locked, pointed, *_ = old.query(NULLS)
    holder, pointer = old.connect(), old.connect()
    for session in (holder, pointer):
        session.autocommit = False
    holder.cursor().execute(
        "SELECT 1 FROM docmeta.documents WHERE (tenant_id, id) = %s FOR UPDATE", [locked]
    )
    pointer.cursor().execute(
        "INSERT INTO docmeta.document_classifications (tenant_id, document_id, category, source) "
        "VALUES (%s, %s, 'c', 'user')",
        pointed,
    )
    with migrating(old, "up", "--to", BACKFILL) as process:
        assert wait_until(lambda: old.query(NULLS) == [locked], process)
        waiting = old.query("""
            SELECT 1 FROM pg_stat_activity WHERE application_name = 'migrate'
            AND datname = current_database() AND wait_event_type = 'Lock'
        """)
        assert waiting == []
        time.sleep(0.5)
        assert process.poll() is None
        holder.rollback()
        assert process.wait(60) == 0
        assert process.stdout is not None
        assert "2400 documents filled" in process.stdout.read()
    pointer.rollback()
    assert old.query(NULLS) == []


def test_writers_beside_it_meet_no_error_and_lose_nothing(old: Database) -> None:
    """Each update that was acknowledged is there, language and all."""
    at(old, DEFAULT)
    keys = [key for (key,) in old.query("SELECT id FROM docmeta.documents")]
    ended = threading.Event()
    failed: list[psycopg2.Error] = []
    told: dict[int, str] = {}

    def write(seed: int) -> None:
        chance, session = random.Random(seed), old.connect()
        cursor = session.cursor()
        try:
            while not ended.is_set():
                key, title = chance.choice(keys[seed::2]), str(chance.random())
                language = chance.choice(["language", "NULL", "'fr'"])
                cursor.execute(
                    f"UPDATE docmeta.documents SET title = %s, language = {language} "
                    "WHERE id = %s RETURNING language",
                    [title, key],
                )
                told[key] = f"{title} {(cursor.fetchone() or [None])[0]}"
        except psycopg2.Error as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=[seed]) for seed in range(2)]
    for writer in writers:
        writer.start()
    for words in (("up", "--to", VALIDATE), ("down", "--to", DEFAULT, "--yes")):
        with migrating(old, *words) as process:
            out, _ = process.communicate(timeout=120)
            assert process.returncode == 0, out
    ended.set()
    for writer in writers:
        writer.join()
    assert failed == []
    # What was und, of whomever, is null again.
    language = "coalesce(language, 'und')"
    found = dict(old.query(f"SELECT id, title || ' ' || {language} FROM docmeta.documents"))
    assert {key: found[key] for key in told} == told
    assert len(told) > 50, "the writers wrote next to nothing: this run shows nothing"


def test_rollback_gives_back_exactly_the_nulls(old: Database) -> None:
    """But not to a document whose language was set since, nor to one that never was null."""
    nulls = old.query(NULLS)
    by_writer, found_out, edited, *_ = nulls
    at(old, DEFAULT)
    old.query("UPDATE docmeta.documents SET page_count = 1 WHERE (tenant_id, id) = %s", [by_writer])
    at(old, REQUIRE)
    old.query(
        "UPDATE docmeta.documents SET language = 'fr' WHERE (tenant_id, id) = %s", [found_out]
    )
    old.query("UPDATE docmeta.documents SET title = 't' WHERE (tenant_id, id) = %s", [edited])
    old.query(
        "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (sha256('a'), 'late')"
    )
    before, rows = old.query(ALL_BUT_LANGUAGE), old.rows()
    at(old, DEFAULT)
    assert old.query(NULLS) == [key for key in nulls if key not in (by_writer, found_out)]
    at(old, BEFORE)
    assert old.query(NULLS) == [key for key in nulls if key != found_out]
    assert old.query(ALL_BUT_LANGUAGE) == before
    at(old, REQUIRE)
    now = old.rows()
    assert {name: now[name] for name in now if name != "audit_log"} == {
        name: rows[name] for name in rows if name != "audit_log"
    }
    assert not old.query("SELECT 1 FROM pg_namespace WHERE nspname = 'docmeta_parked'")


def test_every_tenant_is_walked(db: Database) -> None:
    """Whatever its number, in pages that end in the middle of one."""
    at(db, BEFORE)
    db.query("""
        INSERT INTO docmeta.hash_index (tenant_id, sha256, size_bytes)
            SELECT t, sha256('a'), 1 FROM unnest('{-7, 0, 3, 9000000000}'::bigint[]) t;
        INSERT INTO docmeta.documents (tenant_id, content_sha256, filename)
            SELECT t, sha256('a'), 'x' FROM unnest('{-7, 0, 3, 9000000000}'::bigint[]) t,
                generate_series(1, 333);
    """)
    at(db, REQUIRE)
    assert db.query(
        "SELECT tenant_id, count(*) FROM docmeta.language_backfill GROUP BY 1 ORDER BY 1"
    ) == [(-7, 333), (0, 333), (3, 333), (9000000000, 333)]
