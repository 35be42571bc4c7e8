"""Laws of the parking place: no rollback loses a row, whoever writes, and no stranger gets in."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg2
import pytest
from psycopg2.errors import UndefinedTable

from database import IDS, MIGRATE, YOYO, Database, run

UNFILLED = "INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256(%s), 1)"


# To where the rows of 0001 are the only ones: what later migrations park is none of these laws.
TO_THE_FIRST = replace(MIGRATE, all_down=("down", "--to", IDS[0], "--yes", "--sql"))
DISCARD = "-c docmeta.on_rollback=discard"


def down_one(db: Database, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Roll back the last migration."""
    options = f"{db.environment['PGOPTIONS']} -c docmeta.open_tenants=yes"
    environment = {**db.environment, "PGOPTIONS": options}
    return run(sys.executable, "-m", "pgproof", "down", environment=environment, code=code)


def park(db: Database) -> None:
    YOYO.down(db)


def restore(db: Database) -> None:
    YOYO.up(db)


@pytest.mark.parametrize("attempt", range(3))
def test_writers_lose_no_acknowledged_row(attempt: int, docs: Database) -> None:
    """Four writers commit one row at a time while the tables are parked, until these are gone."""
    acknowledged: list[list[int]] = [[], [], [], []]
    started = threading.Barrier(5)

    def write(writer: int) -> None:
        connection = docs.connect()
        started.wait()
        number = writer
        while True:
            try:
                connection.cursor().execute(
                    "WITH claimed AS ("
                    "    INSERT INTO docmeta.hash_index (sha256, size_bytes)"
                    "    VALUES (sha256(%(n)s::text::bytea), %(n)s) RETURNING sha256)"
                    "INSERT INTO docmeta.documents (content_sha256, filename)"
                    "SELECT sha256, %(n)s::text FROM claimed",
                    {"n": number},
                )
            except UndefinedTable:
                return
            acknowledged[writer].append(number)
            number += 4

    writers = [threading.Thread(target=write, args=[writer]) for writer in range(4)]
    for writer in writers:
        writer.start()
    started.wait()
    time.sleep(0.3 + attempt / 10)
    # The lock is asked for with a timeout of 200 ms, so a busy table may need a few tries.
    for _ in range(50):
        if MIGRATE.down(docs, code=None).returncode == 0:
            break
    for writer in writers:
        writer.join(timeout=30)
        assert not writer.is_alive()

    every = sorted(number for numbers in acknowledged for number in numbers)
    assert len(every) > 50, "the writers wrote next to nothing: this run shows nothing"
    for table, column in (("hash_index", "size_bytes"), ("documents", "filename::bigint")):
        kept = docs.query(f"SELECT {column} FROM docmeta_parked.{table} ORDER BY 1")
        assert [number for (number,) in kept] == every
    restore(docs)
    assert docs.value("SELECT count(*) FROM docmeta.documents") == len(every)


def test_a_rollback_waits_for_no_reader_longer_than_its_lock_timeout(filled: Database) -> None:
    TO_THE_FIRST.down(filled, PGOPTIONS=DISCARD)
    reader = filled.connect()
    reader.autocommit = False
    reader.cursor().execute("SELECT FROM docmeta.error_log")
    rows = filled.rows()
    started = time.monotonic()
    said = MIGRATE.down(filled, code=1, DATABASE_URL=f"{filled.url}&lock_retries=0").stderr
    assert time.monotonic() - started < 5
    assert "lock timeout" in said
    assert filled.rows() == rows
    reader.rollback()
    park(filled)


def test_discard_drops_the_rows_for_good(filled: Database) -> None:
    YOYO.down(filled, PGOPTIONS="-c docmeta.on_rollback=discard")
    assert not filled.query("SELECT 1 FROM pg_namespace WHERE nspname ~ 'docmeta'")
    restore(filled)
    assert not any(filled.rows().values())


def test_discard_drops_what_later_rollbacks_have_parked_as_well(filled: Database) -> None:
    """It would come back to other rows: ids begin anew."""
    TO_THE_FIRST.down(filled)
    assert filled.rows("docmeta_parked")
    YOYO.down(filled, PGOPTIONS=DISCARD)
    assert filled.value("SELECT to_regnamespace('docmeta_parked')") is None


def test_ids_go_on_where_something_parked_knows_them(docs: Database) -> None:
    """A parked seal, or a document that waited, though no row of the nine tables is left."""
    docs.query("""
        SET session_replication_role = replica; -- or the audit log would have a row
        INSERT INTO docmeta.tags (name) VALUES ('gone');
        DELETE FROM docmeta.tags;
        RESET ALL;
        CREATE SCHEMA docmeta_parked;
        CREATE TABLE docmeta_parked.seals (id int)
    """)
    park(docs)
    restore(docs)
    docs.query("SET docmeta.tenant_id = '1'; INSERT INTO docmeta.tags (name) VALUES ('next')")
    assert docs.value("SELECT id FROM docmeta.tags") == 2


def test_a_misspelt_wish_to_discard_is_refused(filled: Database) -> None:
    rows = filled.rows()
    said = MIGRATE.down(filled, code=1, PGOPTIONS="-c docmeta.on_rollback=discrad").stderr
    assert 'must be park or discard, not "discrad"' in said
    assert filled.rows() == rows


def test_only_tables_with_rows_are_parked(docs: Database) -> None:
    docs.query(UNFILLED, [b"x"])
    park(docs)
    assert sorted(docs.rows("docmeta_parked")) == ["hash_index", "sequences"]


def test_what_another_migration_parked_is_left_alone(filled: Database) -> None:
    filled.query("CREATE SCHEMA docmeta_parked; CREATE TABLE docmeta_parked.seals (id int)")
    filled.query("INSERT INTO docmeta_parked.seals VALUES (1)")
    park(filled)
    restore(filled)
    assert filled.rows("docmeta_parked") == {"seals": ['{"id": 1}']}


def test_a_column_added_by_hand_is_not_lost_silently(filled: Database) -> None:
    """The parked table does not fit the new one: the migration stops, the rows stay parked."""
    filled.query("ALTER TABLE docmeta.tags ADD extra text DEFAULT 'mine'")
    park(filled)
    parked = filled.rows("docmeta_parked")
    said = MIGRATE.up(filled, code=1).stderr
    assert 'column "extra" of relation "tags" does not exist' in said
    assert filled.rows("docmeta_parked") == parked
    filled.query("ALTER TABLE docmeta_parked.tags DROP extra")
    restore(filled)


def test_columns_are_matched_by_name(filled: Database) -> None:
    rows = filled.rows()
    park(filled)
    filled.query("""
        ALTER TABLE docmeta_parked.tags RENAME TO once;
        CREATE TABLE docmeta_parked.tags AS
            SELECT name, id, tenant_id, colour, description, delete_reason, deleted_by,
                deleted_at, updated_by, updated_at, created_by, created_at
            FROM docmeta_parked.once;
        DROP TABLE docmeta_parked.once;
    """)
    restore(filled)
    now = filled.rows()
    assert {**now, "audit_log": None} == {**rows, "audit_log": None}
    assert set(rows["audit_log"]) <= set(now["audit_log"])


def test_a_policy_hides_no_row_from_the_copy(filled: Database) -> None:
    """The owner is subject to his own forced policy: better an error than one row of two."""
    TO_THE_FIRST.down(filled, PGOPTIONS=DISCARD)
    filled.query(
        """
        CREATE ROLE parking_owner LOGIN;
        GRANT CREATE ON DATABASE {} TO parking_owner;
        GRANT ALL ON SCHEMA public TO parking_owner;
        GRANT ALL ON ALL TABLES IN SCHEMA public TO parking_owner;
        ALTER SCHEMA docmeta OWNER TO parking_owner;
    """.format(f'"{filled.dbname}"')
    )
    try:
        for table in filled.rows():
            filled.query(f"ALTER TABLE docmeta.{table} OWNER TO parking_owner")
        filled.query("""
            ALTER TABLE docmeta.documents ENABLE ROW LEVEL SECURITY;
            ALTER TABLE docmeta.documents FORCE ROW LEVEL SECURITY;
            CREATE POLICY one ON docmeta.documents USING (tenant_id = 1);
        """)
        rows = filled.rows()
        said = MIGRATE.down(filled, code=1, PGUSER="parking_owner").stderr
        assert "would be affected by row-level security policy" in said
        assert filled.rows() == rows
    finally:
        filled.query("DROP OWNED BY parking_owner CASCADE; DROP ROLE parking_owner")


def test_a_strangers_parking_place_is_refused(docs: Database) -> None:
    """A table of his can run his code as the role that migrates."""
    park(docs)
    docs.query("""
        CREATE ROLE parking_stranger;
        CREATE SCHEMA docmeta_parked AUTHORIZATION parking_stranger;
        CREATE TABLE docmeta_parked.tags (id int);
        ALTER TABLE docmeta_parked.tags OWNER TO parking_stranger;
    """)
    try:
        said = MIGRATE.up(docs, code=1).stderr
        assert "docmeta_parked belongs to parking_stranger" in said
        assert "ALTER SCHEMA docmeta_parked OWNER TO" in said
        assert docs.value("SELECT to_regnamespace('docmeta')") is None
    finally:
        docs.query("DROP OWNED BY parking_stranger CASCADE; DROP ROLE parking_stranger")


def test_nothing_is_parked_where_a_stranger_could_drop_it(filled: Database) -> None:
    filled.query("CREATE ROLE parking_stranger")
    filled.query("CREATE SCHEMA docmeta_parked AUTHORIZATION parking_stranger")
    refused = []
    try:
        while filled.value("SELECT to_regnamespace('docmeta') IS NOT NULL"):
            said = down_one(filled, code=None)
            if said.returncode:
                assert "schema docmeta_parked belongs to another role" in said.stderr
                filled.query("ALTER SCHEMA docmeta_parked OWNER TO CURRENT_USER")
                refused.append(down_one(filled).stdout.partition("rolled back ")[2][:4])
                filled.query("ALTER SCHEMA docmeta_parked OWNER TO parking_stranger")
    finally:
        filled.query("DROP OWNED BY parking_stranger CASCADE; DROP ROLE parking_stranger")
    assert refused == ["0015", "0013", "0005", "0001"]


def test_a_row_that_comes_while_rows_are_put_back_is_not_dropped(filled: Database) -> None:
    """The parked table is locked before it is read, so a late row is read as well."""
    park(filled)
    for _ in range(10):
        writer = filled.connect()
        writer.autocommit = False
        writer.cursor().execute(
            "INSERT INTO docmeta_parked.tags (tenant_id, id, name, created_at, created_by, "
            "updated_at, updated_by) VALUES (1, 900, 'late', now(), 'x', now(), 'x')"
        )
        with ThreadPoolExecutor() as pool:
            up = pool.submit(MIGRATE.up, filled, code=None)
            while not up.done() and not filled.query(
                "SELECT 1 FROM pg_locks WHERE NOT granted "
                "AND relation = to_regclass('docmeta_parked.tags')::oid"
            ):
                time.sleep(0.005)
            # Within its lock_timeout; a slow machine may need another try.
            writer.rollback() if up.done() else writer.commit()
            if up.result().returncode == 0:
                break
        filled.query("DELETE FROM docmeta_parked.tags WHERE id = 900")
    assert filled.value("SELECT name FROM docmeta.tags WHERE id = 900") == "late"


def test_parked_rows_are_for_the_owner_only(filled: Database) -> None:
    park(filled)
    filled.query("CREATE ROLE parking_nobody LOGIN")
    try:
        nobody = filled.connect(user="parking_nobody")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            nobody.cursor().execute("SELECT FROM docmeta_parked.documents")
    finally:
        filled.query("DROP ROLE parking_nobody")
