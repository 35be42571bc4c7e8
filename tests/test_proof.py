"""Laws of `migrate prove`: each planted fault is found and named, nothing sound is called one.

The planted cases are in tests/planted/, one file each.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest

from database import ROOT, SQL, Database, run
from pgproof import catalog, migrations, project, proof, report_proof, rows, scratch
from pgproof.errors import UserError
from pgproof.proof import Proof
from planted import FOLDER, Based, Case, case, proved

FAULTS = [case(path) for path in sorted(FOLDER.glob("*.sql")) if path.stem != "base"]
SOUND = [case(path) for path in sorted((FOLDER / "sound").glob("*.sql"))]
PROVE = (sys.executable, "-m", "pgproof", "prove")
KEYS = {
    "id": str,
    "applied": bool,
    "catalog": str,
    "rollback": str,
    "rows": str,
    "grade": str,
    "grade_held": bool,
    "locks": list,
    "locks_held": bool,
    "carried": int,
    "diff": list,
    "lost": list,
    "not_shown": list,
    "notes": list,
    "error": str,
    "seconds": float,
    "falls_short": list,
}


@pytest.fixture(scope="module")
def made(server: SimpleNamespace) -> Iterator[Based]:
    """A maker of databases that hold the library of base.sql."""
    named = {"host": server.host, "port": server.port, "user": server.user}
    named |= {"password": server.password} if server.password else {}
    based = Based({**named, "dbname": server.maintenance_dbname})
    yield based
    based.drop_all()


@pytest.fixture(autouse=True, scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Paths are told from the current folder: stand where the files are not."""
    former = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(former)


def cells(found: Proof) -> tuple[str, ...]:
    return tuple(cell or "-" for cell in (found.catalog, found.rollback, found.rows))


def names(cases: Sequence[Case]) -> list[str]:
    return [planted.name for planted in cases]


# The planted cases -------------------------------------------------------------------------


@pytest.mark.parametrize("planted", FAULTS, ids=names(FAULTS))
def test_fault_is_found_and_named(planted: Case, made: Based, tmp_path: Path) -> None:
    """Every word that its file asks for is told, and no reason that it does not ask for."""
    planted.write(tmp_path)
    (found,) = proved(made, tmp_path)
    told = "\n".join(report_proof.details([found]))
    assert planted.told
    assert found.falls_short
    assert [words for words in planted.told if words not in told] == [], told
    others = [r for r in found.falls_short if not any(words in r for words in planted.told)]
    assert others == []
    assert not planted.proof or cells(found) == planted.proof


@pytest.mark.parametrize("planted", SOUND, ids=names(SOUND))
def test_sound_migration_holds(planted: Case, made: Based, tmp_path: Path) -> None:
    planted.write(tmp_path)
    (found,) = proved(made, tmp_path)
    assert found.falls_short == (), "\n".join(report_proof.details([found]))
    assert cells(found) == (planted.proof or ("identical", "ok", "kept"))
    graded = "-- Rollback: " in planted.parts["forward"]
    assert (found.grade_held, found.locks_held) == ((True, True) if graded else (None, None))


def test_our_own_migrations_hold(server: SimpleNamespace) -> None:
    """With every table and column shown by a sample row."""
    with scratch.databases(options=project.find(str(SQL)).options) as own:
        files = migrations.read([SQL])
        found = list(proof.prove(own, files, samples=ROOT / "tests/rows", parked="docmeta_parked"))
    assert [one.id for one in found] == [migration.id for migration in files]
    for one in found:
        held = proof.held_to(one, order=False, rows_shown=True)
        assert (held.falls_short, held.grade_held, held.locks_held) == ((), True, True)


# Several in a row --------------------------------------------------------------------------


def folder_of(folder: Path, **parts: str | None) -> Path:
    """Write a folder of migrations: `_1_name` is a forward file, `name_back` its rollback."""
    for name, text in parts.items():
        if text is not None:
            stem = name.removesuffix("_back").removeprefix("_")
            suffix = ".rollback.sql" if name.endswith("_back") else ".sql"
            (folder / f"{stem}{suffix}").write_text(text, encoding="utf-8")
    return folder


def test_what_cannot_be_applied_is_passed_over(made: Based, tmp_path: Path) -> None:
    """What it needs fails with it; the rest is proved as if it were not there."""
    folder_of(
        tmp_path,
        _0001_good="CREATE TABLE lib.one (a integer);",
        _0001_good_back="DROP TABLE lib.one;",
        _0002_bad="CREATE TABLE lib.two (a integer); SELECT 1 / 0;",
        _0002_bad_back="DROP TABLE lib.two;",
        _0003_half="-- transactional: false\nCREATE TABLE lib.three (); SELECT 1 / 0;",
        _0003_half_back="DROP TABLE lib.three;",
        _0004_needs="ALTER TABLE lib.two ADD b integer;",
        _0004_needs_back="ALTER TABLE lib.two DROP b;",
        _0005_good="CREATE TABLE lib.three (a integer);",
        _0005_good_back="DROP TABLE lib.three;",
    )
    found = proved(made, tmp_path)
    assert [one.applied for one in found] == [True, False, False, False, True]
    errors = [one.error or "" for one in found[1:4]]
    assert ["division by zero" in error for error in errors] == [True, True, False]
    assert 'relation "lib.two" does not exist' in errors[2]
    assert [cells(one) for one in (found[0], found[4])] == [("identical", "ok", "not shown")] * 2
    assert [bool(one.falls_short) for one in found] == [False, True, True, True, False]


def test_sample_rows_are_read_as_psql_reads_them(made: Based, tmp_path: Path) -> None:
    folder_of(tmp_path, _0001_day="ALTER TABLE lib.note ADD day date;",
              _0001_day_back="ALTER TABLE lib.note DROP day;")  # fmt: skip
    (tmp_path / "rows").mkdir()
    sample = tmp_path / "rows" / "0001_day.sql"
    sample.write_bytes(b"\xef\xbb\xbfUPDATE lib.note SET day = '2026-01-01';\r\n")
    (day,) = proved(made, tmp_path)
    assert day.falls_short == ("rows are lost",)
    sample.write_bytes(b"-- \xe9")
    with pytest.raises(UserError, match=r"rows/0001_day.sql: byte 3 .* is not UTF-8 text"):
        proved(made, tmp_path)


def test_one_fault_is_told_once(made: Based, tmp_path: Path) -> None:
    """What a rollback spoils, and sample rows that do not fit, are nothing to the next one."""
    folder_of(
        tmp_path,
        _0001_spoils="ALTER TABLE lib.note ADD day date;",
        _0001_spoils_back="ALTER TABLE lib.note DROP text;",
        _0002_good="COMMENT ON TABLE lib.note IS 'A note.';",
        _0002_good_back="COMMENT ON TABLE lib.note IS NULL;",
    )
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "0001_spoils.sql").write_text("DELETE FROM lib.note; SELECT nonsense")
    spoils, good = proved(made, tmp_path)
    assert "its sample rows fail" in spoils.falls_short[0]
    assert spoils.catalog == "differs"
    assert good.falls_short == ()
    assert cells(good) == ("identical", "ok", "kept")


def test_only_what_is_wanted_is_tried(made: Based, tmp_path: Path) -> None:
    folder_of(
        tmp_path,
        _0001_first="CREATE TABLE lib.one ();",
        _0001_first_back="SELECT 1 / 0;",
        _0002_second="ALTER TABLE lib.one ADD a integer;",
        _0002_second_back="ALTER TABLE lib.one DROP a;",
    )
    begun: list[str] = []
    files = migrations.read([tmp_path])
    found = proof.prove(
        made,
        files,
        samples=tmp_path / "rows",
        parked=None,
        wanted=[files[1].id],
        begun=begun.append,
    )
    assert [(one.id, one.falls_short) for one in found] == [("0002_second", ())]
    assert begun == ["0001_first", "0002_second"]


def test_more_is_asked_for_on_demand() -> None:
    lax = Proof("a", applied=True, catalog="column order", rows="not shown", not_shown=("s.t.c",))
    assert proof.held_to(lax, order=False, rows_shown=False).falls_short == ()
    assert proof.held_to(lax, order=True, rows_shown=True).falls_short == (
        "the rollback leaves the columns in another order",
        "no sample rows show it: s.t.c",
    )


def test_what_holds_no_row_is_not_shown(made: Based, tmp_path: Path) -> None:
    folder_of(
        tmp_path,
        _0001_add="CREATE TABLE lib.one (a integer); ALTER TABLE lib.book ADD isbn text, ADD y int",
        _0001_add_back="DROP TABLE lib.one; ALTER TABLE lib.book DROP isbn, DROP y",
    )
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "0001_add.sql").write_text("INSERT INTO lib.book (name, y) VALUES ('', 1)")
    (found,) = proved(made, tmp_path)
    assert set(found.not_shown) == {"lib.one", "lib.book.isbn"}


# As a process ------------------------------------------------------------------------------

FOREIGN = {
    "0001_accounts": (
        "CREATE TYPE mood AS ENUM ('sad', 'ok');"
        "CREATE TABLE accounts (id serial PRIMARY KEY, name varchar(20), mood mood);"
        "INSERT INTO accounts (name, mood) VALUES ('ada', 'ok'), ('bob', 'sad');",
        "DROP TABLE accounts; DROP TYPE mood;",
    ),
    "0002_enum": ("ALTER TYPE mood ADD VALUE 'happy';", "SELECT 'cannot be undone';"),
    "0003_empty": ("ALTER TABLE accounts ADD COLUMN a text;", "-- nothing\n"),
    "0004_missing": ("ALTER TABLE accounts ADD COLUMN b text;", None),
    "0005_refuses": (
        "UPDATE accounts SET name = upper(name);",
        "DO $$ BEGIN RAISE EXCEPTION 'irreversible'; END $$;",
    ),
    "0006_cascade": (
        "CREATE TABLE IF NOT EXISTS accounts (id serial);",
        "DROP TABLE accounts CASCADE;",
    ),
    "0007_fails": ("CREATE INDEX ON accounts (mood);", "DROP INDEX accounts_name_index;"),
    "0008_extension": ("CREATE EXTENSION no_such_extension;", "DROP EXTENSION no_such_extension;"),
    "0009_order": (
        "CREATE TABLE names AS SELECT id, name FROM accounts; ALTER TABLE accounts DROP name;",
        "ALTER TABLE accounts ADD name varchar(20);"
        "UPDATE accounts SET name = n.name FROM names n WHERE n.id = accounts.id; DROP TABLE names",
    ),
    "0010_sound": ("CREATE TABLE tags (id int)", "DROP TABLE tags"),
}
OUTCOMES = {
    "0001_accounts": ("identical", "ok", "kept", False),
    "0002_enum": ("differs", "ok", "kept", True),
    "0003_empty": ("differs", "empty", "not shown", True),
    "0004_missing": ("differs", "missing", "not shown", True),
    "0005_refuses": ("identical", "refused", "kept", False),
    "0006_cascade": ("differs", "ok", "lost", True),
    "0007_fails": ("differs", "failed", "kept", True),
    "0008_extension": (None, None, None, True),
    "0009_order": ("column order", "ok", "kept", False),
    "0010_sound": ("identical", "ok", "not shown", False),
}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of migrations that was not written for us."""
    folder = tmp_path / "it's foreign" / "migrations"
    folder.mkdir(parents=True)
    for name, (forward, back) in FOREIGN.items():
        folder_of(folder, **{f"_{name}": forward, f"_{name}_back": back})
    return folder


def environment(db: Database | None = None) -> dict[str, str]:
    """The environment of one who has configured nothing, but for a live database, if any."""
    kept = {n: v for n, v in os.environ.items() if n not in ("PGPROOF_PROJECT", "DATABASE_URL")}
    return {**kept, "DATABASE_URL": db.url} if db else kept


def test_foreign_folder_needs_no_word(foreign: Path, db: Database) -> None:
    """Each fault is called what it is; the JSON has one entry for each file, in order."""
    command = (*PROVE, "--sql", foreign, "--on", db.url, "--json")
    done = run(*command, environment=environment(), cwd=foreign, code=1)
    found = json.loads(done.stdout)["migrations"]
    assert [one["id"] for one in found] == list(FOREIGN)
    seen = {
        one["id"]: (one["catalog"], one["rollback"], one["rows"], bool(one["falls_short"]))
        for one in found
    }
    assert seen == OUTCOMES
    for one in found:
        assert set(one) == set(KEYS)
        may_be_none = {"catalog", "rollback", "rows", "grade", "grade_held", "locks_held", "error"}
        for key, kind in KEYS.items():
            assert isinstance(one[key], kind) or (one[key] is None and key in may_be_none), key
        for lock in one["locks"]:
            assert set(lock) == {"object", "mode", "blocks", "rewrites", "scans", "builds"}
    by_id = {one["id"]: one for one in found}
    assert "enum public.mood" in by_id["0002_enum"]["notes"][0]
    assert "irreversible" in by_id["0005_refuses"]["error"]
    assert any("CASCADE" in note for note in by_id["0006_cascade"]["notes"])
    assert 'index "accounts_name_index" does not exist' in by_id["0007_fails"]["error"]
    assert by_id["0008_extension"]["applied"] is False


def test_terminal_shows_a_table_and_orders(foreign: Path) -> None:
    """On a server of its own: nothing is named, and nothing but the folder is there."""
    done = run(*PROVE, "--sql", foreign, environment=environment(), cwd=Path("/"), code=1)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["migration", "catalog", "rollback", "rows", "grade", "locks"]
    for line, (name, (*words, short)) in zip(lines[1:], OUTCOMES.items(), strict=False):
        assert line.startswith(name)
        assert all((word or "-") in line for word in words)
        assert ("falls short" if short else "holds") in line
    assert "0002_enum falls short:" in lines
    order = "  - the rollback leaves another schema: restore these in "
    assert any(re.match(f"{order}.*/0002_enum.rollback.sql$", line) for line in lines)
    assert "    -type public.mood: enum ('sad', 'ok')" in lines
    assert lines[-1].startswith("10 migrations: 4 hold, 6 fall short (")
    assert "Traceback" not in done.stderr


def test_ids_order_and_rows_on_the_command_line(foreign: Path, db: Database) -> None:
    command = (*PROVE, "--sql", foreign, "--on", db.url)
    for words, code, told in (
        (["9"], 0, "1 migration: it holds"),
        (["9", "--strict-order"], 1, "the rollback leaves the columns in another order"),
        (["0010_sound", "0009"], 0, "2 migrations: all hold"),
        (["10", "--require-rows"], 1, "no sample rows show it: public.tags"),
        (["77"], 2, "no migration '77'"),
    ):
        done = run(*command, *words, environment=environment(), cwd=foreign, code=code)
        assert told in done.stdout + done.stderr
    samples = foreign / "samples"
    samples.mkdir()
    (samples / "0010_sound.sql").write_text("INSERT INTO tags VALUES (1)")
    words = ["10", "--require-rows", "--rows", "samples"]
    done = run(*command, *words, environment=environment(), cwd=foreign, code=1)
    assert "lost: public.tags: 1 row" in done.stdout


def test_markdown_goes_to_a_file(foreign: Path, db: Database, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    words = ("3", "6", "10", "--markdown", "--output", report, "--on", db.url, "--sql", foreign)
    done = run(*PROVE, *words, environment=environment(), cwd=foreign, code=1)
    assert done.stdout == ""
    lines = report.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "## Proof of the rollbacks"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 3
    assert len({line.count("|") for line in table}) == 1
    assert [line.split(" | ")[0] for line in table[2:]] == ["| **falls short**"] * 2 + ["| holds"]
    assert lines.count("</details>") == 2
    assert lines.count("````diff") == 2
    done = run(*PROVE, "10", "--json", "--output", "/no/such", *words[-4:], cwd=foreign,
               environment=environment(), code=2)  # fmt: skip
    assert "/no/such: No such file or directory" in done.stderr


def test_nothing_but_databases_is_asked_of_a_server(foreign: Path, db: Database) -> None:
    """A role that may make none is told so, and how else."""
    db.query(
        "DO $$ BEGIN CREATE ROLE planted_nobody LOGIN;"
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    named = Database(db.host, db.port, "planted_nobody", None, db.dbname)
    done = run(*PROVE, "--sql", foreign, "--on", named.url, environment=environment(), code=1)
    assert "permission denied to create database" in done.stderr
    assert "Name a server on which you may create databases, or none" in done.stderr


# What is left behind -----------------------------------------------------------------------


def left_by(db: Database, pid: int) -> list[str]:
    """The scratch databases that a process has left on the server."""
    found = db.query(
        "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"pgproof\\_scratch\\_{pid}\\_%"]
    )
    return [name for (name,) in found]


def test_live_database_is_not_touched(filled: Database, foreign: Path) -> None:
    """Neither where DATABASE_URL names it, nor where the scratch databases are beside it."""

    def state() -> tuple[Any, ...]:
        with closing(psycopg2.connect(filled.url)) as live:
            seen = catalog.read(live), rows.read(live)
        counts = "SELECT tup_inserted, tup_updated, tup_deleted FROM pg_stat_database"
        return *seen, filled.query(f"{counts} WHERE datname = current_database()")

    before = state()
    assert before[1].tables["docmeta.documents"].rows.total() > 3
    for words in ((), ("--on", filled.url)):
        prover = subprocess.Popen(
            [*PROVE, "--sql", str(foreign), "1", "5", "7", *words],
            env=environment(filled),
            stdout=subprocess.PIPE,
            text=True,
        )
        told, _ = prover.communicate(timeout=300)
        assert "3 migrations: 2 hold, 1 fall short" in told
        assert left_by(filled, prover.pid) == []
    assert state() == before


def test_own_server_goes_with_its_folder() -> None:
    """Also when what runs on it fails."""
    homes: list[Path] = []

    def fail() -> None:
        with scratch.databases() as made:
            homes.append(Path(made.server["host"]).parent)
            made.create()
            assert (homes[0] / "lock").exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not homes[0].exists()


def postmaster_of(mark: str) -> Path | None:
    """The data folder of the server that a process with `mark` in its environment has started."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[1:2] == [b"-D"] and mark.encode() in (process / "environ").read_bytes():
                return Path(os.fsdecode(words[2]))
    return None


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="it looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("beside", [True, False], ids=["on a server", "on its own"])
def test_signal_leaves_nothing(
    number: signal.Signals, beside: bool, db: Database, tmp_path: Path
) -> None:
    """Neither a database nor a server nor its folder, while a statement of the migration runs."""
    folder_of(tmp_path, _0001_slow="SELECT pg_sleep(60);", _0001_slow_back="SELECT 1;")
    mark = f"PLANTED_{uuid.uuid4().hex}"
    prover = subprocess.Popen(
        [*PROVE, "--sql", str(tmp_path), *(["--on", db.url] if beside else [])],
        env={**environment(), mark: "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def is_asleep() -> bool:
        home = postmaster_of(mark)
        if not beside and home is None:
            return False
        on = Database(f"{home}.run", "5432", "postgres", None, "postgres")
        url = db.url if beside else on.url
        with suppress(psycopg2.OperationalError), closing(psycopg2.connect(url)) as one:
            cursor = one.cursor()
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname LIKE %s",
                [f"pgproof\\_scratch\\_{prover.pid}\\_%"],
            )
            return bool(cursor.fetchall())
        return False

    deadline = time.monotonic() + 60
    while not is_asleep():
        assert prover.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    home = postmaster_of(mark)
    assert (home is None) == beside
    prover.send_signal(number)
    _, told = prover.communicate(timeout=60)
    assert prover.returncode == 128 + number
    assert "interrupted" in told
    assert "Traceback" not in told
    assert left_by(db, prover.pid) == []
    assert postmaster_of(mark) is None
    assert home is None or not home.parent.exists()
