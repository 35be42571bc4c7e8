"""Laws of a run that dies: kill -9 of the client, the end of its session, the crash of its server.

Wherever that strikes, a transactional migration is done whole or not at all, and history says
which; and the next run, without a hand's help, ends where one that nobody disturbed ends.
"""

import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from database import Database
from faults.common import Amount, Outcome
from pgproof import catalog
from pgproof.server import Server, find_binaries

Deed = Callable[[int], None]  # what is done to a halted run, by its process number

GONE = 2.0  # seconds after which no session of a dead client may be left
PATIENCE = 60.0

BANK = """
    CREATE SCHEMA bank;
    CREATE TABLE bank.account (id int PRIMARY KEY, owner text NOT NULL, balance int NOT NULL);
    INSERT INTO bank.account SELECT n, 'owner ' || n, n FROM generate_series(1, 50) AS n;
"""

FILES = {
    "transactional": (
        """
        SET LOCAL lock_timeout = '200ms';
        CREATE TABLE bank.entry (account int REFERENCES bank.account, amount int);
        INSERT INTO bank.entry SELECT id, balance FROM bank.account;
        UPDATE bank.account SET balance = balance * 2;
        ALTER TABLE bank.account ADD COLUMN note text NOT NULL DEFAULT 'new';
        """,
        """
        ALTER TABLE bank.account DROP COLUMN note;
        UPDATE bank.account SET balance = balance / 2;
        DROP TABLE bank.entry;
        """,
    ),
    "concurrent": (
        """-- transactional: false
        CREATE UNIQUE INDEX CONCURRENTLY account_owner_key ON bank.account (owner);
        CREATE INDEX CONCURRENTLY account_balance_idx ON bank.account (balance);
        """,
        """
        DROP INDEX CONCURRENTLY bank.account_balance_idx;
        DROP INDEX CONCURRENTLY bank.account_owner_key;
        """,
    ),
}
MIXED = {
    "0001_entry": (
        """CREATE TABLE bank.entry (account int NOT NULL, amount int NOT NULL);
        INSERT INTO bank.entry SELECT id, balance FROM bank.account;""",
        "DROP TABLE bank.entry;",
    ),
    "0002_owner": (
        """-- transactional: false
        CREATE UNIQUE INDEX CONCURRENTLY account_owner_key ON bank.account (owner);""",
        "DROP INDEX CONCURRENTLY bank.account_owner_key;",
    ),
    "0003_double": (
        "UPDATE bank.account SET balance = balance * 2;",
        "UPDATE bank.account SET balance = balance / 2;",
    ),
    "0004_amount": (
        """-- transactional: false
        CREATE INDEX CONCURRENTLY entry_amount_idx ON bank.entry (amount);
        CREATE INDEX CONCURRENTLY entry_account_idx ON bank.entry (account);""",
        """DROP INDEX CONCURRENTLY bank.entry_account_idx;
        DROP INDEX CONCURRENTLY bank.entry_amount_idx;""",
    ),
    "0005_note": (
        "ALTER TABLE bank.entry ADD COLUMN note text; UPDATE bank.entry SET note = 'old';",
        "ALTER TABLE bank.entry DROP COLUMN note;",
    ),
    "0006_new": (
        "INSERT INTO bank.entry SELECT id, balance, 'new' FROM bank.account;",
        "DELETE FROM bank.entry WHERE note = 'new';",
    ),
}
WORDS = {"up": ("up",), "down": ("down", "--all", "--yes")}
KINDS = tuple(FILES)
WAYS = tuple(WORDS)
HISTORY = "RESET SESSION AUTHORIZATION"  # the message that writes history and commits begins so


# What is there, and what was done ---------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A database: its schema, its rows, what history says is applied, and what was logged."""

    catalog: tuple[str, ...]
    rows: dict[str, list[str]]
    applied: tuple[str, ...]
    log: tuple[tuple[str, str], ...]
    lock: int

    @classmethod
    def of(cls, db: Database) -> "State":
        db = replace(db, _connections=[])  # a connection of before may be dead

        def history(query: str) -> tuple[Any, ...]:
            try:
                return tuple(db.query(query))
            except psycopg2.errors.UndefinedTable:
                return ()

        found = cls(
            tuple(catalog.read(db.connect())),
            db.rows("bank"),
            tuple(id_ for (id_,) in history("SELECT migration_id FROM _yoyo_migration ORDER BY 1")),
            history("SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc, id"),
            len(history("SELECT pid FROM yoyo_lock")),
        )
        db.close()
        return found

    def is_as(self, other: "State") -> bool:
        """Whether the two are the same, but for the row by which stock yoyo is kept out."""
        return replace(self, lock=0) == replace(other, lock=0)

    def under_way(self) -> str | None:
        """The migration that began outside a transaction, and has not ended."""
        operation, id_ = self.log[-1] if self.log else ("", "")
        return id_ if operation == "begin" else None


@dataclass(frozen=True)
class Ended:
    """A run that is over: its exit code (negative: the signal), what it said, where it had been."""

    code: int
    out: str
    err: str
    points: list[str]


class Runs:
    """The process that forks runs of `migrate`, and halts each where it is told: see dying.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("dying.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, db: Database, words: Sequence[str], point: int = 0, deed: Deed | None = None
    ) -> Ended:
        """Run `migrate`, and do the deed when it halts at a point; with no point it goes on."""
        self._say(json.dumps({"words": words, "environment": db.environment, "point": point}))
        heard = self._hear()
        if deed is not None:
            assert "halted" in heard, f"there was no point {point}: {heard}"
            try:
                deed(heard["halted"])
            finally:
                self._say("go on")
                heard = self._hear()
        return Ended(**heard)

    def _say(self, line: str) -> None:
        assert self.process.stdin
        print(line, file=self.process.stdin, flush=True)

    def _hear(self) -> Any:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        assert ready, "the run does not end"
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    made = Runs()
    yield made
    made.close()


def write(folder: Path, name: str, halves: tuple[str, str]) -> None:
    for suffix, text in zip((".sql", ".rollback.sql"), halves, strict=True):
        (folder / f"{name}{suffix}").write_text(text)


class Trial:
    """One file, run one way, on clones of one database; with what it does if nobody disturbs it."""

    def __init__(self, watcher: Database, runs: Runs, folder: Path, kind: str, way: str) -> None:
        self.watcher, self.runs, self.kind, self.way = watcher, runs, kind, way
        self.id = f"0001_{kind}"
        write(folder, self.id, FILES[kind])
        self.words = [*WORDS[way], "--sql", str(folder)]
        self.template = self._other("template")
        self.close()  # one that a failure left
        self.watcher.query(f'CREATE DATABASE "{self.template.dbname}"')
        self.template.query(BANK)
        self.template.close()
        if way == "down":
            ended = runs.run(self.template, ["up", "--sql", str(folder)])
            assert ended.code == 0, ended.err
        self.before = State.of(self.template)
        with self.clone() as undisturbed:
            ended = runs.run(undisturbed, self.words)
            assert ended.code == 0, ended.err
            self.after = State.of(undisturbed)
        self.points = ended.points
        assert self.before.catalog != self.after.catalog

    def _other(self, name: str) -> Database:
        return replace(self.watcher, dbname=f"{self.watcher.dbname}_{name}", _connections=[])

    @contextmanager
    def clone(self) -> Iterator[Database]:
        made = self._other("clone")
        self.watcher.query(f'CREATE DATABASE "{made.dbname}" TEMPLATE "{self.template.dbname}"')
        try:
            yield made
        finally:
            made.close()
            self.watcher.query(f'DROP DATABASE IF EXISTS "{made.dbname}" WITH (FORCE)')

    def close(self) -> None:
        self.watcher.query(f'DROP DATABASE IF EXISTS "{self.template.dbname}" WITH (FORCE)')

    def chosen(self, number: int) -> list[int]:
        """Return about so many points of the run, half of them where the file is run, or all."""
        whole = len(self.points)
        if number >= whole:
            return list(range(1, whole + 1))
        file = next(n for n, at in enumerate(self.points, 1) if at.startswith("before CLOSE ALL"))
        half = number // 2
        return sorted({*spread(1, whole, half), *spread(file, whole, half)})

    def end_sessions(self, db: Database) -> Deed:
        """Return the deed of ending every session in a database, and waiting until it is gone."""

        def end(_: int) -> None:
            for pid in sessions(self.watcher, db):
                self.watcher.query("SELECT pg_terminate_backend(%s)", [pid])
            wait_till_gone(self.watcher, db)

        return end

    def check(self, db: Database, place: str) -> bool:
        """Check what a disturbed run has left, and that the next one ends it; say if it was done.

        Of a file that is not transactional, history may not be ahead: what is recorded is done.
        """
        found = State.of(db)
        is_done = found.is_as(self.after)
        if not is_done:
            if self.kind == "transactional":
                assert found.is_as(self.before), f"between: {place}"
            assert found.applied == self.before.applied, f"history is ahead: {place}"
            assert found.rows == self.before.rows, f"rows: {place}"
        again = self.runs.run(db, self.words)
        assert again.code == 0, f"the next run fails: {place}\n{again.err}"
        end = State.of(db)
        if is_done:  # see test_the_next_run_removes_the_row_of_a_dead_one
            end = replace(end, lock=0)
        assert end == self.after, f"the next run does not converge: {place}"
        return is_done

    def check_told(self, db: Database, ended: Ended, place: str) -> None:
        """Check that a run that lost its session has told the truth of what was kept."""
        found = State.of(db)
        is_done = found.is_as(self.after)
        if ended.code == 0:
            assert is_done, f"it says nothing: {place}"
        elif f"Nothing of {self.id} was kept" in ended.err:
            assert found.is_as(self.before), f"something was kept: {place}"
        elif number := re.search(r"(\d) of its 2 statements are done", ended.err):
            indexes = sum(line.startswith("index ") for line in found.catalog)
            assert (indexes if self.way == "up" else 2 - indexes) >= int(number[1]), place
            assert not is_done


def sessions(watcher: Database, db: Database) -> list[int]:
    """Return the server's processes that serve a client in a database, but for the watcher's."""
    found = watcher.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        [db.dbname],
    )
    return [pid for (pid,) in found]


def waiting(watcher: Database, db: Database) -> list[int]:
    """Return those of them that wait for a lock."""
    found = watcher.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
        [db.dbname],
    )
    return [pid for (pid,) in found]


def wait_until(is_so: Callable[[], object], otherwise: str, patience: float = GONE) -> None:
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.005)


def wait_till_gone(watcher: Database, db: Database) -> None:
    """Wait until a killed client has no session left in a database."""
    wait_until(lambda: not sessions(watcher, db), f"a ghost in {db.dbname}")


Make = Callable[[str, str], Trial]


@pytest.fixture
def make(db: Database, runs: Runs, tmp_path: Path) -> Iterator[Make]:
    """Make a trial of a file and a way, in the tests' own server."""
    made: list[Trial] = []

    def build(kind: str, way: str) -> Trial:
        made.append(Trial(db, runs, tmp_path, kind, way))
        return made[-1]

    yield build
    for trial in made:
        trial.close()


def spread(first: int, last: int, number: int) -> list[int]:
    """Return numbers from `first` to `last`, evenly apart."""
    return [first + round(n * (last - first) / (number - 1)) for n in range(number)]


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def counted(points: int, done: int) -> str:
    return (
        f"{points} times: {points - done} left it as before, {done} done whole; "
        "the next run ended each"
    )


# kill -9 of the client ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_is_whole_or_nothing_and_the_next_converges(
    make: Make, kind: str, way: str, amount: Amount, outcome: Outcome
) -> None:
    trial = make(kind, way)
    done = 0
    points = trial.chosen(amount(16, len(trial.points)))
    for point in points:
        with trial.clone() as db:
            killed = trial.runs.run(db, trial.words, point, kill)
            place = f"killed {killed.points[-1]}"
            assert killed.code == -signal.SIGKILL, place
            wait_till_gone(trial.watcher, db)
            done += trial.check(db, place)
    assert 0 < done < len(points)
    outcome(
        10,
        f"kill -9 of the client before, after and during each message: {kind} file, {way}",
        counted(len(points), done),
    )


# A message, by how it begins, and what makes it wait inside the server.
WRITER = "LOCK TABLE bank.account IN ROW EXCLUSIVE MODE"
READER = "LOCK TABLE bank.account IN ACCESS SHARE MODE; SELECT 1"
IN_HISTORY = [
    (HISTORY, "LOCK TABLE _yoyo_log IN EXCLUSIVE MODE"),
    (HISTORY, "LOCK TABLE _yoyo_migration IN EXCLUSIVE MODE"),
]
INSIDE = {
    ("transactional", "up"): [("ALTER TABLE", READER), *IN_HISTORY],
    ("transactional", "down"): [("ALTER TABLE", READER), *IN_HISTORY],
    ("concurrent", "up"): [
        ("CREATE INDEX CONCURRENTLY", READER),
        ("CREATE UNIQUE INDEX CONCURRENTLY", WRITER),
        ("CREATE UNIQUE INDEX CONCURRENTLY", READER),
        ("CREATE INDEX CONCURRENTLY", WRITER),
        *IN_HISTORY,
    ],
    ("concurrent", "down"): [
        ("DROP INDEX CONCURRENTLY bank.account_owner", READER),
        ("DROP INDEX CONCURRENTLY bank.account_balance", READER),
        *IN_HISTORY,
    ],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["kill -9", "pg_terminate_backend"])
def test_a_run_cut_off_inside_a_statement_is_mended_by_the_next(
    make: Make, fault: str, kind: str, way: str, amount: Amount, outcome: Outcome
) -> None:
    trial = make(kind, way)
    cases = INSIDE[kind, way]
    cases = cases[: amount(1, len(cases))]
    for message, obstacle in cases:
        place = f"{fault} in {message} behind {obstacle}"
        point = 1 + next(
            n for n, at in enumerate(trial.points) if at.startswith("before") and message in at
        )
        with trial.clone() as db:
            holder = db.connect().cursor()

            def cut_off(
                run: int, db: Database = db, holder: Any = holder, obstacle: str = obstacle
            ) -> None:
                holder.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ; {obstacle}")
                os.kill(run, signal.SIGCONT)
                wait_until(lambda: waiting(trial.watcher, db), "it does not wait", PATIENCE)
                if fault == "kill -9":
                    kill(run)
                for pid in waiting(trial.watcher, db) if fault != "kill -9" else ():
                    trial.watcher.query("SELECT pg_terminate_backend(%s, 10000)", [pid])

            ended = trial.runs.run(db, trial.words, point, cut_off)
            assert ended.code == (-signal.SIGKILL if fault == "kill -9" else 1), ended.err
            wait_until(lambda db=db: not waiting(trial.watcher, db), f"a ghost: {place}")  # type: ignore[misc]
            holder.connection.close()
            invalid = db.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
            assert invalid == ("CONCURRENTLY" in message), place
            assert not trial.check(db, place), f"done: {place}"
    outcome(
        12 if fault == "kill -9" else 22,
        f"{fault} inside a statement that waits: {kind} file, {way}",
        f"{len(cases)} times: the session was gone within {GONE:g} s; the next run ended each",
    )


@pytest.mark.parametrize(
    "way",
    [
        "up",
        "down",
    ],
)
def test_the_next_run_removes_the_row_of_a_dead_one(make: Make, way: str) -> None:
    trial = make("transactional", way)
    (point,) = (n for n, at in enumerate(trial.points, 1) if at.startswith(f"after {HISTORY}"))
    with trial.clone() as db:
        trial.runs.run(db, trial.words, point, kill)
        wait_till_gone(trial.watcher, db)
        assert State.of(db).lock == 1
        trial.runs.run(db, trial.words)
        assert State.of(db).lock == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_run_the_other_way_does_not_pass_over_a_file_half_done(make: Make, way: str) -> None:
    trial = make("concurrent", way)
    statement = re.compile(r"before (CREATE|DROP) (UNIQUE )?INDEX")
    _, second = (n for n, at in enumerate(trial.points, 1) if statement.match(at))
    with trial.clone() as db:
        trial.runs.run(db, trial.words, second, kill)
        wait_till_gone(trial.watcher, db)
        (other,) = set(WAYS) - {way}
        ended = trial.runs.run(db, [*WORDS[other], *trial.words[-2:]])
        assert ended.code == 1 or State.of(db).catalog == trial.before.catalog, ended.out


def test_runs_killed_at_random_moments_lose_nothing_and_double_nothing(
    db: Database, runs: Runs, tmp_path: Path, amount: Amount, outcome: Outcome
) -> None:
    for name, halves in MIXED.items():
        write(tmp_path, name, halves)
    ids = tuple(MIXED)
    sql = ["--sql", str(tmp_path)]
    db.query(BANK)
    steps = [State.of(db)]
    for id_ in ids:
        assert runs.run(db, ["up", "--to", id_, *sql]).code == 0
        steps.append(State.of(db))
    spans = {way: undisturbed(db, [*WORDS[way], *sql]) for way in ("down", "up", "down")}

    chance = random.Random(20)
    kills, between = 0, 0
    wanted = amount(10, 220)
    ways = cycle(WAYS)
    while kills < wanted:
        way = next(ways)
        words = [*WORDS[way], *sql]
        # Half of them from the moment it is connected: most of a short run is Python's start.
        is_connected = chance.random() < 0.5
        moment = chance.uniform(0, spans[way][is_connected])
        place = f"{way}, killed after {moment:.3f} s, connected: {is_connected}, kill {kills + 1}"
        with migrate(db, words) as process:
            if is_connected:
                wait_till_connected(db, process)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        wait_till_gone(db, db)
        found = State.of(db)
        count = len(found.applied)
        assert found.applied == ids[:count], place
        assert found.rows == steps[count].rows, place
        under_way = found.under_way()
        if found.catalog != steps[count].catalog:
            assert under_way == ids[count if way == "up" else count - 1], place
        between += 0 < count < len(ids) or bool(under_way)
        ended = runs.run(db, words)
        assert ended.code == 0, f"{place}: {ended.err}"
        found, end = State.of(db), steps[-1 if way == "up" else 0]
        assert replace(found, log=(), lock=0) == replace(end, log=(), lock=0), place
    for id_ in ids:
        operations = [operation for operation, of in State.of(db).log if of == id_]
        begun = ["begin"] if MIXED[id_][0].startswith("-- transactional: false") else []
        whole = [*begun, "apply", *begun, "rollback"]
        assert operations == (whole * len(operations))[: len(operations)], id_
        assert len(operations) >= kills // 2
    outcome(
        14,
        "kill -9 at random moments of a run over six files, up and down in turn",
        f"{kills} kills, {between} of them between the first file and the last: history and "
        "catalog agreed; the next run ended each, nothing lost or done twice",
    )


def undisturbed(db: Database, words: Sequence[str]) -> tuple[float, float]:
    """Return how many seconds a run lasts, from its start and from when it is connected."""
    started = time.monotonic()
    with migrate(db, words) as process:
        wait_till_connected(db, process)
        connected = time.monotonic()
        assert process.wait(PATIENCE) == 0
    return time.monotonic() - started, time.monotonic() - connected


def wait_till_connected(db: Database, run: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: sessions(db, db) or run.poll() is not None, "no session", PATIENCE)


def migrate(db: Database, words: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pgproof", *words],
        env=db.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


# The end of the session, and of the server --------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_whose_sessions_are_ended_tells_the_truth_and_the_next_converges(
    make: Make, kind: str, way: str, amount: Amount, outcome: Outcome
) -> None:
    trial = make(kind, way)
    done = 0
    points = trial.chosen(amount(12, len(trial.points)))
    for point in points:
        with trial.clone() as db:
            ended = trial.runs.run(db, trial.words, point, trial.end_sessions(db))
            place = f"sessions ended {ended.points[point - 1]}"
            trial.check_told(db, ended, place)
            done += trial.check(db, place)
    assert 0 < done < len(points)
    outcome(
        20,
        f"pg_terminate_backend of every session, at each point: {kind} file, {way}",
        counted(len(points), done),
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_loses_its_session_says_what_was_kept(
    make: Make, kind: str, way: str, amount: Amount
) -> None:
    trial = make(kind, way)
    for point in trial.chosen(amount(6, len(trial.points))):
        with trial.clone() as db:
            ended = trial.runs.run(db, trial.words, point, trial.end_sessions(db))
            place = f"{ended.points[point - 1]}: {ended.err}"
            assert "Traceback" not in ended.err, place
            if ended.code != 0:
                assert ended.code == 1, place
                assert re.search(
                    r"^(Nothing of \w+ was kept|\w+ is not transactional: \d of its 2 statements "
                    r"are done|The session was lost)",
                    ended.err,
                    re.M,
                ), place


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server to be crashed: alone in its folder, and as careful as it comes."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30
    home = Path(tempfile.mkdtemp(prefix="pgproof-", dir=memory if roomy else None))
    home.chmod(0o755)
    # Not in /dev/shm: a server that crashes leaves its segments there.
    server = Server(home, find_binaries(), {"dynamic_shared_memory_type": "mmap"})
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_crash_of_the_server_the_next_run_converges(
    own_server: Server,
    runs: Runs,
    tmp_path: Path,
    kind: str,
    way: str,
    amount: Amount,
    outcome: Outcome,
) -> None:
    def crash(_: int) -> None:
        (recorded,) = own_server.home.glob("*/postmaster.pid")
        os.kill(int(recorded.read_text().split()[0]), signal.SIGQUIT)
        while own_server.is_running():
            time.sleep(0.005)

    def connected() -> Database:
        return Database.on(own_server)

    own_server.start()
    trial = Trial(connected(), runs, tmp_path, kind, way)
    done = 0
    points = trial.chosen(amount(6, len(trial.points)))
    for point in points:
        with trial.clone() as db:
            ended = runs.run(db, trial.words, point, crash)
            place = f"crashed {ended.points[point - 1]}"
            assert own_server.start(), place
            trial.watcher = connected()
            trial.check_told(db, ended, place)
            done += trial.check(db, place)
    assert 0 < done < len(points)
    trial.close()
    trial.watcher.close()
    outcome(
        24,
        f"pg_ctl stop -m immediate at each point, and a restart: {kind} file, {way}",
        counted(len(points), done),
    )
