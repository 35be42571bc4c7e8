"""Rows 3, 5 and 6 of the fault matrix: ghosts, tables that others hold, half-built indexes.

Signals and notices, too. Real processes are killed with -9, interrupted, or kept from a table.
"""

import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg2.extensions import connection

from database import MIGRATE, SAFE_YOYO, Database, Runner, run
from faults.common import OURS, Outcome, Process, Start, until
from pgproof.lock import KEY

# Written by each run: its session, and those of other runs that are there at that moment.
RAN = """
    INSERT INTO public.ran (pid, others) SELECT pg_backend_pid(), array(
        SELECT pid FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND application_name = 'migrate');
"""
OUTSIDE = "-- transactional: false\n"

# What a run is busy with, and the event that its session then waits for. The first sleeps once.
BUSY = {
    "asleep": (
        "SELECT pg_sleep(30) WHERE NOT EXISTS (SELECT FROM public.awake);",
        "PgSleep",
    ),
    "queueing for a table": (
        "SET LOCAL lock_timeout = '60s'; ALTER TABLE public.held ADD COLUMN note text;",
        "relation",
    ),
    "building an index": (
        "CREATE INDEX CONCURRENTLY held_id_idx ON public.held (id);",
        "virtualxid",
    ),
}

TELL = "DO $$ BEGIN RAISE NOTICE '% is %', {0}, current_setting({0}); END $$;\n"
LOCK_TIMEOUT = TELL.format("'lock_timeout'")


@pytest.fixture
def db(db: Database) -> Database:
    """A database with what the migrations here work on."""
    db.query(
        "CREATE TABLE public.held (id int); INSERT INTO public.held VALUES (1), (2);"
        "CREATE TABLE public.awake (id int);"
        "CREATE TABLE public.ran (at int GENERATED ALWAYS AS IDENTITY, pid int, others int[])"
    )
    return db


def write(folder: Path, name: str, forward: str) -> None:
    (folder / f"{name}.sql").write_text(forward)
    (folder / f"{name}.rollback.sql").write_text("SELECT 1;\n")


def waiting(db: Database, event: str) -> int:
    """Return the server process of the run that waits for an event, or 0."""
    found = db.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'migrate' AND wait_event = %s",
        [event],
    )
    return int(found[0][0]) if found else 0


def polling(db: Database) -> int:
    """Return the server process of a run that waits for the migration lock, or 0."""
    found = db.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'migrate' AND state = 'idle' "
        "AND query ~ '^SELECT CASE WHEN pg_try_advisory_lock'"
    )
    return int(found[0][0]) if found else 0


def lives(db: Database, pid: int) -> bool:
    return bool(db.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]))


def history(db: Database) -> list[str]:
    return [name for (name,) in db.query("SELECT migration_id FROM _yoyo_migration ORDER BY 1")]


def log(db: Database) -> list[str]:
    return [
        f"{operation} {name}"
        for operation, name in db.query(
            "SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc"
        )
    ]


def in_the_way(db: Database, name: str = "report of March") -> connection:
    """Return a session in an open transaction that has read and written the table."""
    holder = db.connect(application_name=name)
    with holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO public.held SELECT max(id) + 1 FROM public.held")
    return holder


def ended(process: Process, code: int) -> str:
    """Wait for the end of a run, and return what it said on stderr."""
    said = process.communicate(timeout=20)
    assert process.returncode == code, said
    assert "Traceback" not in said[1]
    return said[1]


def told(runner: Runner, **settings: str) -> Runner:
    """Return a runner whose URL has settings in it."""
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    if runner.name == MIGRATE.name:
        return replace(runner, all_up=("up", "-d", f"postgresql://?{query}", "--sql"))
    return replace(runner, all_up=(*runner.all_up[:-1], f"{runner.all_up[-1]}?{query}"))


# Row 3: ghosts --------------------------------------------------------------------------------


@OURS
@pytest.mark.parametrize("busy", BUSY)
def test_a_ghost_is_gone_in_two_seconds_and_overlaps_no_second_run(
    busy: str, runner: Runner, db: Database, folder: Path, start: Start, outcome: Outcome
) -> None:
    sql, event = BUSY[busy]
    write(folder, "0001_busy", (OUTSIDE if "INDEX" in sql else "") + RAN + sql)
    holder = in_the_way(db)
    first = start(runner)
    ghost = until(lambda: waiting(db, event))
    second = start(runner)
    follower = until(lambda: polling(db))
    db.query("INSERT INTO public.awake VALUES (1)")
    first.kill()
    killed = time.monotonic()
    until(lambda: not lives(db, ghost), within=2)
    took = time.monotonic() - killed
    if busy != "asleep":
        assert until(lambda: waiting(db, event)) == follower
    holder.close()
    ended(second, 0)
    runs = db.query("SELECT pid, others FROM public.ran ORDER BY at")
    assert runs[-1][0] == follower
    assert ghost not in runs[-1][1], "the second run began while the ghost was there"
    assert history(db) == ["0001_busy"]
    assert db.query("SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    assert db.query("SELECT 1 FROM yoyo_lock") == []
    outcome(30, f"kill -9 of {runner.name}, {busy}", f"gone after {took:.1f} s")


# Row 5: a table that others hold --------------------------------------------------------------


@OURS
def test_a_migration_gives_way_to_readers_and_names_who_is_in_the_way(
    runner: Runner, db: Database, folder: Path, start: Start, outcome: Outcome
) -> None:
    write(folder, "0001_note", "\nALTER TABLE public.held ADD COLUMN note text;\n")
    holder = in_the_way(db)
    pid = holder.info.backend_pid
    reader = db.connect(options="-c statement_timeout=10s")
    process = start(told(runner, lock_retries="5"))
    longest, queued = 0.0, 0
    while process.poll() is None:
        queued += bool(waiting(db, "relation"))
        began = time.monotonic()
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM public.held")
        longest = max(longest, time.monotonic() - began)
    said = ended(process, 1)
    assert queued, "no reader came while the migration queued"
    assert longest < 1, "a reader waited longer than the migration's lock_timeout of 0.2 s"
    user = db.value("SELECT current_user")
    program = "migrate" if runner.name == MIGRATE.name else "yoyo"
    assert re.search(
        rf"^{program}: \S*0001_note\.sql, line 2: canceling statement due to lock timeout; "
        rf"in the way: process {pid} \({user}, report of March\) for \d+ s: "
        r"INSERT INTO public\.held SELECT max\(id\) \+ 1 FROM public\.held\n"
        r"Nothing of 0001_note was kept; mend the cause, and run again\.$",
        said,
        re.M,
    ), said
    assert history(db) == []
    holder.close()
    outcome(50, f"{runner.name}, a long transaction holds the table", f"readers {longest:.1f} s")


@OURS
def test_a_retry_succeeds_when_the_reader_leaves(
    runner: Runner, db: Database, folder: Path, start: Start, outcome: Outcome
) -> None:
    db.query("CREATE SEQUENCE public.tries")
    write(
        folder,
        "0001_note",
        f"SELECT nextval('public.tries');\n{RAN} ALTER TABLE public.held ADD COLUMN note text;",
    )
    holder = in_the_way(db)
    process = start(runner)
    until(lambda: db.value("SELECT last_value FROM public.tries") >= 3)
    holder.close()
    ended(process, 0)
    assert history(db) == ["0001_note"]
    assert log(db) == ["apply 0001_note"]
    assert db.query("SELECT note FROM public.held") == [(None,), (None,)]
    assert db.value("SELECT count(*) FROM public.ran") == 1, "a try that failed left something"
    outcome(50, f"{runner.name}, and the transaction ends", "the next try succeeds")


def test_a_statement_outside_a_transaction_is_tried_again_alone(
    db: Database, folder: Path, start: Start
) -> None:
    write(folder, "0001_note", f"{OUTSIDE}{RAN} ALTER TABLE public.held ADD COLUMN note text;")
    holder = in_the_way(db)
    process = start(MIGRATE)
    until(lambda: waiting(db, "relation"))
    until(lambda: not waiting(db, "relation"))
    holder.close()
    ended(process, 0)
    assert db.query("SELECT note FROM public.held") == [(None,), (None,)]
    assert db.value("SELECT count(*) FROM public.ran") == 1, "what was done was done again"


def test_no_lock_timeout_strikes_an_index_built_concurrently(
    db: Database, folder: Path, start: Start
) -> None:
    write(folder, "0001_index", OUTSIDE + BUSY["building an index"][0])
    holder = in_the_way(db)
    process = start(told(MIGRATE, lock_timeout="50ms", lock_retries="0"))
    pid = until(lambda: waiting(db, "virtualxid"))
    until(
        lambda: db.query(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s "
            "AND clock_timestamp() - query_start > '300ms'",
            [pid],
        )
    )
    holder.close()
    ended(process, 0)
    assert db.query("SELECT indisvalid FROM pg_index WHERE indrelid = 'public.held'::regclass") == [
        (True,)
    ]


# The settings, each in every way there is to give it ------------------------------------------

PROJECT = (
    "[DEFAULT]\nsources = %(here)s/migrations\ndatabase = postgresql+pgproof://?"
    "lock_timeout=%(lock_timeout)s&lock_retries=%(lock_retries)s&wait=%(wait)s\n"
)
INI = "lock_timeout = 70ms\nlock_retries = 2\nwait = 150ms\n"
OTHER_INI = "lock_timeout = 9s\nlock_retries = 9\nwait = 9s\n"
URL = "?lock_timeout=70ms&lock_retries=2&wait=150ms"
OTHER_URL = "?lock_timeout=8s&lock_retries=8&wait=8s"
OPTIONS = ("--lock-timeout", "70ms", "--lock-retries", "2", "--wait", "150ms")
YOYO = (*SAFE_YOYO.program, "apply", "--batch")
UP = (*MIGRATE.program, "up")

WAYS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "migrate, yoyo.ini": (INI, {}, UP),
    "migrate, --database": (OTHER_INI, {}, (*UP, "--database", f"postgresql://{URL}")),
    "migrate, DATABASE_URL": (OTHER_INI, {"DATABASE_URL": f"postgresql+pgproof://{URL}"}, UP),
    "migrate, options": (OTHER_INI, {"DATABASE_URL": f"postgresql://{OTHER_URL}"}, (*UP, *OPTIONS)),
    "yoyo, yoyo.ini": (INI, {}, YOYO),
    "yoyo, --database": (OTHER_INI, {}, (*YOYO, "-d", f"postgresql+pgproof://{URL}")),
}


def project(
    way: str, db: Database, folder: Path, code: int = 1
) -> tuple["subprocess.CompletedProcess[str]", float]:
    """Run one way of WAYS in a project whose yoyo.ini has its settings; also give its seconds."""
    ini, variables, command = WAYS[way]
    (folder.parent / "yoyo.ini").write_text(PROJECT + ini)
    environment = {**db.environment, "PGPROOF_PROJECT": str(folder.parent), **variables}
    began = time.monotonic()
    done = run(*command, environment=environment, cwd=folder.parent, code=code)
    assert "Traceback" not in done.stderr
    return done, time.monotonic() - began


@pytest.mark.parametrize("way", WAYS)
def test_lock_timeout_takes_effect(way: str, db: Database, folder: Path) -> None:
    write(folder, "0001_tell", LOCK_TIMEOUT)
    done, _ = project(way, db, folder, code=0)
    assert "lock_timeout is 70ms\n" in done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_lock_retries_takes_effect(way: str, db: Database, folder: Path) -> None:
    write(folder, "0001_try", LOCK_TIMEOUT + "ALTER TABLE public.held ADD COLUMN note text;")
    in_the_way(db)
    done, _ = project(way, db, folder)
    assert done.stderr.count("lock_timeout is 70ms\n") == 3, "one try, and two again"


@pytest.mark.parametrize("way", WAYS)
def test_wait_takes_effect(way: str, db: Database, folder: Path) -> None:
    write(folder, "0001_nothing", "SELECT 1;")
    db.query("SELECT pg_advisory_lock(%s)", [KEY])
    done, took = project(way, db, folder)
    assert f"the migration lock is held by process {db.value('SELECT pg_backend_pid()')} " in (
        done.stderr
    )
    assert "Waited 0.15 s." in done.stderr
    assert 0.15 < took < 5


@OURS
def test_without_a_setting_the_lock_timeout_is_200_ms(
    runner: Runner, db: Database, folder: Path
) -> None:
    write(folder, "0001_tell", LOCK_TIMEOUT)
    assert "lock_timeout is 200ms\n" in runner.on(folder).up(db).stderr


@OURS
@pytest.mark.parametrize(
    "loses",
    [
        "RESET lock_timeout;",
        "RESET ALL;",
        "SET lock_timeout = 0; SET LOCAL lock_timeout = 0; RESET ALL;",
        "SET lock_timeout TO DEFAULT;",
    ],
)
def test_a_file_does_not_lose_the_lock_timeout(
    loses: str, runner: Runner, db: Database, folder: Path
) -> None:
    write(folder, "0001_lose", loses + LOCK_TIMEOUT)
    write(folder, "0002_tell", LOCK_TIMEOUT)
    done = told(runner, lock_timeout="150ms").on(folder).up(db)
    assert done.stderr.count("lock_timeout is 150ms\n") == 2


@OURS
def test_the_next_file_does_not_inherit_a_lock_timeout(
    runner: Runner, db: Database, folder: Path
) -> None:
    write(folder, "0001_set", "SET lock_timeout = '7s';" + LOCK_TIMEOUT)
    write(folder, "0002_tell", LOCK_TIMEOUT)
    write(folder, "0003_outside", f"{OUTSIDE}SELECT 1; SET lock_timeout = '5s';\n")
    write(folder, "0004_tell", LOCK_TIMEOUT)
    found = re.findall(r"lock_timeout is (\w+)", runner.on(folder).up(db).stderr)
    assert found == ["7s", "200ms", "200ms"]


@pytest.mark.parametrize(
    "runner",
    [
        MIGRATE,
        SAFE_YOYO,
    ],
    ids=lambda runner: runner.name,
)
def test_pgoptions_and_the_urls_options_are_merged_with_ours(
    runner: Runner, db: Database, folder: Path
) -> None:
    names = ("lock_timeout", "docmeta.on_rollback", "docmeta.other", "work_mem")
    write(folder, "0001_tell", "".join(TELL.format(f"'{name}'") for name in names))
    runner = told(runner, options="-c%20docmeta.other%3Dboth").on(folder)
    done = runner.up(db, PGOPTIONS="-c docmeta.on_rollback=discard -c work_mem=5MB")
    found = dict(re.findall(r"NOTICE:  (\S+) is (\S+)", done.stderr))
    assert found == dict(zip(names, ("200ms", "discard", "both", "5MB"), strict=True))


@OURS
def test_a_lock_timeout_of_pgoptions_goes_before_the_default(
    runner: Runner, db: Database, folder: Path
) -> None:
    write(folder, "0001_tell", LOCK_TIMEOUT)
    # Where no yoyo.ini gives one, as this project's does.
    elsewhere = str(folder)
    done = runner.on(folder).up(db, PGOPTIONS="-c lock_timeout=1s", PGPROOF_PROJECT=elsewhere)
    assert "lock_timeout is 1s\n" in done.stderr


def test_an_index_that_meets_its_files_own_lock_timeout_is_tried_again_from_the_start(
    db: Database, folder: Path, start: Start
) -> None:
    own = f"{OUTSIDE}SET lock_timeout = '100ms';\n"
    write(folder, "0001_index", f"{own}CREATE INDEX CONCURRENTLY held_idx ON public.held (id);")
    holder = in_the_way(db)
    said = told(MIGRATE, lock_retries="1").on(folder).up(db, code=1).stderr
    assert "canceling statement due to lock timeout; in the way: process" in said
    assert "index public.held_idx is INVALID, and the next run builds it anew" in said
    process = start(MIGRATE)
    until(lambda: waiting(db, "virtualxid"))
    holder.close()
    ended(process, 0)
    assert db.value("SELECT indisvalid FROM pg_index WHERE indrelid = 'public.held'::regclass")


@OURS
def test_a_lock_timeout_that_is_given_goes_before_that_of_pgoptions(
    runner: Runner, db: Database, folder: Path
) -> None:
    write(folder, "0001_tell", LOCK_TIMEOUT)
    done = told(runner, lock_timeout="0.4ms").on(folder).up(db, PGOPTIONS="-c lock_timeout=9s")
    assert "lock_timeout is 1ms\n" in done.stderr, "and no 0, which is to wait for ever"


def test_a_lock_timeout_that_postgresql_does_not_take_is_refused(
    db: Database, folder: Path
) -> None:
    write(folder, "0001_tell", LOCK_TIMEOUT)
    assert (
        told(MIGRATE, lock_timeout="597h")
        .on(folder)
        .up(db, code=2)
        .stderr.endswith(
            "migrate: lock_timeout is more than PostgreSQL takes\nGive 596h at most.\n"
        )
    )
    told(MIGRATE, lock_timeout="596h").on(folder).up(db)


# Row 6: an index whose build fails half-way ----------------------------------------------------

HALF_BUILT = {
    "no blanks": (
        'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS"a b"ON"On"(id)',
        'public."On"',
        'public."a b"',
    ),
    "IF NOT EXISTS": (
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS twice_key ON public.twice (id)",
        "public.twice",
        "public.twice_key",
    ),
    "plain": (
        "CREATE UNIQUE INDEX CONCURRENTLY twice_key ON twice USING btree (id)",
        "public.twice",
        "public.twice_key",
    ),
    "quoted and qualified": (
        'CREATE UNIQUE INDEX CONCURRENTLY "The ""Key"" ON it" ON "My Schema"."On. Twice" (id)',
        '"My Schema"."On. Twice"',
        '"My Schema"."The ""Key"" ON it"',
    ),
    "beyond ASCII": (
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \u00c4pfel_Key ON twice (id)",
        "public.twice",
        'public."\u00c4pfel_key"',
    ),
    "with comments": (
        "CREATE unique INDEX /* 1 */ CONCURRENTLY IF NOT EXISTS -- 2\n Key_2 ON Public.Twice (id)",
        "public.twice",
        "public.key_2",
    ),
}


@OURS
@pytest.mark.parametrize(
    "case",
    HALF_BUILT,
)
def test_a_half_built_index_is_named_and_built_anew(
    case: str, runner: Runner, db: Database, folder: Path, outcome: Outcome
) -> None:
    statement, table, index = HALF_BUILT[case]
    db.query(f'CREATE SCHEMA "My Schema"; CREATE TABLE {table} (id int)')
    db.query(f"INSERT INTO {table} VALUES (1), (1), (2)")
    write(folder, "0001_key", f"{OUTSIDE}{statement};\n")
    for _ in range(2):  # the second failure is told as the first
        said = runner.on(folder).up(db, code=1).stderr
        assert "could not create unique index" in said
        assert "(Key (id)=(1) is duplicated.)" in said
        assert "0001_key is not transactional: 0 of its 1 statements are done" in said
        assert f"; index {index} is INVALID, and the next run builds it anew." in said
        assert history(db) == []
        assert db.query("SELECT 1 FROM yoyo_lock") == []
    db.query(f"DELETE FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table})")
    runner.on(folder).up(db)
    assert db.query(
        "SELECT indexrelid = %s::regclass, indisvalid FROM pg_index WHERE indrelid = %s::regclass",
        [index, table],
    ) == [(True, True)]
    assert history(db) == ["0001_key"]
    assert log(db) == ["begin 0001_key", "apply 0001_key"]
    outcome(50, f"{runner.name}, duplicate rows under a unique index ({case})", "built anew")


def test_an_index_of_an_interrupted_run_is_not_trusted_once_its_file_is_edited(
    db: Database, folder: Path
) -> None:
    first = "CREATE INDEX CONCURRENTLY IF NOT EXISTS twice_idx ON public.twice (%s);\n"
    then = "CREATE UNIQUE INDEX CONCURRENTLY twice_key ON public.twice (id);\n"
    db.query("CREATE TABLE public.twice (id int, n int); INSERT INTO twice VALUES (1, 1), (1, 2)")
    write(folder, "0001_key", OUTSIDE + first % "id" + then)
    MIGRATE.on(folder).up(db, code=1)  # the first index is there, the second INVALID
    db.query("DELETE FROM public.twice WHERE n = 2")

    write(folder, "0001_key", OUTSIDE + first % "n" + then)
    said = MIGRATE.on(folder).up(db, code=1).stderr
    assert "index public.twice_idx is there, from a run that was interrupted; its file was" in said
    assert "(DROP INDEX CONCURRENTLY public.twice_idx)" in said
    assert history(db) == []

    write(folder, "0001_key", OUTSIDE + first % "id" + then)
    (folder / "0001_key.rollback.sql").write_text("DROP INDEX CONCURRENTLY twice_idx;\n")
    MIGRATE.on(folder).up(db)  # the forward half is what it was
    assert db.query(
        "SELECT indexrelid::regclass::text, indisvalid FROM pg_index "
        "WHERE indrelid = 'public.twice'::regclass ORDER BY 1"
    ) == [("twice_idx", True), ("twice_key", True)]


def test_a_valid_index_of_that_name_is_a_surprise(db: Database, folder: Path) -> None:
    db.query("CREATE INDEX held_id_idx ON public.held (id)")
    write(folder, "0001_index", OUTSIDE + BUSY["building an index"][0])
    said = MIGRATE.on(folder).up(db, code=1).stderr
    assert 'relation "held_id_idx" already exists' in said
    assert history(db) == []


# Signals ----------------------------------------------------------------------------------------


@OURS
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
@pytest.mark.parametrize("busy", [*BUSY, "waiting for the migration lock"])
def test_a_signal_ends_a_run_at_once(
    busy: str,
    sent: signal.Signals,
    runner: Runner,
    db: Database,
    folder: Path,
    start: Start,
    outcome: Outcome,
) -> None:
    sql, event = BUSY.get(busy, ("SELECT 1;", ""))
    write(folder, "0001_busy", (OUTSIDE if "INDEX" in sql else "") + RAN + sql)
    holder = in_the_way(db)
    if not event:
        db.query("SELECT pg_advisory_lock(%s)", [KEY])
    process = start(runner)
    pid = until(lambda: waiting(db, event) if event else polling(db))
    process.send_signal(sent)
    began = time.monotonic()
    said = ended(process, 128 + sent)
    took = time.monotonic() - began
    assert took < 1
    assert "KeyboardInterrupt" not in said
    until(lambda: not lives(db, pid), within=1)
    if event:
        assert history(db) == []
        assert db.query("SELECT 1 FROM yoyo_lock") == []
        if "INDEX" not in sql:
            assert db.query("SELECT 1 FROM public.ran") == [], "it was not rolled back"
    db.query("SELECT pg_advisory_unlock_all()::text; INSERT INTO public.awake VALUES (1)")
    holder.close()
    told(runner, wait="0s").on(folder).up(db)
    assert history(db) == ["0001_busy"]
    assert db.query("SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    outcome(50, f"{sent.name} to {runner.name}, {busy}", f"ended after {took:.1f} s")


# Notices ----------------------------------------------------------------------------------------


@OURS
@pytest.mark.parametrize("mode", ["", OUTSIDE], ids=["transactional", "not transactional"])
def test_notices_and_warnings_are_shown(
    mode: str, runner: Runner, db: Database, folder: Path
) -> None:
    write(
        folder,
        "0001_speak",
        f"{mode}DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$;\n"
        "DROP TABLE IF EXISTS public.nothing;\n",
    )
    said = runner.on(folder).up(db).stderr
    assert "NOTICE:  one\n" in said
    assert "WARNING:  two\n" in said
    assert 'NOTICE:  table "nothing" does not exist, skipping\n' in said


@OURS
def test_the_notices_of_a_failed_statement_are_shown(
    runner: Runner, db: Database, folder: Path
) -> None:
    write(folder, "0001_fail", "DO $$ BEGIN RAISE NOTICE 'row 7'; PERFORM 1 / 0; END $$;\n")
    assert "NOTICE:  row 7\n" in runner.on(folder).up(db, code=1).stderr


def test_no_notice_is_lost_where_there_are_many(db: Database, folder: Path) -> None:
    write(
        folder,
        "0001_speak",
        "DO $$ BEGIN FOR n IN 1..200 LOOP RAISE NOTICE 'row %', n; END LOOP; END $$;\n",
    )
    said = MIGRATE.on(folder).up(db).stderr
    assert re.findall(r"NOTICE:  row (\d+)\n", said) == [str(n) for n in range(1, 201)]


def test_a_notice_of_the_commit_is_shown(db: Database, folder: Path) -> None:
    write(
        folder,
        "0001_speak",
        "CREATE FUNCTION public.say() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE WARNING 'at commit'; RETURN NULL; END $$;\n"
        "CREATE CONSTRAINT TRIGGER said AFTER INSERT ON public.held DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION public.say();\n"
        "INSERT INTO public.held VALUES (9);\n",
    )
    assert "WARNING:  at commit\n" in MIGRATE.on(folder).up(db).stderr
