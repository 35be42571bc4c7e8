"""Laws of 0012 and 0013: a list of values grows and shrinks, and no moment is without a check."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2 import errors

from database import IDS, SQL, Database
from pgproof import statements
from running import at, cut_off, migrating, wait_until
from test_language import put_documents

ADD, VALIDATE = (id_ for id_ in IDS if id_.endswith("_document_status"))
BEFORE = IDS[IDS.index(ADD) - 1]
WAITING = "SELECT id FROM docmeta.documents WHERE status = 'needs_review' ORDER BY id"
PARKED = "SELECT document_id FROM docmeta_parked.document_status ORDER BY 1"
REST = "SELECT (to_jsonb(d) - 'status')::text FROM docmeta.documents d ORDER BY 1"


@pytest.fixture
def waiting(db: Database) -> Database:
    """A database where 0013 is the last, with 2,400 documents, every other in needs_review."""
    at(db, VALIDATE)
    put_documents(db, 2400, "'de'")
    db.query("UPDATE docmeta.documents SET status = 'needs_review' WHERE id % 2 = 0")
    return db


def is_parked(db: Database) -> bool:
    return db.value("SELECT to_regnamespace('docmeta_parked') IS NOT NULL") is True


def test_the_status_can_be_written_once_its_check_is_valid(db: Database) -> None:
    """And what is refused is refused by the name that it always had."""
    made = "INSERT INTO docmeta.documents (content_sha256, filename, status) VALUES "
    at(db, BEFORE)
    put_documents(db, 1, "'de'")
    for migration, known in ((BEFORE, False), (ADD, False), (VALIDATE, True), (ADD, False)):
        at(db, migration)
        for status in ("lost", *([] if known else ["needs_review"])):
            with pytest.raises(errors.CheckViolation) as caught:
                db.query(f"{made} (sha256('a'), 'x', '{status}')")
            assert "documents_status_known" in str(caught.value.diag.constraint_name)
        if known:
            db.query(f"{made} (sha256('a'), 'x', 'needs_review')")
            assert caught.value.diag.constraint_name == "documents_status_known_check"


def test_a_valid_check_stands_after_every_statement(db: Database) -> None:
    """Forward and back, one statement after the other."""
    at(db, BEFORE)
    put_documents(db, 1, "'de'")
    for name in (f"{ADD}", f"{VALIDATE}", f"{VALIDATE}.rollback", f"{ADD}.rollback"):
        text = (SQL / f"{name}.sql").read_text(encoding="utf-8")
        for statement in statements.split(text):
            if not statement.words.startswith("SET LOCAL"):
                db.query(statement.text)
            checks = db.query(
                "SELECT conname FROM pg_constraint WHERE conrelid = 'docmeta.documents'::regclass "
                "AND conname ~ 'status_known' AND convalidated"
            )
            assert checks, f"{name}, line {statement.line}"


def test_the_status_is_parked_and_given_back(waiting: Database) -> None:
    """Unless it was set meanwhile; updated_at and row_version do not move."""
    before, rest = waiting.query(WAITING), waiting.query(REST)
    at(waiting, ADD)
    assert waiting.query(WAITING) == []
    assert waiting.query(PARKED) == before
    statuses = "SELECT DISTINCT status FROM docmeta.documents WHERE id % 2 = 0"
    assert waiting.query(statuses) == [("processing",)]
    assert waiting.query(REST) == rest
    waiting.query("UPDATE docmeta.documents SET status = 'ready' WHERE id = 2")
    waiting.query("UPDATE docmeta.documents SET title = 't' WHERE id = 4")
    waiting.query("DELETE FROM docmeta.documents WHERE id = 6")
    rest = waiting.query(REST)
    at(waiting, VALIDATE)
    assert waiting.query(WAITING) == [key for key in before if key not in ((2,), (6,))]
    assert waiting.query(REST) == rest
    assert not is_parked(waiting)


def test_what_a_person_decided_meanwhile_is_not_given_back(waiting: Database) -> None:
    """He set processing himself, before the rollback came to that document."""
    person = waiting.connect()
    person.autocommit = False
    person.cursor().execute("UPDATE docmeta.documents SET status = 'processing' WHERE id = 2")
    with migrating(waiting, "down") as process:
        assert wait_until(lambda: waiting.query(WAITING) == [(2,)], process)
        person.commit()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert (2,) not in waiting.query(PARKED)
    at(waiting, VALIDATE)
    assert len(waiting.query(WAITING)) == 1199
    assert (2,) not in waiting.query(WAITING)


def test_a_document_that_is_purged_while_it_waits_is_not_waited_for(waiting: Database) -> None:
    at(waiting, ADD)
    *before, restore = statements.split((SQL / f"{VALIDATE}.sql").read_text(encoding="utf-8"))
    for statement in before:
        waiting.query(statement.text)
    purge, runner = waiting.connect(), waiting.connect()
    purge.autocommit = False
    purge.cursor().execute("DELETE FROM docmeta.documents WHERE id = 2")
    with ThreadPoolExecutor() as pool:
        restoring = pool.submit(runner.cursor().execute, restore.text)
        while waiting.query(PARKED) != [(2,)]:
            assert not restoring.done()
        purge.commit()
        restoring.result(timeout=30)
    assert len(waiting.query(WAITING)) == 1199
    assert not is_parked(waiting)


def test_nothing_is_parked_where_nothing_waits(db: Database) -> None:
    at(db, VALIDATE)
    at(db, ADD)
    assert not is_parked(db)


def test_discard_forgets(waiting: Database) -> None:
    for wish in ("discrad", "discard"):
        options = f"-c docmeta.on_rollback={wish}"
        with migrating(waiting, "down", PGOPTIONS=options) as process:
            told, _ = process.communicate(timeout=60)
        if wish == "discrad":
            assert process.returncode == 1
            assert 'must be park or discard, not "discrad"' in told
            assert len(waiting.query(WAITING)) == 1200
    assert process.returncode == 0
    assert not is_parked(waiting)
    at(waiting, VALIDATE)
    assert waiting.query(WAITING) == []


def test_a_strangers_parking_place_is_refused(waiting: Database) -> None:
    """He could drop what is parked, or have his code run by the role that migrates."""
    waiting.query("""
        CREATE ROLE status_stranger;
        CREATE SCHEMA docmeta_parked AUTHORIZATION status_stranger;
    """)
    try:
        with migrating(waiting, "down") as process:
            told, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "schema docmeta_parked belongs to another role" in told
        assert len(waiting.query(WAITING)) == 1200
    finally:
        waiting.query("DROP OWNED BY status_stranger; DROP ROLE status_stranger")


def test_killed_anywhere_and_run_again_it_ends_right(waiting: Database) -> None:
    """In both directions: what was moved is remembered, what is given back is so once."""
    before, rest = waiting.query(WAITING), waiting.query(REST)
    chance = random.Random(5)
    cuts = 0
    for words, end in ((("down",), 0), (("up", "--to", VALIDATE), 1200)):
        for share in sorted(chance.sample(range(1, 900), 2)):

            def is_far_enough(share: int = share, end: int = end) -> bool:
                return abs(len(waiting.query(WAITING)) - (1200 - end)) >= share

            cuts += cut_off(waiting, *words, when=is_far_enough)
        with migrating(waiting, *words) as process:
            told, _ = process.communicate(timeout=60)
            assert process.returncode == 0, told
        assert waiting.query(WAITING) == (before if end else [])
        assert end or waiting.query(PARKED) == before
        assert waiting.query(REST) == rest
    assert cuts >= 2, "the kills came too late: this run shows nothing"
    assert not is_parked(waiting)


def test_a_locked_document_is_passed_over_and_met_again(waiting: Database) -> None:
    """On the way down before the check comes, on the way up after the exchange."""
    holder = waiting.connect()
    holder.autocommit = False
    lock = "SELECT 1 FROM docmeta.documents WHERE id = 8 FOR UPDATE"
    holder.cursor().execute(lock)
    with migrating(waiting, "down") as process:
        assert wait_until(lambda: waiting.query(WAITING) == [(8,)], process)
        holder.rollback()
        assert process.wait(60) == 0
    assert waiting.query(WAITING) == []
    *exchange, restore = statements.split((SQL / f"{VALIDATE}.sql").read_text(encoding="utf-8"))
    for statement in exchange:
        waiting.query(statement.text)
    holder.cursor().execute(lock)
    with ThreadPoolExecutor() as pool:
        restored = pool.submit(waiting.connect().cursor().execute, restore.text)
        while len(waiting.query(WAITING)) < 1199:
            assert not restored.done()
        holder.rollback()
        restored.result(60)
    assert len(waiting.query(WAITING)) == 1200


def test_who_writes_other_columns_meets_no_error(waiting: Database) -> None:
    """While documents are moved, checked again and given back."""
    ended = threading.Event()
    failed: list[psycopg2.Error] = []
    written = [0]

    def write() -> None:
        chance, cursor = random.Random(1), waiting.connect().cursor()
        try:
            while not ended.is_set():
                cursor.execute(
                    "UPDATE docmeta.documents SET title = %s WHERE id = %s",
                    [str(chance.random()), 2 * chance.randrange(1, 1200)],
                )
                written[0] += cursor.rowcount
        except psycopg2.Error as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    for words in (("down", "--to", BEFORE, "--yes"), ("up", "--to", VALIDATE)):
        with migrating(waiting, *words) as process:
            told, _ = process.communicate(timeout=60)
            assert process.returncode == 0, told
    ended.set()
    writer.join()
    assert failed == []
    assert written[0] > 50, "the writer wrote next to nothing: this run shows nothing"
    assert len(waiting.query(WAITING)) == 1200
