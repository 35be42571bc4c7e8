"""Laws of the backend: what it refuses, word for word; what it reads; what history it keeps."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from database import MIGRATE, SAFE_YOYO, YOYO, Database, Runner, run
from pgproof import catalog, history

ours = pytest.mark.parametrize("runner", [MIGRATE, SAFE_YOYO], ids=lambda r: r.name)


def pair(folder: Path, name: str, forward: str | bytes, rollback: str | bytes | None) -> None:
    """Write the two halves of a migration, or only the first."""
    for suffix, text in ((".sql", forward), (".rollback.sql", rollback)):
        if text is not None:
            raw = text if isinstance(text, bytes) else text.encode()
            (folder / f"{name}{suffix}").write_bytes(raw)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small migrations, the second on the first."""
    pair(tmp_path, "0001_apple", "CREATE TABLE apple (id int);\n", "DROP TABLE apple;\n")
    pear = "-- depends: 0001_apple\nCREATE TABLE pear (id int);\n"
    pair(tmp_path, "0002_pear", pear, "DROP TABLE pear;\n")
    return tmp_path


def state_of(db: Database) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return all that a refused run must leave as it was: the catalog and the history."""
    known = db.value("SELECT to_regclass('public._yoyo_log')")
    rows = db.query("SELECT migration_id, operation FROM _yoyo_log ORDER BY 1, 2") if known else []
    return catalog.read(db.connect()), rows


def refused(db: Database, runner: Runner, folder: Path, how: str = "up", **variables: str) -> str:
    """Run what must be refused, touching nothing, and return the two lines of its message."""
    before = state_of(db)
    start = runner.on(folder).up if how == "up" else runner.on(folder).down
    done = start(db, code=None, **variables)
    assert done.returncode in (1, 2), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert state_of(db) == before
    message = re.sub(r"^(database .*\n)?(migrate|yoyo): ", "", done.stderr)
    return message.replace(f"{folder}/", "")


# Refusals: what is done to the folder (or the database) after both are applied, and the message.

Change = Callable[[Path, Database], object]


def rename(folder: Path, _: Database) -> None:
    for path in folder.glob("0002*"):
        path.rename(folder / path.name.replace("pear", "pair"))


def empty(folder: Path, _: Database) -> None:
    for path in folder.iterdir():
        path.unlink()


def commit_in_a_hook(folder: Path, _: Database) -> None:
    pair(folder, "0003_plum", "SELECT 1;\n", "SELECT 1;\n")
    pair(folder, "post-apply", "SELECT 1;\nCOMMIT;\n", None)


REFUSALS: dict[str, tuple[str, Change, str]] = {
    "forward edited": (
        "up",
        lambda folder, _: pair(folder, "0001_apple", "CREATE TABLE apple ();\n", None),
        "0001_apple was edited since it was applied: its forward file\n"
        "Put back what it was; or, if the change is right, run: migrate repair 0001_apple\n",
    ),
    "rollback edited": (
        "down",
        lambda folder, _: (folder / "0002_pear.rollback.sql").write_text("SELECT 1;\n"),
        "0002_pear was edited since it was applied: its rollback file\n"
        "Put back what it was; or, if the change is right, run: migrate repair 0002_pear\n",
    ),
    "both edited": (
        "down",
        lambda folder, _: pair(folder, "0002_pear", "-- depends: 0001_apple\nSELECT 2;", "SELECT;"),
        "0002_pear was edited since it was applied: its forward and rollback file\n"
        "Put back what it was; or, if the change is right, run: migrate repair 0002_pear\n",
    ),
    "renamed": (
        "up",
        rename,
        "0002_pear is applied, but its file is gone or renamed\n"
        "Put the file back under that name.\n",
    ),
    "gone": (
        "down",
        lambda folder, _: (folder / "0002_pear.sql").unlink(),
        "0002_pear is applied, but its file is gone or renamed\n"
        "Put the file back under that name.\n",
    ),
    "out of order": (
        "up",
        lambda folder, _: pair(folder, "0001_banana", "SELECT 1;\n", "SELECT 2;\n"),
        "0001_banana comes before a migration that is applied already\n"
        "Give it the next number, and run again.\n",
    ),
    "no rollback file": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "CREATE TABLE plum ();\n", None),
        "0003_plum has no rollback file\nWrite 0003_plum.rollback.sql.\n",
    ),
    "empty rollback": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "SELECT 1;\n", "-- later\n/* ; */ ;\n"),
        "0003_plum.rollback.sql has no statement: it would roll nothing back\n"
        "Write what undoes the forward file, or RAISE an exception that says why nothing can.\n",
    ),
    "rollback file lost": (
        "down",
        lambda folder, _: (folder / "0002_pear.rollback.sql").unlink(),
        "0002_pear was edited since it was applied: its rollback file\n"
        "Put back what it was; or, if the change is right, run: migrate repair 0002_pear\n",
    ),
    "empty forward": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", b"\xef\xbb\xbf-- later\n;;\n", "SELECT 1;\n"),
        "0003_plum.sql has no statement: it would change nothing\n"
        "Write what it is to do, or remove both its files.\n",
    ),
    "COMMIT in a hook": (
        "up",
        commit_in_a_hook,
        "post-apply.sql, line 2: COMMIT at the top level would end the migration's own "
        "transaction\n"
        "Take it out; a file that must commit by itself says -- transactional: false.\n",
    ),
    "BEGIN": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "SELECT 1;\n\nbegin;\n", "SELECT 1;\n"),
        "0003_plum.sql, line 3: BEGIN at the top level would end the migration's own transaction\n"
        "Take it out; a file that must commit by itself says -- transactional: false.\n",
    ),
    "COMMIT in a rollback": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "SELECT 1;\n", "SELECT 1; /* c */ COMMIT;\n"),
        "0003_plum.rollback.sql, line 1: COMMIT at the top level would end the migration's own "
        "transaction\n"
        "Take it out; a file that must commit by itself says -- transactional: false.\n",
    ),
    "ROLLBACK": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "SELECT 1;\nROLLBACK;\n", "SELECT 1;\n"),
        "0003_plum.sql, line 2: ROLLBACK at the top level would end the migration's own "
        "transaction\n"
        "Take it out; a file that must commit by itself says -- transactional: false.\n",
    ),
    "the lock let go": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "DISCARD ALL;\n", "SELECT 1;\n"),
        "0003_plum.sql, line 1: this would let go of the migration lock\nTake it out.\n",
    ),
    "a nameless concurrent index": (
        "up",
        lambda folder, _: pair(
            folder,
            "0003_plum",
            "-- transactional: false\nCREATE INDEX CONCURRENTLY ON apple (id);\n",
            "SELECT 1;\n",
        ),
        "0003_plum.sql, line 2: an index built CONCURRENTLY needs a plain name\n"
        "Name it, and its table, without U&: the next run is to know it again if this one is cut "
        "off.\n",
    ),
    "a concurrent index whose name is in escapes": (
        "up",
        lambda folder, _: pair(
            folder,
            "0003_plum",
            "-- transactional: false\n"
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS U&\"!0061\" UESCAPE '!' ON apple (id);\n",
            "SELECT 1;\n",
        ),
        "0003_plum.sql, line 2: an index built CONCURRENTLY needs a plain name\n"
        "Name it, and its table, without U&: the next run is to know it again if this one is cut "
        "off.\n",
    ),
    "REINDEX CONCURRENTLY": (
        "up",
        lambda folder, _: pair(
            folder,
            "0003_plum",
            "-- transactional: false\nREINDEX (VERBOSE, CONCURRENTLY) TABLE apple;\n",
            "SELECT 1;\n",
        ),
        "0003_plum.sql, line 2: REINDEX CONCURRENTLY, cut off, would leave an INVALID index\n"
        "Build another index CONCURRENTLY and drop the old one; or run it by hand.\n",
    ),
    "two histories": (
        "up",
        lambda _, db: db.query(
            "CREATE SCHEMA other; CREATE TABLE other._yoyo_migration (LIKE public._yoyo_migration)"
        ),
        "two histories in one database: tables _yoyo_migration in other, public\n"
        "Decide which is true, and drop the four yoyo tables of the other.\n",
    ),
    "history elsewhere": (
        "up",
        lambda _, db: db.query(
            "CREATE SCHEMA other; ALTER TABLE public._yoyo_migration SET SCHEMA other"
        ),
        "yoyo's history is in schema other, not in public\n"
        "Add ?schema=other to the URL; or move the four yoyo tables to public.\n",
    ),
    "no folder at all": (
        "up",
        empty,
        "no migration found: the folder of `sources` is empty or missing, or nothing matches\n"
        "Look at sources in yoyo.ini.\n",
    ),
    "Latin-1": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", b"-- caf\xe9\nSELECT 1;\n", "SELECT 1;\n"),
        "0003_plum.sql: byte 6 (counted from 0) is 0xe9, which is not UTF-8 text\n"
        "Save the file as UTF-8.\n",
    ),
    "unknown dependency": (
        "up",
        lambda folder, _: pair(folder, "0003_plum", "-- depends: 0002_peer\nSELECT;", "SELECT;"),
        "0003_plum.sql: `-- depends:` names 0002_peer, and there is no such migration\n"
        "The nearest: 0002_pear, ",
    ),
}  # fmt: skip


@ours
@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_is_refused_whole_and_says_why(
    case: str, runner: Runner, db: Database, folder: Path
) -> None:
    MIGRATE.on(folder).up(db)
    how, change, message = REFUSALS[case]
    change(folder, db)
    said = refused(db, runner, folder, how)
    if case == "no folder at all" and runner is MIGRATE:
        assert said == f"no migration in {folder}\nMake the first one: migrate new NAME\n"
    elif message.endswith(", "):
        assert said.startswith(message)
    else:
        assert said == message


@ours
def test_a_database_that_is_not_utf8_is_refused(runner: Runner, db: Database, folder: Path) -> None:
    name = f"latin_{os.getpid()}"
    db.query(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        latin = Database(db.host, db.port, db.user, db.password, name)
        assert refused(latin, runner, folder) == (
            "the database's encoding is LATIN1, and the files are UTF-8\n"
            "Make the database anew with ENCODING 'UTF8', and move the data there.\n"
        )
        latin.close()
    finally:
        db.query(f"DROP DATABASE {name} WITH (FORCE)")


@ours
def test_a_read_only_session_is_refused(runner: Runner, db: Database, folder: Path) -> None:
    said = refused(db, runner, folder, PGOPTIONS="-c default_transaction_read_only=on")
    assert said == (
        "the session is read-only (default_transaction_read_only is on): it takes no change\n"
        "Run with PGOPTIONS='-c default_transaction_read_only=off', or mend it on the server.\n"
    )


def test_yoyo_skips_nothing_that_another_depends_on(db: Database, folder: Path) -> None:
    """`yoyo apply -m` selects by a pattern; stock yoyo applies the second without the first."""
    command = (*SAFE_YOYO.program, "apply", "--batch", "-m", "pear", "-d", "postgresql+pgproof://")
    done = run(*command, str(folder), environment=db.environment, code=1)
    assert done.stderr == (
        "yoyo: 0002_pear depends on 0001_apple, which is not applied\nApply that one first.\n"
    )


def test_yoyo_rolls_back_nothing_that_another_stands_on(db: Database, folder: Path) -> None:
    MIGRATE.on(folder).up(db)
    command = (*SAFE_YOYO.program, "rollback", "--batch", "-m", "apple")
    done = run(*command, "-d", "postgresql+pgproof://", str(folder), environment=db.environment,
               code=1)  # fmt: skip
    assert done.stderr == (
        "yoyo: 0002_pear depends on 0001_apple, and is applied\nRoll that one back first.\n"
    )


def test_yoyos_force_is_refused(db: Database, folder: Path) -> None:
    command = (*SAFE_YOYO.program, "apply", "--batch", "--force", "-d", "postgresql+pgproof://")
    done = run(*command, str(folder), environment=db.environment, code=1)
    assert "--force would record a migration whose statements failed" in done.stderr


# In the project's own folder ------------------------------------------------------------------


def test_plain_yoyo_in_the_project_runs_on_our_backend(db: Database) -> None:
    """yoyo.ini names it, and libpq's variables name the database."""
    yoyo = SAFE_YOYO.program
    run(*yoyo, "apply", "--batch", environment=db.environment)
    assert db.query("SELECT DISTINCT comment LIKE 'pgproof %%' FROM _yoyo_log") == [(True,)]
    assert run(*yoyo, "list", environment=db.environment).stdout.splitlines()[2].startswith("A")
    run(*yoyo, "rollback", "--batch", "--all", environment=db.environment)
    assert db.value("SELECT to_regnamespace('docmeta')") is None


def test_the_readmes_words_for_stock_yoyo(db: Database) -> None:
    yoyo = SAFE_YOYO.program
    run(*yoyo, "apply", "--batch", "-d", "postgresql://", environment=db.environment)
    assert db.query("SELECT DISTINCT comment FROM _yoyo_log") == [(None,)]
    listed = run(*yoyo, "list", "-d", "postgresql://", environment=db.environment)
    assert listed.stdout.splitlines()[2].startswith("A")
    run(*yoyo, "rollback", "--batch", "--all", "-d", "postgresql://", environment=db.environment)
    assert db.value("SELECT to_regnamespace('docmeta')") is None


# Reading files -------------------------------------------------------------------------------

ODD_FILES: dict[str, bytes] = {
    "BOM": b"\xef\xbb\xbfCREATE TABLE odd ();\n",
    "CRLF": b"-- Head.\r\nCREATE TABLE odd\r\n();\r\n",
    "comment at the end": b"CREATE TABLE odd ();\n-- that was it\n",
    "block comment at the end": b"CREATE TABLE odd (); /* ; */",
    "two semicolons": b"CREATE TABLE odd ();;\n;\n",
    "nested comment": b"/* a /* b; */ c; */ CREATE TABLE odd ();\n",
    "per cent": b"CREATE TABLE odd ();\nSELECT '%s', '%', 5 % 2, '%(x)s';\n",
    "not ASCII": "CREATE TABLE odd ();\nCOMMENT ON TABLE odd IS 'Ärger Ж 文';\n".encode(),
    "no semicolon": b"CREATE TABLE odd ()",
    "body": b"CREATE TABLE odd ();\nDO $do$ BEGIN PERFORM ';'; COMMIT; EXCEPTION WHEN OTHERS "
    b"THEN NULL; END $do$;\n",
    "atomic body": b"CREATE TABLE odd ();\nCREATE FUNCTION odd() RETURNS int BEGIN ATOMIC "
    b"SELECT 1; SELECT 2; END;\nDROP FUNCTION odd();\n",
    "savepoint": b"SAVEPOINT a;\nCREATE TABLE odd ();\nROLLBACK TO SAVEPOINT a;\n"
    b"CREATE TABLE odd ();\nRELEASE a;\n",
}


@ours
@pytest.mark.parametrize("case", ODD_FILES)
def test_odd_files_are_read_as_psql_reads_them(
    case: str, runner: Runner, db: Database, tmp_path: Path
) -> None:
    pair(tmp_path, "0001_odd", ODD_FILES[case], b"\xef\xbb\xbfDROP TABLE odd;\r\n-- gone")
    # Under LANG=C, where stock yoyo fails on what is not ASCII.
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    runner = runner.on(tmp_path)
    runner.up(db, 0, **plain)
    assert db.value("SELECT to_regclass('odd')") == "odd"
    if case == "not ASCII":
        assert db.value("SELECT obj_description('odd'::regclass)") == "Ärger Ж 文"
    runner.down(db, 0, **plain)
    assert db.value("SELECT to_regclass('odd')") is None


def test_line_ends_are_no_edit(db: Database, folder: Path) -> None:
    MIGRATE.on(folder).up(db)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    MIGRATE.on(folder).down(db)


def test_a_file_of_20000_statements(db: Database, tmp_path: Path) -> None:
    """Savepoints that are never released run out of shared memory at 12,800."""
    rows = "".join(f"INSERT INTO many VALUES ({n});\n" for n in range(20_000))
    pair(tmp_path, "0001_many", f"CREATE TABLE many (n int);\n{rows}", "DROP TABLE many;\n")
    MIGRATE.on(tmp_path).up(db)
    assert db.value("SELECT count(*) FROM many") == 20_000


NAMELESS = """
import pwd, sys
def getpwuid(uid): raise KeyError(uid)
pwd.getpwuid = getpwuid
from {module} import main
sys.argv = sys.argv[1:]
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["pgproof.cli", "yoyo.scripts.main"])
def test_a_user_without_a_passwd_entry(module: str, db: Database, folder: Path) -> None:
    """As in a container under a number of its own; the number stands in the log."""
    nameless = {
        name: value
        for name, value in db.environment.items()
        if name not in ("LOGNAME", "USER", "LNAME", "USERNAME")
    }
    words = {
        "pgproof.cli": ["migrate", "up", "--sql"],
        "yoyo.scripts.main": ["yoyo", "apply", "--batch", "-d", "postgresql+pgproof://"],
    }[module]
    command = [sys.executable, "-c", NAMELESS.format(module=module), *words, str(folder)]
    run(*command, environment=nameless)
    assert db.value("SELECT DISTINCT username FROM _yoyo_log") == str(os.getuid())


# History -------------------------------------------------------------------------------------


def test_status_tells_every_state(db: Database, folder: Path) -> None:
    YOYO.on(folder).up(db)
    pair(folder, "0003_plum", "-- depends: 0002_pear\nCREATE TABLE plum ();", "DROP TABLE plum;")
    pair(folder, "0004_kiwi", "-- depends: 0003_plum\nCREATE TABLE kiwi ();", "DROP TABLE kiwi;")
    MIGRATE.on(folder).up(db)
    pair(folder, "0003_plum", "-- depends: 0002_pear\nCREATE TABLE plum (id int);", None)
    (folder / "0004_kiwi.sql").unlink()
    pair(folder, "0002_quince", "-- depends: 0002_pear\nSELECT 1;", "SELECT 1;")
    pair(folder, "0005_fig", "-- depends: 0003_plum\nSELECT 1;", "SELECT 1;")
    done = run(*MIGRATE.program, "status", "--sql", str(folder), environment=db.environment)
    lines = [re.sub(r" +\d{4}-.*UTC|  by \S+|  in [\d.]+ s", "", line) for line in
             done.stdout.splitlines()]  # fmt: skip
    assert lines == [
        "applied       0001_apple  unchecked: applied by stock yoyo",
        "applied       0002_pear  unchecked: applied by stock yoyo",
        "out of order  0002_quince",
        "edited        0003_plum  edited: forward",
        "pending       0005_fig",
        "missing       0004_kiwi",
    ]


def test_a_reader_needs_no_more_than_select_and_leaves_no_error(db: Database, folder: Path) -> None:
    """Shown by a role that can only read, and by the server's own count of what it rolled back."""
    MIGRATE.on(folder).up(db)
    role = f"reader_{os.getpid()}"
    db.query(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON _yoyo_migration, _yoyo_log TO {role}")
    before = state_of(db)
    try:
        db.query("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")  # a held lock keeps no reader out
        failed = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        errors = db.value(failed)
        for command in (
            (*MIGRATE.program, "status", "--sql"),
            (*MIGRATE.program, "history", "--sql"),
            (*SAFE_YOYO.program, "list", "-d", "postgresql+pgproof://"),
        ):
            done = run(*command, str(folder), environment={**db.environment, "PGUSER": role})
            assert "0001_apple" in done.stdout
        db.query("SELECT pg_stat_force_next_flush(); SELECT pg_sleep(0.1)")
        assert db.value(failed) == errors
        assert state_of(db) == before
    finally:
        db.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_repair_adopts_what_was_edited_and_says_who(db: Database, folder: Path) -> None:
    MIGRATE.on(folder).up(db)
    pair(folder, "0001_apple", "CREATE TABLE apple (id int); -- note\n", None)
    pair(folder, "0002_pear", "-- depends: 0001_apple\nCREATE TABLE pear ();", "DROP TABLE pear;")
    repair = (*MIGRATE.program, "repair", "--sql", str(folder))
    done = run(*repair, "1", environment=db.environment)
    assert re.fullmatch(
        r"adopted 0001_apple, applied .* UTC\n"
        r"  forward   [0-9a-f]{12} -> [0-9a-f]{12} \(SHA-256\)\n",
        done.stdout,
    )
    assert "edited" in MIGRATE.on(folder).down(db, code=1).stderr  # the other one
    assert run(*repair, environment=db.environment).stdout.count("adopted") == 1
    assert "nothing to adopt" in run(*repair, environment=db.environment).stdout
    assert "was not edited" in run(*repair, "1", environment=db.environment, code=2).stderr
    log = db.query("SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc")
    assert log[2:] == [("repair", "0001_apple"), ("repair", "0002_pear")]
    MIGRATE.on(folder).down(db)


def test_baseline_records_a_schema_that_is_there(db: Database, folder: Path) -> None:
    db.query("CREATE TABLE apple (id int); CREATE TABLE pear (id text)")
    command = (*MIGRATE.program, "baseline", "--sql", str(folder), "--to")
    done = run(*command, "1", environment=db.environment, code=1)
    assert "+column public.pear.id: text" in done.stdout
    done = run(*command, "2", environment=db.environment, code=1)
    assert "-column public.pear.id: integer\n+column public.pear.id: text" in done.stdout
    assert "nothing was recorded" in done.stderr
    assert db.value("SELECT to_regclass('_yoyo_migration')") is None
    db.query("ALTER TABLE pear ALTER id TYPE int USING NULL")
    done = run(*command, "2", environment=db.environment)
    assert done.stdout == "recorded 0001_apple\nrecorded 0002_pear\n"
    assert "is recorded as applied" in run(*command, "2", environment=db.environment, code=2).stderr
    MIGRATE.on(folder).down(db)
    assert db.value("SELECT to_regclass('apple')") is None


def test_baseline_takes_for_a_difference_what_drift_does(db: Database, tmp_path: Path) -> None:
    """A login that may migrate and no more, its history aside, a role of no file, a later month."""
    role, client = f"base_{db.dbname}", f"client_{db.dbname}"
    folder = tmp_path / "sql"
    folder.mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.pgproof]\npartitioned = "s.log"\n')
    forward = (
        "CREATE SCHEMA s;\nCREATE TABLE s.log (at date) PARTITION BY RANGE (at);\n"
        f"GRANT USAGE ON SCHEMA s TO {client};\n"
    )
    (folder / "0001_log.sql").write_text(forward)
    (folder / "0001_log.rollback.sql").write_text("DROP SCHEMA s CASCADE;\n")
    fails = "-- depends: 0001_log\nALTER TABLE absent.minded ADD x int;\n"
    (folder / "0002_fails.sql").write_text(fails)
    db.query(f"CREATE ROLE {client}; CREATE ROLE {role} LOGIN")
    try:
        db.query(
            f'REVOKE ALL ON DATABASE "{db.dbname}" FROM PUBLIC;'
            f'GRANT CONNECT, CREATE ON DATABASE "{db.dbname}" TO {role};'
            f"CREATE SCHEMA hist AUTHORIZATION {role};"
            f"GRANT USAGE, CREATE ON SCHEMA public TO {role};"
            f"SET ROLE {role}; {forward} CREATE TABLE s.log_2026 PARTITION OF s.log "
            "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); RESET ROLE"
        )
        command = (*MIGRATE.program, "baseline", "--sql", str(folder))
        words = (*command, "-d", f"{db.url}&user={role}&schema=hist", "--to")
        said = run(*words, "2", environment=db.environment, code=1).stderr
        assert "0002_fails fails in a scratch database: " in said
        assert 'schema "absent" does not exist' in said
        assert run(*words, "1", environment=db.environment).stdout == "recorded 0001_log\n"
        assert db.query("SELECT migration_id FROM hist._yoyo_migration") == [("0001_log",)]
    finally:
        db.query(
            f"DROP OWNED BY {role}, {client} CASCADE; DROP SCHEMA IF EXISTS s CASCADE;"
            f"DROP ROLE {role}; DROP ROLE {client}"
        )


def test_unlock_never_breaks_a_live_lock(db: Database, folder: Path) -> None:
    MIGRATE.on(folder).up(db)
    unlock = (*MIGRATE.program, "unlock", "--sql", str(folder))
    assert run(*unlock, environment=db.environment).stdout == "no lock: nothing to remove\n"

    db.query("SELECT pg_advisory_lock(%s)", [int.from_bytes(b"pgproof\0")])
    done = run(*unlock, environment=db.environment, code=1)
    assert "It lives: nothing was removed" in done.stderr
    db.query("SELECT pg_advisory_unlock_all()")

    db.query("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")
    done = run(*unlock, environment=db.environment, code=1)  # this test's session may be it
    assert "stock yoyo, process 4711 of its machine" in done.stderr
    assert db.query("SELECT pid FROM yoyo_lock") == [(4711,)]

    db.query("UPDATE yoyo_lock SET pid = -12345")
    done = run(*unlock, environment=db.environment)
    assert done.stdout == "removed the lock of a session, process 12345, which is gone\n"
    assert db.query("SELECT pid FROM yoyo_lock") == []


@ours
def test_history_lies_in_one_schema_whatever_the_search_path(
    runner: Runner, db: Database, tmp_path: Path
) -> None:
    """A role named like a schema that a migration creates: stock yoyo then loses its history."""
    role = f"docmeta_{os.getpid()}"
    db.query(f'CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role};'
             f'GRANT CREATE ON DATABASE "{db.dbname}" TO {role}')  # fmt: skip
    pair(tmp_path, "0001_own", f"CREATE SCHEMA {role};\n", f"DROP SCHEMA {role};\n")
    runner = runner.on(tmp_path)
    try:
        runner.up(db, PGUSER=role)
        runner.up(db, PGUSER=role, PGOPTIONS="-c search_path=pg_catalog")
        runner.down(db, PGUSER=role)
        log = db.query("SELECT operation FROM public._yoyo_log ORDER BY created_at_utc")
        assert log == [("apply",), ("rollback",)]
    finally:
        db.query(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_another_schema_for_history_is_named_in_the_url(db: Database, folder: Path) -> None:
    db.query('CREATE SCHEMA "my history"')
    command = (*MIGRATE.program, "up", "--sql", str(folder))
    run(*command, "-d", f"{db.url}&schema=my+history", environment=db.environment)
    assert db.value('SELECT count(*) FROM "my history"._yoyo_migration') == 2
    done = run(*command, environment=db.environment, code=1)
    assert "yoyo's history is in schema my history, not in public" in done.stderr


@ours
def test_nothing_of_a_session_passes_from_file_to_file(
    runner: Runner, db: Database, tmp_path: Path
) -> None:
    other = f"other_{os.getpid()}"
    db.query(f"CREATE ROLE {other}")
    pair(
        tmp_path,
        "0001_leave",
        f"CREATE TEMP TABLE t (); SET search_path = pg_catalog; SET work_mem = '1234kB';"
        f"PREPARE p AS SELECT 1; SET ROLE {other};",
        "SELECT 1;",
    )
    pair(
        tmp_path,
        "0002_find",
        "-- depends: 0001_leave\n"
        "CREATE TABLE found AS SELECT to_regclass('t')::text AS temp, "
        "current_setting('work_mem') AS work_mem, current_setting('search_path') AS path, "
        "current_user = session_user AS same, (SELECT count(*) FROM pg_prepared_statements) AS p;",
        "DROP TABLE found;",
    )
    pair(
        tmp_path,
        "0003_leave_again",
        "-- depends: 0002_find\n-- transactional: false\nSET work_mem = '1234kB';\n",
        "SELECT 1;",
    )
    pair(
        tmp_path,
        "0004_find_again",
        "-- depends: 0003_leave_again\n-- transactional: false\n"
        "CREATE TABLE again AS SELECT current_setting('work_mem') AS work_mem;",
        "DROP TABLE again;",
    )
    try:
        runner.on(tmp_path).up(db)
        assert db.query("SELECT * FROM found") == [(None, "4MB", '"$user", public', True, 0)]
        assert db.query("SELECT * FROM again") == [("4MB",)]
    finally:
        db.query(f"DROP ROLE {other}")


def test_the_comment_of_the_log_holds_what_yoyo_has_no_column_for(
    db: Database, folder: Path
) -> None:
    MIGRATE.on(folder).up(db)
    records = history.read(db.connect(), "public")
    assert list(records) == ["0001_apple", "0002_pear"]
    for record in records.values():
        assert re.fullmatch(r"[0-9a-f]{64}", str(record.forward))
        assert record.forward != record.rollback
        assert record.seconds is not None
        assert record.seconds < 60
    assert db.value("SELECT max(length(comment)) FROM _yoyo_log") <= 255


def test_marks_of_yoyo_are_checked_too(db: Database, folder: Path) -> None:
    mark = (*SAFE_YOYO.program, "mark", "--batch", "-d", "postgresql+pgproof://", str(folder))
    run(*mark, environment=db.environment)
    assert db.value("SELECT to_regclass('apple')") is None
    assert all(r.forward for r in history.read(db.connect(), "public").values())
    unmark = (*SAFE_YOYO.program, "unmark", "--batch", "-d", "postgresql+pgproof://", str(folder))
    run(*unmark, environment=db.environment)
    assert db.query("SELECT operation FROM _yoyo_log ORDER BY created_at_utc") == [
        ("mark",), ("mark",), ("unmark",), ("unmark",),
    ]  # fmt: skip


def test_a_post_apply_hook_runs_each_time_and_leaves_no_history(db: Database, folder: Path) -> None:
    (folder / "post-apply.sql").write_text("CREATE TABLE IF NOT EXISTS hook ();\n")
    MIGRATE.on(folder).up(db)
    assert db.value("SELECT to_regclass('hook')") == "hook"
    assert db.value("SELECT count(*) FROM _yoyo_migration") == 2


def test_a_hook_that_fails_says_what_stays_and_when_it_runs_again(
    db: Database, folder: Path
) -> None:
    hook = folder / "post-apply.sql"
    hook.write_text("SELECT 1 / 0;\n")
    assert (
        "post-apply.sql, line 1: division by zero\nNothing of post-apply was kept; the migrations "
        "stay. Mend it, and run it by hand or with the next migration.\n"
    ) in MIGRATE.on(folder).up(db, code=1).stderr
    hook.write_text("-- transactional: false\nCREATE TABLE hook ();\n")
    MIGRATE.on(folder).up(db)
    assert db.value("SELECT to_regclass('hook')") is None
    pair(folder, "0003_plum", "SELECT 1;", "SELECT 1;")
    MIGRATE.on(folder).up(db)
    assert db.value("SELECT to_regclass('hook')") == "hook"


def test_an_empty_file_that_is_applied_can_be_rolled_back(db: Database, folder: Path) -> None:
    """An earlier release applied it."""
    pair(folder, "0003_plum", "", "SELECT 1;")
    mark = (*SAFE_YOYO.program, "mark", "--batch", "-d", "postgresql+pgproof://", str(folder))
    run(*mark, environment=db.environment)
    MIGRATE.on(folder).down(db, code=1)  # no apple to drop
    assert db.value("SELECT count(*) FROM _yoyo_migration") == 2


def test_a_hook_outside_a_transaction_is_nothing_that_was_interrupted(
    db: Database, folder: Path
) -> None:
    (folder / "post-apply.sql").write_text("-- transactional: false\nANALYZE;\n")
    MIGRATE.on(folder).up(db)
    assert db.value("SELECT count(*) FROM _yoyo_log WHERE operation = 'begin'") == 0
    # What a run of an earlier release left.
    db.query("""
        INSERT INTO _yoyo_log (id, migration_id, operation, username, hostname, created_at_utc)
        VALUES ('1', 'post-apply', 'begin', 'who', 'where', now() AT TIME ZONE 'UTC')
    """)
    MIGRATE.on(folder).up(db)
    MIGRATE.on(folder).down(db)
    assert db.value("SELECT to_regclass('apple')") is None


def test_the_log_is_in_the_order_of_what_happened_whatever_the_clocks(
    db: Database, folder: Path
) -> None:
    """A run on a machine whose clock is ahead is cut off; the next ones are on others."""
    pair(folder, "0003_plum", "-- transactional: false\nSELECT 1 / count(*) FROM ok;", "SELECT 1;")
    db.query("CREATE TABLE ok ()")
    MIGRATE.on(folder).up(db, code=1)
    db.query("UPDATE _yoyo_log SET created_at_utc = created_at_utc + interval '5 min'")
    db.query("INSERT INTO ok DEFAULT VALUES")
    MIGRATE.on(folder).up(db)
    pair(folder, "0004_quince", "SELECT 1;", "SELECT 1;")
    MIGRATE.on(folder).up(db)
    status = run(*MIGRATE.program, "status", "--sql", str(folder), environment=db.environment)
    assert status.stdout.count("applied  ") == 4
    with db.connect() as session:
        told = [f"{one.operation} {one.id[:4]}" for one in history.log(session, "public")]
    assert told == ["apply 0001", "apply 0002", "begin 0003", "apply 0003", "apply 0004"]
    MIGRATE.on(folder).down(db)


def test_a_repair_does_not_hide_that_a_rollback_was_interrupted(db: Database, folder: Path) -> None:
    outside = "-- transactional: false\n"
    pair(folder, "0003_plum", f"{outside}SELECT 1;", "DROP TABLE pear; SELECT 1 / 0;")
    MIGRATE.on(folder).up(db)
    MIGRATE.on(folder).down(db, code=1)
    pair(folder, "0003_plum", f"{outside}SELECT 2;", None)
    run(*MIGRATE.program, "repair", "--sql", str(folder), environment=db.environment)
    said = MIGRATE.on(folder).up(db, code=1).stderr
    assert "0003_plum was interrupted half-way down, and is not transactional" in said


@pytest.mark.parametrize(
    "leaves",
    [
        "SET ROLE pg_monitor",
        "SET default_transaction_read_only = on",
        "SET SESSION AUTHORIZATION pg_monitor",
    ],
)
def test_a_run_that_fails_as_somebody_else_lets_go_of_the_lock(
    leaves: str, db: Database, folder: Path
) -> None:
    pair(folder, "0003_plum", f"-- transactional: false\n{leaves};\nSELECT 1 / 0;", "SELECT 1;")
    assert "division by zero" in MIGRATE.on(folder).up(db, code=1).stderr
    assert db.query("SELECT * FROM yoyo_lock") == []


def test_only_a_lost_session_is_called_lost(db: Database, folder: Path) -> None:
    program = 'from yoyo import step\nsteps = [step("SELECT 1 / 0"), step("SELECT 1")]\n'
    (folder / "0003_plum.py").write_text(program)
    said = MIGRATE.on(folder).up(db, code=1).stderr
    assert "division by zero\nMend the cause; migrate status tells what was done.\n" in said
    (folder / "0003_plum.py").write_text(
        program.replace("1 / 0", "pg_terminate_backend(pg_backend_pid())")
    )
    assert "\nThe session was lost; migrate" in MIGRATE.on(folder).up(db, code=1).stderr


def test_the_grant_for_a_reader_is_one_that_can_be_run(db: Database, folder: Path) -> None:
    MIGRATE.on(folder).up(db)
    role = f'"we-ird {os.getpid()}"'
    db.query(f"CREATE ROLE {role} LOGIN")
    try:
        status = (*MIGRATE.program, "status", "--sql", str(folder))
        environment = {**db.environment, "PGUSER": role.strip('"')}
        said = run(*status, environment=environment, code=1).stderr
        db.query(said.partition("run: ")[2])
        run(*status, environment=environment)
    finally:
        db.query(f"DROP OWNED BY {role}; DROP ROLE {role}")
