"""Laws of the `migrate` command: what it does, says and returns, and what bad input gets."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from database import IDS, SQL, Database, run
from pgproof import arguments
from pgproof.cli import main
from pgproof.server import Server, find_binaries
from running import migrating, wait_until

COMMANDS = (
    "up",
    "down",
    "redo",
    "status",
    "plan",
    "drift",
    "history",
    "repair",
    "baseline",
    "prove",
    "docs",
    "unlock",
    "new",
    "server",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three small migrations; the third says something and depends on nothing odd."""
    for number, name in enumerate(("apple", "pear", "plum"), 1):
        before = ["", "-- depends: 0001_apple\n", "-- depends: 0002_pear\n"][number - 1]
        stem = tmp_path / f"{number:04d}_{name}"
        stem.with_suffix(".sql").write_text(f"{before}CREATE TABLE public.{name} (id int);\n")
        stem.with_suffix(".rollback.sql").write_text(f"DROP TABLE public.{name};\n")
    return tmp_path


def migrate(
    db: Database, *words: str | Path, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process; no output of it may be a traceback."""
    environment = {**db.environment, **variables}
    done = run(sys.executable, "-m", "pgproof", *words, environment=environment, code=code)
    assert "Traceback" not in done.stderr
    return done


def tables(db: Database) -> list[str]:
    found = db.query(
        "SELECT relname FROM pg_class WHERE relname IN ('apple', 'pear', 'plum') ORDER BY 1"
    )
    return [name for (name,) in found]


def shell(db: Database, folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of sh, in which $M is the command without its words, and $SQL the folder."""
    named = {"M": f"{sys.executable} -m pgproof", "SQL": str(folder)}
    done = run("sh", "-c", line, environment={**db.environment, **named}, code=None)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    return done


# What it does ---------------------------------------------------------------------------------


def test_up_and_down_go_as_far_as_they_are_told(db: Database, folder: Path) -> None:
    steps: list[tuple[tuple[str, ...], list[str]]] = [
        (("up", "--to", "2"), ["apple", "pear"]),
        (("up", "--to", "0001_apple"), ["apple", "pear"]),
        (("up",), ["apple", "pear", "plum"]),
        (("down",), ["apple", "pear"]),
        (("down", "--to", "0001"), ["apple"]),
        (("up",), ["apple", "pear", "plum"]),
        (("redo",), ["apple", "pear", "plum"]),
        (("down", "--steps", "2", "--yes"), ["apple"]),
        (("up",), ["apple", "pear", "plum"]),
        (("down", "--all", "--yes"), []),
    ]
    for words, left in steps:
        migrate(db, *words, "--sql", folder)
        assert tables(db) == left, words


def test_one_line_a_migration_with_its_time(db: Database, folder: Path) -> None:
    done = migrate(db, "up", "--sql", folder)
    lines = done.stdout.splitlines()
    assert [re.sub(r"\[[\d.]+ ms\]", "[T]", line) for line in lines] == [
        "applied 0001_apple [T]",
        "applied 0002_pear [T]",
        "applied 0003_plum [T]",
    ]
    assert done.stderr.startswith(f"database {db.dbname} on ")
    assert "rolled back 0003_plum [" in migrate(db, "down", "--sql", folder).stdout
    nothing = migrate(db, "up", "--to", "1", "--sql", folder)
    assert nothing.stdout == "nothing to apply: 3 migrations known, none pending up to 0001_apple\n"


@pytest.mark.parametrize(
    ("out", "code", "error"),
    [
        (">/dev/full", 1, "No space left on device; all the rest was done"),
        (">&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("2>&-", 0, ""),
        ("--json <&- 2>&-", 0, ""),
    ],
)
def test_a_run_goes_on_whatever_becomes_of_what_it_prints(
    out: str, code: int, error: str, db: Database, folder: Path
) -> None:
    done = shell(db, folder, f"$M up --sql $SQL {out}")
    assert done.returncode == code
    assert error in done.stderr
    assert tables(db) == ["apple", "pear", "plum"]
    if "json" in out:
        assert len(json.loads(done.stdout)["applied"]) == 3
    assert shell(db, folder, f"$M down --all --sql $SQL <&- {out}").returncode == 2
    assert len(tables(db)) == 3


def test_a_program_that_is_started_finds_no_stream_closed(db: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_child.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.fileno()'], check=True)\n"
    )
    assert shell(db, tmp_path, "$M up --sql $SQL 2>&-").stdout.startswith("applied 0001_child")


def test_a_run_goes_on_when_its_reader_leaves(db: Database, folder: Path) -> None:
    done = shell(db, folder, "{ $M up --sql $SQL; echo $? >&2; } | :")
    assert done.stderr.endswith("Broken pipe; all the rest was done\n1\n")
    assert tables(db) == ["apple", "pear", "plum"]


def test_a_closed_input_and_a_full_output_are_told(db: Database, folder: Path) -> None:
    done = shell(db, folder, "$M up --targets - --sql $SQL <&-")
    assert (done.returncode, "names no database" in done.stderr) == (2, True)
    done = shell(db, folder, "$M status --sql $SQL >/dev/full")
    assert (done.returncode, "standard output: No space" in done.stderr) == (1, True)


def test_an_interruption_claims_no_rollback_of_what_has_none(db: Database, folder: Path) -> None:
    text = "-- transactional: false\nCREATE TABLE public.stays ();\nSELECT pg_sleep(60);\n"
    (folder / "0004_stays.sql").write_text(text)
    (folder / "0004_stays.rollback.sql").write_text("DROP TABLE public.stays;\n")
    asleep = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    with migrating(db, "up", folder=folder) as process:
        assert wait_until(lambda: db.query(f"{asleep} AND datname = current_database()"), process)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what ran in a transaction was rolled back\nOf a file that is not" in said
    assert db.value("SELECT to_regclass('public.stays') IS NOT NULL")
    assert "interrupted   0004_stays" in migrate(db, "status", "--sql", folder).stdout


def test_a_name_that_cannot_be_printed(db: Database, tmp_path: Path) -> None:
    for half in ("", ".rollback"):
        (tmp_path / f"0001_caf\xe9{half}.sql").write_text("SELECT 1;")
    done = migrate(db, "up", "--sql", tmp_path, PYTHONIOENCODING="ascii")
    assert done.stdout.startswith(r"applied 0001_caf\xe9 [")


def test_status_and_its_exit_code(db: Database, folder: Path) -> None:
    assert migrate(db, "status", "--sql", folder).stdout.count("pending") == 3
    migrate(db, "status", "--exit-code", "--sql", folder, code=1)
    migrate(db, "up", "--sql", folder)
    shown = migrate(db, "status", "--exit-code", "--sql", folder).stdout
    assert re.fullmatch(
        r"(applied       000\d_\w+ +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  by \S+  in 0\.\d+ s\n){3}",
        shown,
    )
    (folder / "0003_plum.sql").unlink()
    assert "missing       0003_plum" in migrate(db, "status", "--sql", folder).stdout


def test_status_and_history_write_nothing(db: Database) -> None:
    read_only = "-c default_transaction_read_only=on"
    migrate(db, "status", PGOPTIONS=read_only)
    assert "no history" in migrate(db, "history", PGOPTIONS=read_only).stdout
    assert db.query("SELECT 1 FROM pg_class WHERE relname ~ 'yoyo'") == []


def test_json_is_the_whole_of_stdout(db: Database, folder: Path) -> None:
    def asked(*words: str) -> dict[str, list[dict[str, str]]]:
        result = json.loads(migrate(db, *words, "--json", "--sql", folder).stdout)
        assert isinstance(result, dict)
        return result

    assert [row["id"] for row in asked("up")["applied"]] == [
        "0001_apple",
        "0002_pear",
        "0003_plum",
    ]
    assert asked("up") == {"applied": []}
    rolled_back = asked("down")["rolled_back"]
    assert [(row["id"], row["operation"]) for row in rolled_back] == [("0003_plum", "rollback")]
    states = asked("status")["migrations"]
    assert [row["state"] for row in states] == ["applied", "applied", "pending"]
    assert states[0]["applied_at"].endswith("+00:00")
    assert states[2]["applied_at"] is None
    assert [row["operation"] for row in asked("history")["history"]] == ["apply"] * 3 + ["rollback"]


def test_down_of_several_wants_a_yes(db: Database, folder: Path) -> None:
    migrate(db, "up", "--sql", folder)
    refused = migrate(db, "down", "--all", "--sql", folder, code=2)
    assert "this rolls back 3 migrations: 0003_plum, 0002_pear, 0001_apple" in refused.stderr
    assert "--yes" in refused.stderr
    assert len(tables(db)) == 3


@pytest.mark.parametrize(("answer", "left"), [("n", 3), ("", 3), ("y", 1)])
def test_down_of_several_asks_on_a_terminal(
    answer: str, left: int, db: Database, folder: Path
) -> None:
    migrate(db, "up", "--sql", folder)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "pgproof", "down", "--steps", "2", "--sql", str(folder)]
    process = subprocess.Popen(
        words, env=db.environment, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    os.write(ours, f"{answer}\n".encode())
    _, stderr = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert b"Roll back 2 migrations: 0003_plum, 0002_pear? [y/N]" in stderr
    assert len(tables(db)) == left
    assert process.returncode == (0 if left == 1 else 1)


def test_new_writes_the_next_pair(db: Database, folder: Path) -> None:
    done = migrate(db, "new", "add", "Quince-tree", "--sql", folder)
    assert [line.rpartition("/")[2] for line in done.stdout.splitlines()] == [
        "0004_add_quince_tree.sql",
        "0004_add_quince_tree.rollback.sql",
    ]
    text = (folder / "0004_add_quince_tree.sql").read_text()
    assert "-- depends: 0003_plum\n" in text
    assert re.findall(r"^-- (\w+): ", text, re.M) == ["Why", "Locks", "Rollback", "depends"]
    # yoyo takes it as it is.
    migrate(db, "up", "--sql", folder)
    migrate(db, "down", "--all", "--yes", "--sql", folder)


def test_new_comes_after_what_yoyo_takes_and_depends_can_name(db: Database, folder: Path) -> None:
    (folder / "0004_program.py").write_text("steps = []\n")
    for name in ("0005 odd name", "post-apply"):
        (folder / f"{name}.sql").write_text("SELECT 1;\n")
    migrate(db, "new", "add", "fig", "--sql", folder)
    assert "-- depends: 0004_program\n" in (folder / "0006_add_fig.sql").read_text()
    migrate(db, "status", "--sql", folder)


def test_new_writes_both_halves_or_none(db: Database, folder: Path) -> None:
    (folder / "0004_fig.rollback.sql").write_text("-- somebody's\n")
    assert "0004_fig.rollback.sql: File exists" in said(db, "new", "fig", "--sql", folder, code=1)
    assert not (folder / "0004_fig.sql").exists()
    assert (folder / "0004_fig.rollback.sql").read_text() == "-- somebody's\n"
    for letters in (240, 300):
        assert "cannot name" in said(db, "new", "a" * letters, "--sql", folder, code=2)
    assert len(list(folder.iterdir())) == 7


def test_new_begins_a_folder_at_one(db: Database, tmp_path: Path) -> None:
    migrate(db, "new", "first", "step", "--sql", tmp_path / "fresh")
    assert "depends" not in (tmp_path / "fresh" / "0001_first_step.sql").read_text()


def test_a_folder_with_odd_letters_in_its_path(db: Database, folder: Path) -> None:
    """Yoyo takes a folder for a pattern, and splits a list at blanks."""
    odd = folder / "my [sql] *files"
    odd.mkdir()
    for path in folder.glob("*.sql"):
        path.rename(odd / path.name)
    (folder / "yoyo.ini").write_text("[DEFAULT]\nsources = %(here)s/my [sql] *files\n")
    migrate(db, "up", PGPROOF_PROJECT=str(folder))
    assert len(tables(db)) == 3


# What bad input gets ----------------------------------------------------------------------------


def said(db: Database, *words: str | Path, code: int = 1, lines: int = 2, **variables: str) -> str:
    """Run what must fail, and return its message: a line or two behind the database's name."""
    done = migrate(db, *words, code=code, **variables)
    message = re.sub(r"^database .*\n", "", done.stderr)
    assert message.startswith("migrate: ")
    assert message.count("\n") <= lines
    assert done.stdout == ""
    return message


def test_an_unknown_command_or_option_is_usage(db: Database) -> None:
    for words in (["sideways"], ["up", "--sideways"], [], ["down", "--steps", "0"]):
        assert migrate(db, *words, code=2).stderr.startswith("usage: migrate")


@pytest.mark.parametrize("command", arguments.COMMANDS, ids=lambda command: command.name)
def test_a_value_that_is_empty_is_usage(
    command: arguments.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as `--plan "$PLAN"` where PLAN is not set."""
    options = {**command.options, **command.either, **arguments.SQL}
    names = [name.split()[0] for name, how in options.items() if "action" not in how]
    for name in names:
        words = [command.name, name, ""] if name.startswith("-") else [command.name, ""]
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert re.search(f"argument (-d/)?({name}|NAME|ID)", capsys.readouterr().err)


@pytest.mark.parametrize("wanted", ["0001_initial_shema", "initial", "initial_schema"])
def test_an_unknown_id_names_the_nearest(wanted: str, db: Database) -> None:
    assert IDS[0] in said(db, "up", "--to", wanted, code=2)
    assert not db.query("SELECT 1 FROM pg_class WHERE relname ~ 'yoyo'")


@pytest.mark.parametrize("wanted", ["4711", f"{len(IDS) + 1:04d}"])
def test_an_unknown_number_names_the_last(wanted: str, db: Database) -> None:
    assert IDS[-1] in said(db, "up", "--to", wanted, code=2)


def test_down_to_what_is_not_applied(db: Database, folder: Path) -> None:
    migrate(db, "up", "--to", "1", "--sql", folder)
    assert "0003_plum is not applied" in said(db, "down", "--to", "3", "--sql", folder, code=2)


@pytest.mark.parametrize(
    ("variables", "cause", "mend"),
    [
        ({"PGHOST": "/nowhere"}, "No such file or directory", "Start that server"),
        ({"PGHOST": "127.0.0.1", "PGPORT": "1"}, "refused", "DATABASE_URL"),
        ({"PGHOST": "no-such-host.invalid"}, "could not translate", "Start that server"),
        ({"PGDATABASE": "no such db"}, '"no such db" does not exist', "createdb no such db"),
        ({"PGUSER": "nobody_here"}, 'role "nobody_here" does not exist', "PGUSER"),
        ({"PGSERVICE": "absent"}, 'service "absent" not found', "libpq's variables"),
    ],
    ids=["no socket", "no server", "no host", "no database", "no role", "no service"],
)
@pytest.mark.parametrize("command", ["up", "status"])
def test_what_cannot_be_reached(
    command: str, variables: dict[str, str], cause: str, mend: str, db: Database
) -> None:
    message = said(db, command, code=1, lines=2, **variables)
    assert cause in message
    assert mend in message


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("nonsense", "is not a URL"),
        ("mysql://root:hunter2@host/db", "begins with mysql://"),
        ("host=h password=hunter2://x", "is not a URL"),
        ("postgresql://bob:hun/ter2@host/db", "an @ after its first /"),
        ("postgresql://bob:hun@ter2@host/db", "more than one @"),
        ("postgresql://bob:hun?ter2@host/db", "a ? before its @"),
        ("postgresql://[::1/db?password=hunter2", "cannot be read"),
        ("postgresql:///db?pass%77ord=hunter2%zz", "cannot be read"),
        ("postgresql://bob:hun[ter2@no-such-host.invalid/db", "could not translate"),
        ("postgresql://bob:hun[t]er2@no-such-host.invalid/db", "could not translate"),
        ("postgresql://bob:hun\uff1ater2@no-such-host.invalid/db", "could not translate"),
        ("postgresql://bob:hunter2@host:port/db", 'invalid integer value "port"'),
        ("postgresql://bob:hunter2@host/db?nonsense=1", "cannot be read"),
        ("postgresql://bob:%zz@host/db", "cannot be read"),
        ("postgresql:///db?password=hunter2&nonsense=1", "cannot be read"),
        ("postgresql:///db?nonsense=1", "nonsense"),
        ("postgresql://bob:hunter2@no-such-host.invalid/db", "could not translate"),
    ],
)
@pytest.mark.parametrize("way", [["up", "--database"], ["prove", "--on"], ["up"]])
def test_a_bad_url_is_refused_and_no_password_shown(
    url: str, cause: str, way: list[str], db: Database
) -> None:
    words = [*way, url] if way[1:] else way
    environment = db.environment if way[1:] else {**db.environment, "DATABASE_URL": url}
    done = run(sys.executable, "-m", "pgproof", *words, environment=environment, code=None)
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, 2)
    assert cause in done.stderr
    for secret in ("hunter2", "ter2", "hun/"):
        assert secret not in done.stdout + done.stderr
    assert done.stderr.count("\n") <= 2


def test_the_option_wins_over_the_variables(db: Database, folder: Path) -> None:
    wrong = "postgresql:///nowhere?host=/nowhere"
    done = migrate(db, "status", "-d", db.url, "--sql", folder, DATABASE_URL=wrong)
    assert f"database {db.dbname}" in done.stderr
    assert "(named by --database)" in done.stderr
    done = migrate(db, "status", "--sql", folder, DATABASE_URL=db.url, PGDATABASE="nowhere")
    assert "(named by DATABASE_URL)" in done.stderr


@pytest.mark.parametrize("command", ["up", "down", "redo"])
def test_a_read_only_session_is_refused(command: str, docs: Database) -> None:
    before = docs.query("SELECT * FROM _yoyo_log")
    message = said(docs, command, PGOPTIONS="-c default_transaction_read_only=on")
    assert "read-only" in message
    assert docs.query("SELECT * FROM _yoyo_log") == before


def test_a_role_without_rights_is_told_what_to_grant(db: Database) -> None:
    role = f"cli_weak_{os.getpid()}"
    db.query(f"CREATE ROLE {role} LOGIN")
    try:
        message = said(db, "up", PGUSER=role)
        assert f"GRANT CREATE, USAGE ON SCHEMA public TO {role}" in message
        db.query(f"GRANT CREATE ON SCHEMA public TO {role}")
        message = said(db, "up", PGUSER=role)
        assert "0001_initial_schema.sql, line " in message
        assert "permission denied for database" in message
        assert role in message
        assert db.query("SELECT 1 FROM _yoyo_migration") == []
        db.query(f'GRANT CREATE ON DATABASE "{db.dbname}" TO {role}')
        message = migrate(db, "up", code=1, PGUSER=role).stderr
        assert f"GRANT docmeta_owner TO {role}" in message
        db.query(f"GRANT docmeta_owner TO {role}")
        migrate(db, "up", PGUSER=role)
    finally:
        db.query(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_another_roles_history_is_not_written(docs: Database) -> None:
    role = f"cli_other_{os.getpid()}"
    docs.query(f"CREATE ROLE {role} LOGIN")
    try:
        message = said(docs, "up", PGUSER=role)
        assert "GRANT SELECT, INSERT, UPDATE, DELETE ON public._yoyo_migration" in message
        assert 'GRANT SELECT ON "public"._yoyo_migration' in said(docs, "status", PGUSER=role)
    finally:
        docs.query(f"DROP ROLE {role}")


def test_a_missing_or_empty_folder(db: Database, tmp_path: Path) -> None:
    assert "no migration folder" in said(db, "up", "--sql", tmp_path / "nowhere", code=2)
    assert "no migration in" in said(db, "up", "--sql", tmp_path, code=2)
    assert "no yoyo.ini" in said(db, "up", code=2, PGPROOF_PROJECT=str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "-- depends: 0000_nothing\nSELECT 1;\n",
            "names 0000_nothing, and there is no such migration",
        ),
        ("-- transactional: maybe\nSELECT 1;\n", "It must say true or false"),
        (b"-- \xe9\nSELECT 1;\n", "byte 3 (counted from 0) is 0xe9, which is not UTF-8"),
    ],
    ids=["depends", "transactional", "latin-1"],
)
def test_a_file_that_cannot_be_read(
    text: str | bytes, message: str, db: Database, folder: Path
) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / "0004_bad.sql").write_bytes(raw)
    assert message in said(db, "up", "--sql", folder, code=1)
    assert tables(db) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("0002_pear.sql", "-- depends: 0003_plum\n", "on one another: 0002_pear, 0003_plum"),
        ("0004_bad.py", "steps = (", "0004_bad.py cannot be loaded: SyntaxError: "),
        ("0004_bad.py", "raise KeyError('x')", "cannot be loaded: KeyError: 'x'"),
        ("0004_bad.py", "__depends__ = {'0009_x'}", "names a migration that is not there"),
        (os.fsdecode(b"0004_\xe9.sql"), "SELECT 1;\n", r"the name 0004_\udce9 is not UTF-8"),
        ("0003_plum.rollback.sql/x", "", "0003_plum.rollback.sql: Is a directory"),
    ],
    ids=["cycle", "syntax", "error", "__depends__", "name", "folder"],
)
def test_a_migration_that_cannot_be_taken(
    name: str, text: str, message: str, db: Database, folder: Path
) -> None:
    path = folder / name
    if "/" in name:
        path.parent.unlink()
        path.parent.mkdir()
    path.write_text(text)
    for command in ("up", "status"):
        assert message in said(db, command, "--sql", folder, code=1)
    assert tables(db) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool = 1\n", ""),
        ('[tool.pgproof]\npartitioned = ["public.a"]\n', "says is no text"),
        ("[tool]\npgproof = 1\n", "says is no text"),
        ("tool =", "Invalid value"),
        (None, "pyproject.toml: Is a directory"),
    ],
)
def test_a_project_file_that_cannot_be_taken(
    text: str | None, message: str, db: Database, folder: Path
) -> None:
    sql = folder / "sql"
    sql.mkdir()
    (sql / "0001_one.sql").write_text("SELECT 1;\n")
    path = folder / "pyproject.toml"
    path.mkdir() if text is None else path.write_text(text)
    done = run(sys.executable, "-m", "pgproof", "drift", "--sql", sql,
               environment=db.environment, code=None)  # fmt: skip
    assert done.returncode == (0 if not message else 1 if text is None else 2)
    assert "Traceback" not in done.stderr
    assert message in done.stderr


def test_a_folder_that_is_gone_and_a_word_that_is_not_utf_8(
    db: Database, folder: Path, tmp_path: Path
) -> None:
    done = shell(db, folder, "mkdir $SQL/gone; cd $SQL/gone; rmdir $SQL/gone; $M up --sql $SQL")
    assert (done.returncode, "the current folder is gone" in done.stderr) == (2, True)
    assert "surrogates not allowed" in said(db, "plan", "--parked", os.fsdecode(b"\xff"))


def test_a_folder_with_a_hook_alone(db: Database, tmp_path: Path) -> None:
    (tmp_path / "post-apply.sql").write_text("SELECT 1;\n")
    assert migrate(db, "status", "--sql", tmp_path).stdout == ""
    assert "none pending" in migrate(db, "up", "--sql", tmp_path).stdout


def test_repair_passes_over_a_python_program(db: Database, folder: Path) -> None:
    (folder / "0004_program.py").write_text("steps = []\n")
    migrate(db, "up", "--sql", folder)
    (folder / "0002_pear.sql").write_text("-- depends: 0001_apple\n-- edited\nSELECT 1;\n")
    assert "adopted 0002_pear" in migrate(db, "repair", "--sql", folder).stdout


def test_a_bad_name_for_a_new_migration(db: Database, folder: Path) -> None:
    assert "cannot name a migration" in said(db, "new", "../../etc", "--sql", folder, code=2)
    assert len(list(folder.iterdir())) == 6


# An SQL error names its place: (text of the file, line, what the server says).
FAILING = {
    "first statement": ("-- Head.\n\nSELECT\n    1 / 0;\nSELECT 2;\n", 3, "division by zero"),
    "with a position": ("-- Head.\nSELECT 1;\n\nSELECT\n    nope;\n", 5, 'column "nope"'),
    "comment before": ("SELECT 1;\n-- Why.\n-- More.\nSELECT 1 / 0;\n", 4, "division by zero"),
    "position after a comment": ("SELECT 1;\n-- Why.\nSELECT nope;\n", 3, 'column "nope"'),
    "the second of two alike": ("INSERT INTO public.apple VALUES (1);\n"
                                "CREATE TABLE public.t (id int UNIQUE);\n"
                                "INSERT INTO public.t VALUES (1);\n"
                                "INSERT INTO public.t VALUES (1);\n", 4, "duplicate key"),
    "syntax": ("SELECT 1;\nCREATE TABEL x;\n", 2, 'at or near "TABEL"'),
    "in a body": ("DO $$\nBEGIN\n    RAISE EXCEPTION 'no'\n        USING HINT = 'do';\nEND $$;\n",
                  1, "no (do)"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILING)
def test_an_sql_error_names_file_and_line(case: str, db: Database, folder: Path) -> None:
    text, line, server = FAILING[case]
    (folder / "0002_pear.sql").write_text("-- depends: 0001_apple\n" + text)
    done = migrate(db, "up", "--sql", folder, code=1)
    assert re.search(rf"^migrate: .*0002_pear\.sql, line {line + 1}: .*", done.stderr, re.M)
    assert server in done.stderr
    assert "Nothing of 0002_pear was kept" in done.stderr
    assert tables(db) == ["apple"]
    assert "applied 0001_apple" in done.stdout


def test_an_sql_error_of_a_rollback_names_its_file_and_line(db: Database, folder: Path) -> None:
    (folder / "0003_plum.rollback.sql").write_text(
        "DROP TABLE public.plum;\n\nSET LOCAL work_mem = '1MB';\nSELECT 1 / 0;\nSELECT 2;\n"
    )
    migrate(db, "up", "--sql", folder)
    message = said(db, "down", "--sql", folder)
    assert "0003_plum.rollback.sql, line 4: division by zero" in message
    assert len(tables(db)) == 3


def test_settings_of_yoyo_ini_hold_for_another_folder(db: Database, folder: Path) -> None:
    ini = folder.parent / f"{folder.name}_project"
    ini.mkdir()
    (ini / "yoyo.ini").write_text("[DEFAULT]\nsources = nowhere\nlock_retries = some\n")
    words = ("up", "--sql", folder)
    assert "lock_retries=some is not a count" in said(db, *words, code=2, PGPROOF_PROJECT=str(ini))
    migrate(db, *words, "--lock-retries", "1", PGPROOF_PROJECT=str(ini))


def test_a_held_lock_is_named(db: Database, folder: Path) -> None:
    migrate(db, "up", "--sql", folder)
    db.query("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4711)")
    message = said(db, "down", "--wait", "100ms", "--sql", folder)
    assert "the migration lock is held by stock yoyo, process 4711 of its machine" in message
    assert len(tables(db)) == 3


def test_the_host_of_a_url_is_where_it_goes(db: Database, folder: Path) -> None:
    """Whatever address libpq's variable has for it."""
    migrate(db, "status", "--sql", folder, "--database", db.url, PGHOSTADDR="127.0.0.255")


# A server of one's own -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict_server() -> Iterator[Server]:
    """A server that asks for a password."""
    with tempfile.TemporaryDirectory(prefix="pgproof-") as home:
        Path(home).chmod(0o755)
        server = Server(Path(home), find_binaries(), {"fsync": "off"})
        server.start()
        own = Database.on(server)
        own.query("CREATE ROLE ada LOGIN SUPERUSER PASSWORD 'lovelace'")
        (hba,) = Path(home).glob("pg*/pg_hba.conf")
        hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        own.query("SELECT pg_reload_conf()")
        own.close()
        yield server
        server.stop()


def test_a_wrong_password_is_told_from_a_missing_one(strict_server: Server) -> None:
    def ada(password: str | None) -> Database:
        return replace(Database.on(strict_server), user="ada", password=password)

    mend = "~/.pgpass or PGPASSWORD"
    wrong = said(ada("byron"), "status")
    assert "password authentication failed" in wrong
    assert mend in wrong
    missing = said(ada(None), "status", HOME="/nowhere")
    assert "no password supplied" in missing
    assert mend in missing
    migrate(ada("lovelace"), "status")


def test_a_standby_is_refused(strict_server: Server) -> None:
    own = Database.on(strict_server)
    data = Path(own.value("SHOW data_directory"))
    own.close()
    strict_server.stop()
    (data / "standby.signal").touch()
    try:
        strict_server.start()
        message = said(own, "up")
        assert "standby in recovery" in message
        assert "primary" in message
    finally:
        strict_server.stop()
        (data / "standby.signal").unlink()
        strict_server.start()


# Help ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_changes_and_returns(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Changes: " in text
    assert "exit codes: 0 done; 1 " in text
    assert f"Example: migrate {command}" in text


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    (\w+) +\w", capsys.readouterr().out, re.M)
    assert tuple(listed) == COMMANDS


def test_the_project_itself_is_found_from_below(db: Database) -> None:
    environment = {k: v for k, v in db.environment.items() if k != "PGPROOF_PROJECT"}
    done = run(sys.executable, "-m", "pgproof", "status", environment=environment, cwd=SQL)
    assert IDS[0] in done.stdout
