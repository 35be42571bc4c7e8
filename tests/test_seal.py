"""Laws of the seals: what was sealed and is not as it was is found, and nothing else is.

The tampering is done as a superuser with every trigger off: against anybody else the log defends
itself (test_partitions.py).
"""

import random
import sys
import threading
import time
from collections import Counter
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege, RestrictViolation
from psycopg2.extensions import connection

from database import IDS, Database, run

SEALED = next(name for name in IDS if name.startswith("0015"))
BEFORE = IDS[IDS.index(SEALED) - 1]

ENTRY = """
    INSERT INTO docmeta.audit_log (tenant_id, occurred_at, entity_type, entity_id, document_id,
        action, old_row, new_row, actor, db_user, request_id)
    SELECT %(tenant)s, %(at)s::timestamptz + n * interval '1 hour', 'documents', n,
        nullif(n % 3, 0),
        CASE WHEN n % 2 = 0 THEN 'update' ELSE 'insert' END,
        CASE WHEN n % 2 = 0 THEN '{"title": null, "size": 1.50}'::jsonb END,
        jsonb_build_object('title', 'Ärger ' || n, 'at', %(at)s, 'raw', '\\x00ff', 'n', n / 3.0),
        'ada', 'app', CASE WHEN n % 4 = 0 THEN 'req-' || n END
    FROM generate_series(1, %(number)s) n
""".replace(" % ", " %% ")


def append(db: Database, number: int, tenant: int = 1, at: str = "2026-03-30 12:00+00") -> None:
    values = {"tenant": tenant, "at": at, "number": number}
    db.connect().cursor().execute(ENTRY, values)


def seal(db: Database) -> list[tuple[Any, ...]]:
    return db.query("SELECT tenant_id, seal_no, entry_count FROM docmeta.seal_audit_log()")


def verify(db: Database) -> list[tuple[Any, ...]]:
    return db.query("SELECT tenant_id, finding, seal_no, entry_id FROM docmeta.verify_audit_log()")


def migrate(db: Database, *words: str, code: int | None = 0, **variables: str) -> str:
    environment = {**db.environment, **variables}
    done = run(sys.executable, "-m", "pgproof", *words, environment=environment, code=code)
    return done.stdout + done.stderr


@pytest.fixture
def log(docs: Database) -> Database:
    """A log of two tenants over two months, sealed in three passes, and a bit that is not."""
    for at in ("2026-03-30 12:00+00", "2026-03-31 12:00+00", "2026-04-02 12:00+00"):
        append(docs, 16, 1, at)
        append(docs, 12, 2, at)
        seal(docs)
    append(docs, 3)
    return docs


def test_a_seal_is_of_a_month_and_of_all_since_the_last(log: Database) -> None:
    seals = log.query(
        "SELECT tenant_id, seal_no, month::date::text, entry_count, after_id, through_id "
        "FROM docmeta.audit_log_seals ORDER BY through_id, tenant_id, seal_no"
    )
    assert [row[:4] for row in seals] == [
        (1, 1, "2026-03-01", 16),
        (2, 1, "2026-03-01", 12),
        (1, 2, "2026-03-01", 11),
        (1, 3, "2026-04-01", 5),
        (2, 2, "2026-03-01", 11),
        (2, 3, "2026-04-01", 1),
        (1, 4, "2026-04-01", 16),
        (2, 4, "2026-04-01", 12),
    ]
    assert [row[4:] for row in seals] == [(0, 28)] * 2 + [(28, 56)] * 4 + [(56, 84)] * 2
    assert seal(log) == [(1, 5, 3)]
    assert seal(log) == [], "there is nothing left"
    assert verify(log) == []


def test_a_big_log_is_sealed_in_parts(docs: Database) -> None:
    """Each entry is read about twice, to count and to hash it, and not all that are left each time.

    By its statistics the planner expects none of them.
    """
    append(docs, 10, 7, "2026-01-01")
    docs.query("ANALYZE docmeta.audit_log")
    append(docs, 249_991, 7, "2026-01-01")
    numbers = seal(docs)
    assert sum(number for _, _, number in numbers) == 250_001
    assert len(docs.query("SELECT DISTINCT after_id FROM docmeta.audit_log_seals")) == 3
    docs.query("SELECT pg_stat_force_next_flush()")
    read = docs.value("""
        SELECT sum(idx_tup_read) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables
            WHERE relname LIKE 'audit_log\\_%')
        FROM pg_stat_user_indexes WHERE indexrelname LIKE 'audit_log\\_%'
    """)
    assert read < 750_000
    assert verify(docs) == []


# Tampering ----------------------------------------------------------------------------------

Found = tuple[str, set[str]]  # SQL, and what may be said of it

COLUMNS = {
    "occurred_at": "occurred_at + {n} * interval '1 microsecond'",
    "entity_type": "entity_type || 'x'",
    "entity_id": "entity_id + {n}",
    "document_id": "coalesce(document_id + {n}, 0)",
    "action": "CASE action WHEN 'update' THEN 'soft_delete' ELSE 'x' END",
    "old_row": "jsonb_set(coalesce(old_row, '{{}}'), '{{size}}', '1.5')",
    "new_row": "new_row || '{{\"n\": {n}}}'",
    "actor": "actor || {n}",
    "db_user": "'postgres'",
    "request_id": "CASE WHEN request_id IS NULL THEN '' END",
    "transaction_id": "(transaction_id::text::bigint + {n})::text::xid8",
}
SEAL_COLUMNS = {
    "kind": "CASE kind WHEN 'entries' THEN 'dropped' ELSE 'entries' END",
    "month": "month + {n} * interval '1 microsecond'",
    "after_id": "after_id - {n}",
    "through_id": "through_id - {n}",
    "entry_count": "entry_count + {n}",
    "entry_marks": "set_byte(entry_marks, {n} % length(entry_marks),"
    " get_byte(entry_marks, {n} % length(entry_marks)) # 1)",
    "entries_sha256": "sha256(entries_sha256)",
    "sealed_at": "sealed_at - {n} * interval '1 microsecond'",
    "sealed_by": "sealed_by || {n}",
    "sha256": "sha256(sha256)",
    "seal_no": "seal_no + 100",
    "tenant_id": "tenant_id + 100",
}


def tampering(dice: random.Random, entries: list[tuple[int, int]]) -> Found:
    """Return one of the ways to change what was sealed."""
    tenant, id_ = dice.choice(entries)
    _, other = dice.choice([entry for entry in entries if entry[0] == tenant and entry[1] != id_])
    one = f"tenant_id = {tenant} AND id = {id_}"
    n = dice.randint(1, 1_000_000)
    kind = dice.choice(
        ["edit"] * 4 + ["delete", "insert", "swap", "move", "renumber", "seal", "unseal"]
    )
    if kind == "edit":
        column = dice.choice(sorted(COLUMNS))
        value = COLUMNS[column].format(n=n)
        return f"UPDATE docmeta.audit_log SET {column} = {value} WHERE {one}", {"edited"}
    if kind == "delete":
        return f"DELETE FROM docmeta.audit_log WHERE {one}", {"removed"}
    if kind == "insert":
        moved = dice.choice(
            [
                "occurred_at",
                f"occurred_at + {n} * interval '1 microsecond'",
                "occurred_at + interval '1 year'",
                "'-infinity'",
            ]
        )
        free = dice.choice([f"-{n}", "0", f"{id_}"])
        to = dice.choice([f"{tenant}", f"{3 - tenant}", "99"])
        if moved == "occurred_at" and free == str(id_) and to == str(tenant):
            to = str(3 - tenant)
        return (
            "INSERT INTO docmeta.audit_log (tenant_id, id, occurred_at, entity_type, entity_id, "
            f"action, old_row, new_row) OVERRIDING SYSTEM VALUE SELECT {to}, {free}, {moved}, "
            f"entity_type, entity_id, action, old_row, new_row FROM docmeta.audit_log WHERE {one}",
            {"inserted"},
        )
    if kind == "swap":
        return (
            "UPDATE docmeta.audit_log a SET new_row = b.new_row, entity_id = b.entity_id "
            f"FROM docmeta.audit_log b WHERE a.tenant_id = {tenant} AND b.tenant_id = {tenant} "
            f"AND (a.id, b.id) IN (({id_}, {other}), ({other}, {id_}))",
            {"edited"},
        )
    if kind == "move":
        return (
            f"UPDATE docmeta.audit_log SET tenant_id = {dice.choice([3 - tenant, 99])} WHERE {one}",
            {"removed", "inserted"},
        )
    if kind == "renumber":
        return (
            f"UPDATE docmeta.audit_log SET id = {dice.choice([-n, n + 1000])} WHERE {one}",
            {"removed", "inserted"},
        )
    seal_of = (
        f"(tenant_id, seal_no) = (SELECT tenant_id, seal_no FROM docmeta.audit_log_seals "
        f"WHERE tenant_id = {tenant} AND seal_no < 4 ORDER BY md5(seal_no || '{n}') LIMIT 1)"
    )
    if kind == "unseal":
        return f"DELETE FROM docmeta.audit_log_seals WHERE {seal_of}", {"seal removed"}
    column = dice.choice(sorted(SEAL_COLUMNS))
    value = SEAL_COLUMNS[column].format(n=n)
    return (
        f"UPDATE docmeta.audit_log_seals SET {column} = {value} WHERE {seal_of}",
        {"seal edited", "seal removed"},
    )


def free_of_rules(db: Database) -> connection:
    """Return a superuser's session in which no trigger and no check stands against him."""
    session = db.connect()
    session.autocommit = False
    cursor = session.cursor()
    cursor.execute("""
        DO $$
        DECLARE
            found record;
        BEGIN
            FOR found IN
                SELECT relid::regclass AS name FROM pg_partition_tree('docmeta.audit_log')
                UNION ALL SELECT 'docmeta.audit_log_seals'::regclass
            LOOP
                EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', found.name);
            END LOOP;
            ALTER TABLE docmeta.audit_log ALTER id DROP IDENTITY;
            FOR found IN
                SELECT conrelid::regclass AS name, conname FROM pg_constraint
                WHERE contype = 'c' AND conislocal AND coninhcount = 0
                    AND conrelid::regclass::text ~ '^docmeta.audit_log'
            LOOP
                EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', found.name, found.conname);
            END LOOP;
        END $$
    """)
    return session


@pytest.mark.parametrize("part", range(4))
def test_a_thousand_tamperings_are_found_and_none_besides(part: int, log: Database) -> None:
    """250 in each part; between them, with all put back, nothing is found."""
    dice = random.Random(f"seal {part}")
    entries = log.query("SELECT tenant_id, id FROM docmeta.audit_log WHERE id <= 84 ORDER BY id")
    cursor = free_of_rules(log).cursor()
    told: Counter[str] = Counter()
    for number in range(250):
        statement, allowed = tampering(dice, entries)
        cursor.execute("SAVEPOINT before")
        cursor.execute(statement)
        assert cursor.rowcount in (1, 2), statement
        cursor.execute("SELECT finding, entry_id, told FROM docmeta.verify_audit_log()")
        findings = cursor.fetchall()
        assert findings, f"{number}: not found: {statement}"
        assert {finding for finding, _, _ in findings} <= allowed, (statement, findings)
        told.update(finding for finding, _, _ in findings)
        cursor.execute("ROLLBACK TO before; RELEASE before")
        if number % 25 == 0:
            cursor.execute("SELECT * FROM docmeta.verify_audit_log()")
            assert cursor.fetchall() == []
    assert set(told) == {"edited", "removed", "inserted", "seal edited", "seal removed"}


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE docmeta.audit_log SET actor = 'eve' WHERE id IN (40, 60)", (1, "edited", 3, 40)),
        ("DELETE FROM docmeta.audit_log WHERE id IN (31, 2)", (1, "removed", 1, 2)),
        (
            "INSERT INTO docmeta.audit_log (id, occurred_at, entity_type, entity_id, action, "
            "new_row) OVERRIDING SYSTEM VALUE VALUES (20, '2026-03-30', 'x', 1, 'insert', '{}')",
            (1, "inserted", 1, 20),
        ),
        (
            "INSERT INTO docmeta.audit_log (tenant_id, id, entity_type, entity_id, action, "
            "new_row) OVERRIDING SYSTEM VALUE VALUES (9, 84, 'x', 1, 'insert', '{}')",
            (9, "inserted", None, 84),
        ),
        ("UPDATE docmeta.audit_log SET occurred_at = '2025-01-01' WHERE id = 40",
            (1, "edited", 3, 40)),
        ("UPDATE docmeta.audit_log_seals SET sealed_by = 'x' WHERE tenant_id = 2 AND seal_no = 3",
            (2, "seal edited", 3, None)),
        ("DELETE FROM docmeta.audit_log_seals WHERE tenant_id = 1 AND seal_no = 3",
            (1, "seal removed", 3, None)),
    ],
)  # fmt: skip
def test_the_first_that_does_not_fit_is_named(
    statement: str, finding: tuple[Any, ...], log: Database
) -> None:
    cursor = free_of_rules(log).cursor()
    cursor.execute(statement)
    cursor.execute("SELECT tenant_id, finding, seal_no, entry_id FROM docmeta.verify_audit_log()")
    assert cursor.fetchall() == [finding]


@pytest.mark.parametrize(
    "settings",
    [
        "-c timezone=Pacific/Kiritimati -c datestyle=German,DMY -c intervalstyle=sql_standard",
        "-c bytea_output=escape -c extra_float_digits=-15 -c timezone=America/Caracas",
        "-c lc_monetary=C -c xmlbinary=hex -c standard_conforming_strings=off",
        "-c search_path=pg_temp -c enable_partition_pruning=off -c enable_indexscan=off",
    ],
)
def test_no_setting_has_a_part_in_the_hash(settings: str, log: Database) -> None:
    session = log.connect(options=settings).cursor()
    session.execute("SELECT * FROM docmeta.verify_audit_log()")
    assert session.fetchall() == []
    session.execute("SELECT * FROM docmeta.seal_audit_log()")
    assert len(session.fetchall()) == 1
    assert verify(log) == []


def test_the_hash_does_not_depend_on_the_order_of_columns(log: Database) -> None:
    """A partition that was made by hand may have another."""
    cursor = free_of_rules(log).cursor()
    cursor.execute("""
        DO $$ BEGIN
            EXECUTE (
                SELECT format('CREATE TABLE docmeta.audit_log_2999 (%s)', string_agg(format(
                    '%I %s %s', attname, format_type(atttypid, atttypmod),
                    CASE WHEN attnotnull THEN 'NOT NULL' END), ', ' ORDER BY attnum DESC))
                FROM pg_attribute WHERE attrelid = 'docmeta.audit_log'::regclass AND attnum > 0
            );
            ALTER TABLE docmeta.audit_log DETACH PARTITION docmeta.audit_log_first;
            ALTER TABLE docmeta.audit_log ATTACH PARTITION docmeta.audit_log_2999
                FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
            INSERT INTO docmeta.audit_log SELECT * FROM docmeta.audit_log_first;
        END $$
    """)
    cursor.execute("SELECT count(*), count(DISTINCT tableoid) FROM docmeta.audit_log")
    assert cursor.fetchone() == (87, 1)
    cursor.execute("SELECT * FROM docmeta.verify_audit_log()")
    assert cursor.fetchall() == []


# Sealing beside writers -----------------------------------------------------------------------


def test_an_id_that_is_not_yet_committed_is_waited_for(docs: Database) -> None:
    """Without the wait the entry would lie before what is sealed, and be taken for inserted."""
    writer = docs.connect()
    writer.autocommit = False
    writer.cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('early')")
    append(docs, 3)
    sealed: list[list[tuple[Any, ...]]] = []
    thread = threading.Thread(target=lambda: sealed.append(seal_in(docs)))
    thread.start()
    time.sleep(0.3)
    assert sealed == []
    append(docs, 2, 5)  # another writer goes on meanwhile
    writer.commit()
    thread.join(timeout=10)
    assert [row[2] for row in sealed[0]] == [3, 1] or [row[2] for row in sealed[0]] == [4]
    assert seal(docs) == [(5, 1, 2)]
    assert verify(docs) == []


def seal_in(db: Database) -> list[tuple[Any, ...]]:
    cursor = db.connect().cursor()
    cursor.execute("SELECT tenant_id, seal_no, entry_count FROM docmeta.seal_audit_log()")
    return cursor.fetchall()


def test_who_does_not_end_is_named_and_nothing_is_sealed(docs: Database) -> None:
    writer = docs.connect()
    writer.autocommit = False
    writer.cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('early')")
    append(docs, 3)
    with pytest.raises(psycopg2.errors.LockNotAvailable) as raised:
        docs.query("SELECT docmeta.seal_audit_log('0.2 s')")
    assert f"still write to docmeta.audit_log: {writer.info.backend_pid}" in str(raised.value)
    assert docs.value("SELECT count(*) FROM docmeta.audit_log_seals") == 0
    writer.rollback()
    assert [number for *_, number in seal(docs)] == [3]


def test_sealers_and_writers_at_once(docs: Database) -> None:
    """Four writers, some of whom take long or give up; three sealers; one who verifies."""
    errors: list[BaseException] = []
    findings: list[Any] = []
    ended = threading.Event()

    def guarded(work: Any) -> threading.Thread:
        def go() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=go)
        thread.start()
        return thread

    def write(number: int) -> None:
        dice = random.Random(number)
        session = docs.connect()
        session.autocommit = False
        for step in range(60):
            for _ in range(dice.randint(1, 4)):
                session.cursor().execute(
                    "INSERT INTO docmeta.tags (tenant_id, name) VALUES (%s, %s)",
                    [dice.randint(1, 3), f"{number} {step} {dice.random()}"],
                )
                if dice.random() < 0.1:
                    session.cursor().execute("SAVEPOINT a")
                    session.cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('x')")
                    session.cursor().execute("ROLLBACK TO a")
                time.sleep(dice.random() * 0.01)
            session.rollback() if dice.random() < 0.2 else session.commit()

    def seal_on() -> None:
        while not ended.is_set():
            seal_in(docs)
            time.sleep(0.02)

    def verify_on() -> None:
        cursor = docs.connect().cursor()
        while not ended.is_set():
            cursor.execute("SELECT * FROM docmeta.verify_audit_log()")
            findings.extend(cursor.fetchall())

    writers = [guarded(lambda n=n: write(n)) for n in range(4)]
    others = [guarded(work) for work in (seal_on, seal_on, seal_on, verify_on)]
    for thread in writers:
        thread.join()
    ended.set()
    for thread in others:
        thread.join()
    assert errors == []
    assert findings == []
    seal(docs)
    assert verify(docs) == []
    assert docs.value("SELECT sum(entry_count) FROM docmeta.audit_log_seals") == docs.value(
        "SELECT count(*) FROM docmeta.audit_log"
    )
    assert docs.value("SELECT count(DISTINCT through_id) FROM docmeta.audit_log_seals") > 5


def test_sealing_takes_no_lock_that_a_writer_or_a_migration_of_readers_meets(log: Database) -> None:
    session = log.connect()
    session.autocommit = False
    session.cursor().execute("SELECT docmeta.seal_audit_log()")
    modes = log.query(
        "SELECT DISTINCT mode FROM pg_locks WHERE pid = %s AND relation IN "
        "(SELECT relid FROM pg_partition_tree('docmeta.audit_log'))",
        [session.info.backend_pid],
    )
    assert modes == [("AccessShareLock",)]


@pytest.mark.parametrize("call", ["seal_audit_log()", "verify_audit_log()"])
def test_a_snapshot_of_before_is_refused(call: str, docs: Database) -> None:
    session = docs.connect()
    session.set_session(isolation_level="REPEATABLE READ", autocommit=False)
    with pytest.raises(psycopg2.errors.InvalidTransactionState):
        session.cursor().execute(f"SELECT docmeta.{call}")


def test_ids_kept_for_later_are_refused(docs: Database) -> None:
    docs.query("ALTER SEQUENCE docmeta.audit_log_id_seq CACHE 10")
    with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState):
        seal(docs)


# Who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET sealed_by = 'x'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_a_seal_is_made_once(statement: str, log: Database) -> None:
    with pytest.raises(RestrictViolation, match="append-only"):
        log.query(statement.format("docmeta.audit_log_seals"))


def as_role(db: Database, role: str, tenant: int = 1) -> psycopg2.extensions.cursor:
    cursor = db.connect().cursor()
    cursor.execute(f"SET ROLE docmeta_{role}")
    cursor.execute(f"SET docmeta.tenant_id = '{tenant}'")
    return cursor


def test_an_auditor_verifies_and_retention_seals(log: Database) -> None:
    retention = as_role(log, "retention")
    retention.execute("SELECT count(*) FROM docmeta.seal_audit_log()")
    assert retention.fetchone() == (1,)
    auditor = as_role(log, "auditor")
    auditor.execute("SELECT * FROM docmeta.verify_audit_log()")
    assert auditor.fetchall() == []
    for role, call in [
        ("auditor", "seal_audit_log()"),
        ("reader", "seal_audit_log()"),
        ("reader", "verify_audit_log()"),
        ("app", "append_audit_log_seal(NULL)"),
        ("retention", "append_audit_log_seal(NULL)"),
    ]:
        with pytest.raises(InsufficientPrivilege):
            as_role(log, role).execute(f"SELECT docmeta.{call}")
    for role in ("ingest", "app", "reader", "auditor", "retention"):
        with pytest.raises(InsufficientPrivilege):
            as_role(log, role).execute("DELETE FROM docmeta.audit_log_seals")
        with pytest.raises(InsufficientPrivilege):
            as_role(log, role).execute("INSERT INTO docmeta.audit_log_seals DEFAULT VALUES")


def test_an_auditor_sees_what_befell_his_tenant_alone(log: Database) -> None:
    for table in ("audit_log", "audit_log_first"):
        log.query(f"ALTER TABLE docmeta.{table} DISABLE TRIGGER ALL")
    log.query("DELETE FROM docmeta.audit_log WHERE tenant_id = 2 AND id = 20")
    verifying = "SELECT tenant_id, finding, entry_id FROM docmeta.verify_audit_log()"
    for tenant, found in ((1, []), (2, [(2, "removed", 20)]), (3, [])):
        auditor = as_role(log, "auditor", tenant)
        auditor.execute(verifying)
        assert auditor.fetchall() == found
        auditor.execute("SELECT DISTINCT tenant_id FROM docmeta.audit_log_seals")
        assert auditor.fetchall() == [(tenant,)] * (tenant < 3)
    auditor.execute("RESET docmeta.tenant_id")
    with pytest.raises(psycopg2.Error, match=r"docmeta\.tenant_id is not set"):
        auditor.execute(verifying)


def test_an_auditor_finds_what_was_put_where_only_others_were_sealed_since(log: Database) -> None:
    """All tenants are sealed at once, so it was not there then, and will never be sealed."""
    seal(log)  # tenant 1 has entries since, and tenant 2 has none
    log.query(
        "INSERT INTO docmeta.audit_log (tenant_id, id, entity_type, entity_id, action, new_row) "
        "OVERRIDING SYSTEM VALUE VALUES (2, 86, 'documents', 9, 'insert', '{}')"
    )
    for _ in range(2):
        auditor = as_role(log, "auditor", 2)
        auditor.execute("SELECT tenant_id, finding, entry_id FROM docmeta.verify_audit_log()")
        assert auditor.fetchall() == [(2, "inserted", 86)]
        append(log, 1)
        seal(log)


def test_a_hostile_search_path_runs_nothing_of_its_own(log: Database) -> None:
    """Neither a function, nor an operator or a type that the caller has made."""
    log.query(
        "CREATE ROLE seal_hostile LOGIN; GRANT docmeta_retention, docmeta_auditor TO seal_hostile"
    )
    try:
        log.query("CREATE SCHEMA hostile AUTHORIZATION seal_hostile")
        session = log.connect(user="seal_hostile", options="-c docmeta.tenant_id=1").cursor()
        for schema in ("hostile", "pg_temp"):
            for name, arguments, returns in (
                ("sha256", "bytea", "bytea"),
                ("int8send", "bigint", "bytea"),
                ("clock_timestamp", "", "timestamptz"),
                ("date_trunc", "text, timestamptz, text", "timestamptz"),
                ("format", "text, VARIADIC text[]", "text"),
                ("pg_sleep", "double precision", "void"),
                ("max", "bigint", "bigint"),
            ):
                session.execute(
                    f"CREATE FUNCTION {schema}.{name}({arguments}) RETURNS {returns} "
                    "LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile'; END $$"
                )
            session.execute(f"CREATE DOMAIN {schema}.text AS pg_catalog.text CHECK (false)")
        session.execute("CREATE TEMP TABLE audit_log_seals (); CREATE TEMP TABLE pg_locks ()")
        session.execute("SET search_path = pg_temp, hostile, pg_catalog")
        session.execute("SELECT * FROM docmeta.seal_audit_log()")
        assert len(session.fetchall()) == 1
        session.execute("SELECT * FROM docmeta.verify_audit_log()")
        assert session.fetchall() == []
        for _ in range(4):
            session.execute("SELECT * FROM docmeta.make_audit_log_months(1)")
        session.execute("SELECT * FROM docmeta.drop_audit_log_months('1 month')")
    finally:
        log.query("DROP OWNED BY seal_hostile CASCADE; DROP ROLE seal_hostile")


# Retention ------------------------------------------------------------------------------------


@pytest.fixture
def old(docs: Database) -> Database:
    """Entries of two tenants in months of their own from January to March 2020, not sealed."""
    docs.query("DROP TABLE docmeta.audit_log_first")
    for month in range(1, 5):
        docs.query(
            f"CREATE TABLE docmeta.audit_log_2020_0{month} PARTITION OF docmeta.audit_log "
            f"FOR VALUES FROM ('2020-0{month}-01 00:00+00') TO ('2020-0{month + 1}-01 00:00+00')"
        )
        docs.query(f"ALTER TABLE docmeta.audit_log_2020_0{month} OWNER TO docmeta_owner")
    for month in range(1, 4):
        for tenant in (1, 2):
            append(docs, 5, tenant, f"2020-0{month}-10 00:00+00")
    return docs


def drop(db: Database) -> list[str]:
    keep = "SELECT docmeta.drop_audit_log_months(now() - '2020-03-15')"
    return [name for (name,) in db.query(keep)]


def test_only_sealed_months_are_dropped(old: Database) -> None:
    session = old.connect()
    session.cursor().execute("SELECT docmeta.drop_audit_log_months(now() - '2020-03-15')")
    assert "audit_log_2020_01 has entries that are not sealed" in session.notices[-1]
    assert old.value("SELECT count(*) FROM docmeta.audit_log") == 30
    seal(old)
    append(old, 1, 3, "2020-02-20 00:00+00")  # late, and not sealed
    assert drop(old) == ["audit_log_2020_01"]
    assert verify(old) == []
    seal(old)
    assert drop(old) == ["audit_log_2020_02"]
    assert verify(old) == []
    assert old.value("SELECT count(*) FROM docmeta.audit_log") == 10


def test_verification_starts_at_the_oldest_retained_seal(old: Database) -> None:
    seal(old)
    assert drop(old) == ["audit_log_2020_01", "audit_log_2020_02"]
    assert verify(old) == []
    cursor = free_of_rules(old).cursor()
    for statement, finding in [
        ("DELETE FROM docmeta.audit_log WHERE id = 21", [(1, "removed", 21)]),
        # What was dropped does not come back as something else.
        (
            "INSERT INTO docmeta.audit_log (id, occurred_at, entity_type, entity_id, action, "
            "new_row) OVERRIDING SYSTEM VALUE VALUES (3, '2020-01-10', 'x', 1, 'insert', '{}')",
            [(1, "edited", 3)],
        ),
        # Nobody but retention drops a month.
        ("DROP TABLE docmeta.audit_log_2020_03", [(1, "removed", 21), (2, "removed", 26)]),
        ("DELETE FROM docmeta.audit_log_seals WHERE kind = 'dropped'",
            [(1, "removed", 1), (2, "removed", 6)]),
    ]:  # fmt: skip
        cursor.execute("SAVEPOINT before")
        cursor.execute(statement)
        cursor.execute("SELECT tenant_id, finding, entry_id FROM docmeta.verify_audit_log()")
        assert cursor.fetchall() == finding, statement
        cursor.execute("ROLLBACK TO before")


def test_that_months_were_dropped_is_sealed(old: Database) -> None:
    seal(old)
    drop(old)
    assert old.query(
        "SELECT tenant_id, seal_no, month, sealed_by = session_user FROM docmeta.audit_log_seals "
        "WHERE kind = 'dropped' AND month = '2020-03-01 00:00+00' ORDER BY tenant_id"
    ) == [
        (t, 4, m, True)
        for t, m in old.query(
            "SELECT t, '2020-03-01 00:00+00'::timestamptz FROM generate_series(1, 2) t"
        )
    ]


# Rollback -------------------------------------------------------------------------------------


def test_seals_are_parked_and_go_on(log: Database) -> None:
    seals = log.query("SELECT * FROM docmeta.audit_log_seals ORDER BY tenant_id, seal_no")
    migrate(log, "down", "--to", BEFORE, "--yes")
    assert len(log.rows("docmeta_parked")["audit_log_seals"]) == len(seals)
    append(log, 4, 2)
    migrate(log, "up", "--to", SEALED)
    assert log.query("SELECT * FROM docmeta.audit_log_seals ORDER BY 1, 2") == seals
    assert log.value("SELECT to_regnamespace('docmeta_parked')") is None
    assert verify(log) == []
    assert seal(log) == [(1, 5, 3), (2, 5, 4)]
    assert verify(log) == []


def test_seals_are_discarded_on_request(log: Database) -> None:
    migrate(log, "down", "--to", BEFORE, "--yes", PGOPTIONS="-c docmeta.on_rollback=discard")
    assert log.value("SELECT to_regnamespace('docmeta_parked')") is None
    migrate(log, "up", "--to", SEALED)
    assert log.value("SELECT count(*) FROM docmeta.audit_log_seals") == 0


def test_a_strangers_parked_seals_are_refused(docs: Database) -> None:
    migrate(docs, "down", "--to", BEFORE, "--yes")
    docs.query("""
        CREATE ROLE seal_stranger;
        CREATE SCHEMA docmeta_parked AUTHORIZATION seal_stranger;
        CREATE TABLE docmeta_parked.audit_log_seals (tenant_id bigint);
    """)
    try:
        said = migrate(docs, "up", "--to", SEALED, code=1)
        assert "docmeta_parked belongs to seal_stranger" in said
    finally:
        docs.query("DROP OWNED BY seal_stranger CASCADE; DROP ROLE seal_stranger")
