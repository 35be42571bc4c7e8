"""Row 4 of the fault matrix: runners started at the same instant, ours and those of stock yoyo.

Nothing may be applied twice, nothing may be missing, and nobody may meet a deadlock.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from database import MIGRATE, YOYO, Database, Runner
from faults.common import OURS, Amount, Outcome, Process, Start, until
from pgproof.lock import KEY

# Each file changes the accounts in a way that shows how often, and in which order, it ran. The
# pause is for others to meet it half-way.
FILES = {
    "0001_open": "CREATE TABLE public.account (id int, cents bigint);"
    "INSERT INTO public.account SELECT n, 1 FROM generate_series(1, 2000) AS n;",
    "0002_double": "UPDATE public.account SET cents = cents * 2; SELECT pg_sleep(0.1);",
    "0003_add": "UPDATE public.account SET cents = cents + 5;",
    "0004_double": "UPDATE public.account SET cents = cents * 2;",
    "0005_note": "ALTER TABLE public.account ADD COLUMN note text;",
}
CENTS = 14
OUTSIDE = {
    "0006_index": "-- transactional: false\n"
    "CREATE UNIQUE INDEX CONCURRENTLY account_id_key ON public.account (id);",
    "0007_index": "-- transactional: false\n"
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS account_cents_idx ON public.account (cents);",
    "0008_double": "UPDATE public.account SET cents = cents * 2;",
}

# What a run does until the test lets it go on.
SLEEP = """
    DO $$ BEGIN
        WHILE NOT EXISTS (SELECT FROM public.awake) LOOP PERFORM pg_sleep(0.02); END LOOP;
    END $$;
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
        (folder / f"{name}.rollback.sql").write_text("SELECT 1;")


def empty(db: Database) -> None:
    """Make the database as it was before the first run."""
    db.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def ended(process: Process) -> tuple[int, str]:
    """Wait for the end of a run, and return its exit code and all that it said."""
    out, err = process.communicate(timeout=90)
    return process.returncode, out + err


def assert_each_applied_once(db: Database, files: Sequence[str]) -> None:
    applied = [(name,) for name in sorted(files)]
    assert db.query("SELECT migration_id FROM public._yoyo_migration ORDER BY 1") == applied
    assert (
        db.query("SELECT migration_id FROM public._yoyo_log WHERE operation = 'apply' ORDER BY 1")
        == applied
    )
    cents = CENTS * 2 if "0008_double" in files else CENTS
    assert db.query("SELECT cents, count(*) FROM public.account GROUP BY 1") == [(cents, 2000)]
    assert db.query("SELECT 1 FROM pg_index WHERE NOT indisvalid OR NOT indisready") == []
    assert db.query("SELECT 1 FROM public.yoyo_lock") == []
    assert db.advisory_locks(KEY) == []
    assert (
        db.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    )


def assert_ours_is_well(code: int, said: str) -> None:
    assert "Traceback" not in said
    assert "deadlock" not in said
    assert code == 0 or (code == 1 and "the migration lock is held by " in said), said


def assert_stock_is_well(code: int, said: str) -> None:
    assert "deadlock" not in said
    assert code == 0 or "yoyo.exceptions.LockTimeout" in said, said


# At the same instant --------------------------------------------------------------------------


@OURS
def test_eight_runners_on_an_empty_database(
    runner: Runner, db: Database, folder: Path, start: Start, amount: Amount, outcome: Outcome
) -> None:
    write(folder, FILES)
    times = amount(2, 10)
    for _ in range(times):
        empty(db)
        for process in [start(runner) for _ in range(8)]:
            assert_ours_is_well(*ended(process))
        assert_each_applied_once(db, list(FILES))
    outcome(40, f"8 {runner.name} on an empty database, {times} times", "each applied once")


@OURS
def test_eight_runners_on_an_index_to_be_built_concurrently(
    runner: Runner, db: Database, folder: Path, start: Start, amount: Amount, outcome: Outcome
) -> None:
    write(folder, FILES)
    times = amount(2, 10)
    for _ in range(times):
        empty(db)
        for name in OUTSIDE:
            (folder / f"{name}.sql").unlink(missing_ok=True)
            (folder / f"{name}.rollback.sql").unlink(missing_ok=True)
        MIGRATE.on(folder).up(db)
        write(folder, OUTSIDE)
        for process in [start(runner) for _ in range(8)]:
            assert_ours_is_well(*ended(process))
        assert_each_applied_once(db, [*FILES, *OUTSIDE])
    outcome(40, f"8 {runner.name}, an index CONCURRENTLY pending, {times} times", "applied once")


@pytest.mark.parametrize("more", [{}, OUTSIDE], ids=["transactional", "with CONCURRENTLY"])
def test_four_of_ours_with_four_of_stock_yoyo(
    more: dict[str, str],
    db: Database,
    folder: Path,
    start: Start,
    amount: Amount,
    outcome: Outcome,
) -> None:
    files = FILES | more
    write(folder, files)
    times = amount(1, 5)
    for _ in range(times):
        empty(db)
        mixed = [(runner, start(runner)) for _ in range(4) for runner in (YOYO, MIGRATE)]
        for runner, process in mixed:
            well = assert_stock_is_well if runner is YOYO else assert_ours_is_well
            well(*ended(process))
        MIGRATE.on(folder).up(db)  # what is left if all were shut out; no more than that
        assert_each_applied_once(db, list(files))
    what = "with an index CONCURRENTLY" if more else "on an empty database"
    outcome(40, f"4 migrate and 4 stock yoyo {what}, {times} times", "each applied once")


# One at a time --------------------------------------------------------------------------------


def asleep(db: Database) -> int:
    """Return the server process of the run that sleeps, or 0."""
    found = db.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event = 'PgSleep'"
    )
    return int(found[0][0]) if found else 0


@pytest.fixture
def sleepy(db: Database, folder: Path) -> None:
    """One migration that sleeps until `awake` has a row, and counts how often it ran."""
    db.query("CREATE TABLE public.awake (id int); CREATE TABLE public.ran (id int)")
    write(folder, {"0001_sleep": f"INSERT INTO public.ran VALUES (1); {SLEEP}"})


def assert_it_ran_once(db: Database) -> None:
    assert db.query("SELECT id FROM public.ran") == [(1,)]
    assert db.query("SELECT operation, migration_id FROM public._yoyo_log") == [
        ("apply", "0001_sleep")
    ]
    assert db.query("SELECT 1 FROM public.yoyo_lock") == []


def has_waited(db: Database, who: str) -> bool:
    """Whether a session that is not in a statement is there for longer than stock yoyo's pause."""
    return bool(
        db.query(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = %s AND pid <> pg_backend_pid() AND state = 'idle' "
            "AND clock_timestamp() - backend_start > '700ms'",
            [who],
        )
    )


@OURS
@pytest.mark.usefixtures("sleepy")
def test_a_stock_yoyo_that_runs_keeps_ours_out(
    runner: Runner, db: Database, folder: Path, start: Start, outcome: Outcome
) -> None:
    stock = start(YOYO)
    until(lambda: asleep(db))
    impatient = replace(runner, all_up=_waiting(runner, "200ms"))
    said = impatient.on(folder).up(db, code=1).stderr
    assert f"the migration lock is held by stock yoyo, process {stock.pid} of its machine" in said
    patient = start(runner)
    until(lambda: has_waited(db, "migrate"))
    assert db.query("SELECT pid FROM public.yoyo_lock") == [(stock.pid,)]
    db.query("INSERT INTO public.awake VALUES (1)")
    assert_ours_is_well(*ended(patient))
    assert ended(stock)[0] == 0
    assert_it_ran_once(db)
    outcome(40, f"{runner.name} while stock yoyo runs", "waits, and names it")


@OURS
@pytest.mark.usefixtures("sleepy")
def test_a_run_of_ours_keeps_stock_yoyo_out(
    runner: Runner, db: Database, start: Start, amount: Amount, outcome: Outcome
) -> None:
    ours = start(runner)
    pid = until(lambda: asleep(db))
    if amount(0, 1):
        code, said = ended(start(YOYO))
        assert code != 0
        assert "yoyo.exceptions.LockTimeout" in said
    stock = start(YOYO)
    until(lambda: has_waited(db, ""))
    assert db.query("SELECT pid FROM public.yoyo_lock") == [(-pid,)]
    db.query("INSERT INTO public.awake VALUES (1)")
    assert_ours_is_well(*ended(ours))
    assert ended(stock)[0] == 0
    assert_it_ran_once(db)
    outcome(40, f"stock yoyo while {runner.name} runs", "waits 10 s, then its own LockTimeout")


@OURS
@pytest.mark.usefixtures("sleepy")
def test_the_row_of_a_killed_run_keeps_none_of_ours_out(
    runner: Runner, db: Database, folder: Path, start: Start, outcome: Outcome
) -> None:
    killed = start(runner)
    pid = until(lambda: asleep(db))
    killed.kill()
    killed.wait()
    until(lambda: not db.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]), within=2)
    assert db.query("SELECT pid FROM public.yoyo_lock") == [(-pid,)]
    db.query("INSERT INTO public.awake VALUES (1)")
    replace(runner, all_up=_waiting(runner, "0s")).on(folder).up(db)
    assert_it_ran_once(db)
    outcome(40, f"the row left by {runner.name} killed with -9", "the next run removes it")


def _waiting(runner: Runner, wait: str) -> tuple[str, ...]:
    if runner.name == MIGRATE.name:
        return ("up", "--wait", wait, "--sql")
    return (*runner.all_up[:-1], f"{runner.all_up[-1]}?wait={wait}")
