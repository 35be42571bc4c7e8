"""Laws of `plan`, `drift` and `up --plan`: what they see, and that the first two only look."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from database import IDS, SQL, Database, run
from pgproof import binaries, catalog, report_plan, rows, scratch
from pgproof.server import Server

READER = "plan_reader"
PEOPLE = "CREATE SCHEMA s;\nCREATE TABLE s.people (id int PRIMARY KEY, name text);\n"


def pair(folder: Path, name: str, forward: str, rollback: str = "SELECT 1;\n") -> None:
    """Write the two halves of a migration."""
    (folder / f"{name}.sql").write_text(forward)
    (folder / f"{name}.rollback.sql").write_text(rollback)


def migrate(
    db: Database, folder: Path, *words: str | Path, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process on a folder of migrations; no output may be a traceback."""
    command = (sys.executable, "-m", "pgproof", *words, "--sql", folder)
    done = run(*command, environment={**db.environment, **variables}, code=code)
    assert "Traceback" not in done.stderr
    return done


def make_reader(db: Database) -> None:
    """Make a role without any right; it belongs to the cluster, and another test may have it."""
    db.query(
        f"DO $$ BEGIN CREATE ROLE {READER} LOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )


def planned(db: Database, folder: Path, *words: str, code: int = 0, **variables: str) -> Any:
    """Return the document of a plan."""
    done = migrate(db, folder, *(words or ["plan"]), "--json", code=code, **variables)
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One migration to be applied, with two tables in it, and two that are pending."""
    made = tmp_path / "sql"
    made.mkdir()
    pair(made, "0001_people", f"{PEOPLE}CREATE TABLE s.other ();\n", "DROP SCHEMA s CASCADE;\n")
    pair(
        made,
        "0002_age",
        "-- People have an age.\n--\n-- Rollback: lossless; parked.\n-- depends: 0001_people\n"
        "ALTER TABLE s.people ADD COLUMN age int;\nALTER TABLE s.people ALTER id TYPE bigint;\n",
        "ALTER TABLE s.people DROP COLUMN age, ALTER id TYPE int;\n",
    )
    pair(
        made,
        "0003_index",
        "-- depends: 0002_age\n-- transactional: false\n"
        "CREATE INDEX CONCURRENTLY people_name_idx ON s.people (name);\n",
        "DROP INDEX CONCURRENTLY s.people_name_idx;\n",
    )
    return made


@pytest.fixture
def live(db: Database, folder: Path) -> Database:
    """A database with the first of the three applied, and a thousand rows."""
    migrate(db, folder, "up", "--to", "1")
    db.query("INSERT INTO s.people SELECT n, 'x' FROM generate_series(1, 1000) n; ANALYZE s.people")
    return db


# That it only looks ---------------------------------------------------------------------------


def written(db: Database) -> Any:
    """Return how many rows were ever inserted, updated and deleted in a database, told by it."""
    db.query("SELECT pg_stat_force_next_flush()")
    return db.query(
        "SELECT tup_inserted, tup_updated, tup_deleted FROM pg_stat_database "
        "WHERE datname = current_database()"
    )


def test_plan_and_drift_change_nothing(filled: Database, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    shutil.copytree(SQL, folder)
    number = len(IDS) + 1
    name = f"{number:04d}_change"
    change = f"-- depends: {IDS[-1]}\nALTER TABLE docmeta.documents ADD COLUMN odd int;\n"
    pair(folder, name, change, "ALTER TABLE docmeta.documents DROP COLUMN odd;\n")

    def state() -> Any:
        log = filled.query("SELECT * FROM _yoyo_log ORDER BY id")
        lock = filled.query("SELECT * FROM yoyo_lock")
        there = filled.connect()
        return log, lock, rows.read(there), catalog.read(there), written(filled)

    migrate(filled, folder, "status")  # reads the same, and warms what a first session fills
    before = state()
    made = planned(filled, folder)
    assert [step["error"] for step in made["migrations"]] == [None]
    migrate(filled, folder, "plan", "--down")
    migrate(filled, folder, "drift")
    after = state()
    for was, now in zip(before, after, strict=True):
        assert now == was


def test_a_role_that_may_only_read_history_is_enough(live: Database, folder: Path) -> None:
    make_reader(live)
    live.query(f"GRANT SELECT ON _yoyo_migration, _yoyo_log TO {READER}")
    read_only = "-c default_transaction_read_only=on"
    made = planned(live, folder, PGUSER=READER, PGOPTIONS=read_only)
    assert made["drift"] == []
    assert [step["error"] for step in made["migrations"]] == [None, None]
    assert made["migrations"][0]["sizes"][0]["rows"] == 1000
    # The fingerprint does not depend on who reads.
    assert made["database"] == planned(live, folder)["database"]


def test_the_server_has_nothing_to_log(folder: Path) -> None:
    server = Server(scratch.scratch_folder(), binaries.find_binaries(), scratch.UNSAFE_BUT_FAST)
    server.start()
    try:
        named = {name: str(value) for name, value in server.parameters().items()}
        db = Database(named["host"], named["port"], named["user"], None, named["dbname"])
        migrate(db, folder, "up", "--to", "1")
        begun = server.log().stat().st_size
        migrate(db, folder, "plan")
        assert server.log().read_text()[begun:] == ""
    finally:
        server.stop()
        shutil.rmtree(server.home)


def test_it_needs_no_history_and_no_table(db: Database, folder: Path) -> None:
    made = planned(db, folder, PGOPTIONS="-c default_transaction_read_only=on")
    assert made["database"]["applied"] == []
    assert made["drift"] == []
    assert [step["id"] for step in made["migrations"]] == ["0001_people", "0002_age", "0003_index"]
    assert db.query("SELECT 1 FROM pg_class WHERE relname ~ 'yoyo'") == []


# Drift ----------------------------------------------------------------------------------------

PLANTED = {
    "CREATE INDEX stray ON s.people (name)": "+index s.stray on s.people",
    "ALTER TABLE s.people ADD COLUMN extra text": "+column s.people.extra: text",
    "ALTER TABLE s.people ALTER name SET DEFAULT 'x'": "+column s.people.name: text default",
    "COMMENT ON TABLE s.people IS 'who'": "+comment on table s.people: who",
    "GRANT SELECT ON s.people TO PUBLIC": "+privilege table s.people to PUBLIC",
    "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": "+function s.f()",
    "ALTER TABLE s.people DROP CONSTRAINT people_pkey": "-constraint s.people people_pkey",
    "DROP TABLE s.other": "-table s.other",
    "CREATE SCHEMA aside": "+schema aside",
}


def test_drift_of_every_kind_is_found_and_named(live: Database, folder: Path) -> None:
    assert migrate(live, folder, "drift").stdout.endswith("; no drift.\n")
    for statement in PLANTED:
        live.query(statement)
    shown = migrate(live, folder, "drift", code=1).stdout
    found = [line for line in PLANTED.values() if f"\n{line}" in shown]
    assert found == list(PLANTED.values()), shown
    # A plan shows it, and goes on.
    assert planned(live, folder)["drift"][2:] == planned(live, folder, "drift", code=1)["drift"][2:]


def test_who_may_enter_the_database_is_no_drift_unless_a_file_says_so(
    live: Database, folder: Path
) -> None:
    """A login that may migrate and nothing else needs grants that stand in no file."""
    make_reader(live)
    live.query(
        f"REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {READER};"
        f'GRANT CREATE ON DATABASE "{live.dbname}" TO {READER}'
    )
    migrate(live, folder, "drift")
    grant = f"-- depends: 0001_people\nGRANT CREATE ON SCHEMA public TO {READER};\n"
    pair(folder, "0002_age", grant)
    migrate(live, folder, "up", "--to", "2")
    drift = planned(live, folder, "drift", code=1)["drift"]
    assert [x for x in drift if x.startswith(f"+privilege schema public to {READER}: ")]
    assert not [line for line in drift if "privilege database" in line]


def test_a_parked_schema_is_no_drift(live: Database, folder: Path) -> None:
    live.query("CREATE SCHEMA aside; CREATE TABLE aside.people (id int)")
    migrate(live, folder, "drift", "--parked", "aside")
    (folder.parent / "pyproject.toml").write_text('[tool.pgproof]\nparked = "aside"\n')
    migrate(live, folder, "drift")


def test_the_order_of_columns_alone_is_a_note(live: Database, folder: Path) -> None:
    live.query("ALTER TABLE s.people DROP COLUMN name; ALTER TABLE s.people ADD COLUMN name text")
    live.query("ALTER TABLE s.people ADD COLUMN n int, ADD COLUMN m int")
    pair(
        folder,
        "0001_people",
        "CREATE SCHEMA s;\nCREATE TABLE s.people (id int PRIMARY KEY, name text, m int, n int);\n"
        "CREATE TABLE s.other ();\n",
    )
    made = planned(live, folder, "drift")
    assert made["drift"] == []
    assert "columns stand in another order than the files would put them" in made["notes"]


def test_files_that_are_edited_or_gone_are_told(live: Database, folder: Path) -> None:
    file = folder / "0001_people.sql"
    file.write_text(f"{file.read_text()}-- more\nCREATE TABLE s.more ();\n")
    made = planned(live, folder, "plan", code=1)
    (note,) = made["notes"]
    assert note.startswith("0001_people was edited since it was applied (its forward file)")
    assert made["refusal"].startswith("0001_people was edited since it was applied")
    assert "-table s.more" in made["drift"]
    for half in folder.glob("0001*"):
        half.unlink()
    pair(folder, "0002_age", "CREATE TABLE alone ();\n")
    pair(folder, "0003_index", "CREATE TABLE alone_too ();\n")
    made = planned(live, folder, "plan", code=1)
    assert made["notes"] == [
        "0001_people is applied, but its file is gone: what it made shows as drift"
    ]
    assert "+table s.people" in made["drift"]
    assert [step["error"] for step in made["migrations"]] == [None, None]


def test_an_applied_file_that_fails_elsewhere_is_told(db: Database, folder: Path) -> None:
    db.query("CREATE TABLE there (id int)")
    pair(folder, "0001_people", f"SELECT * FROM there;\n{PEOPLE}")
    migrate(db, folder, "up", "--to", "1")
    (note,) = planned(db, folder, "drift", code=1)["notes"]
    assert note.startswith("0001_people is applied, but fails in scratch: ")
    assert 'relation "there" does not exist' in note


def test_the_roles_of_the_server_are_there(db: Database, folder: Path) -> None:
    """A file grants to a role that nobody's file makes, and another makes one of its own."""
    make_reader(db)
    own = f"plan_role_{db.dbname}"
    try:
        pair(
            folder,
            "0001_people",
            f"CREATE ROLE {own};\n{PEOPLE}GRANT SELECT ON s.people TO {own}, {READER};\n",
        )
        migrate(db, folder, "up", "--to", "1")
        made = planned(db, folder)
        assert (made["drift"], made["notes"], made["fails"]) == ([], [], False)
    finally:
        db.query(f"DROP OWNED BY {own}; DROP ROLE {own}")


def test_another_version_is_told(
    live: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major = live.connect().server_version // 10000
    monkeypatch.delenv("PGPROOF_BINDIR", raising=False)
    here = [binaries.find_binaries(wanted) for wanted in range(15, 30)]
    others = [found for found in here if binaries.major_version(found) != major]
    if not others:
        pytest.skip("one version of PostgreSQL alone is here")
    made = planned(live, folder, PGPROOF_BINDIR=str(others[0]))
    assert int(made["compared_on"].split(".")[0]) == binaries.major_version(others[0])
    assert made["notes"][0].startswith(f"there are no programs of PostgreSQL {major} here")


# What is pending --------------------------------------------------------------------------------


def test_what_each_statement_does_to_what_is_there(live: Database, folder: Path) -> None:
    age, index = planned(live, folder)["migrations"]
    size = live.value("SELECT pg_total_relation_size('s.people')")
    people = {"name": "s.people", "exists": True, "bytes": size, "rows": 1000}
    assert (age["id"], age["sizes"]) == ("0002_age", [people])
    add, retype = age["statements"]
    assert add["line"] == 5
    assert add["locks"] == [
        {"object": "s.people", "mode": "ACCESS EXCLUSIVE", "blocks": "reads and writes"}
    ]
    assert (add["rewrites"], retype["rewrites"]) == ([], ["s.people"])
    assert {"index": "s.people_pkey", "table": "s.people"} in retype["builds"]
    assert "+column s.people.age: integer" in age["diff"]
    assert age["rollback"] == {
        "grade": "lossless",
        "lossy": [],
        "parks": [{"name": "s.people.age", "rows": 1000}],
    }
    (build,) = index["statements"]
    assert (index["transactional"], index["sizes"]) == (False, [people])
    assert [lock["mode"] for lock in build["locks"]] == ["SHARE UPDATE EXCLUSIVE"]
    assert build["builds"] == [{"index": "s.people_name_idx", "table": "s.people"}]
    assert index["rollback"]["parks"] == []


def test_sizes_follow_a_new_name_and_add_up_partitions(db: Database, folder: Path) -> None:
    pair(
        folder,
        "0001_people",
        f"{PEOPLE}CREATE TABLE s.log (n int) PARTITION BY RANGE (n);\n"
        "CREATE TABLE s.log_1 PARTITION OF s.log FOR VALUES FROM (0) TO (10);\n"
        "CREATE TABLE s.log_2 PARTITION OF s.log FOR VALUES FROM (10) TO (20);\n",
        "DROP SCHEMA s CASCADE;\n",
    )
    migrate(db, folder, "up", "--to", "1")
    db.query("INSERT INTO s.people VALUES (1, 'x'), (2, 'y'); ANALYZE s.people")
    db.query("INSERT INTO s.log SELECT n % 20 FROM generate_series(1, 40) n")
    db.query("ANALYZE s.log_1, s.log_2")  # as autovacuum does, which leaves the parent alone
    pair(folder, "0002_age", "ALTER TABLE s.people RENAME TO folk;\n")
    pair(
        folder,
        "0003_index",
        "CREATE TABLE s.new (id int);\nALTER TABLE s.folk DROP COLUMN name;\n"
        "ALTER TABLE s.folk RENAME id TO number;\nALTER TABLE s.log ADD COLUMN more text;\n",
    )
    step = planned(db, folder)["migrations"][1]
    assert {size["name"]: size["rows"] for size in step["sizes"]}["s.folk"] == 2
    parts = db.query("SELECT pg_total_relation_size(relid) FROM pg_partition_tree('s.log')")
    log = {"name": "s.log", "exists": True, "bytes": sum(size for (size,) in parts), "rows": 40}
    assert log in step["sizes"]
    assert step["drops"] == [{"name": "s.folk.name", "rows": 2}]  # a new name is no drop
    assert step["rollback"]["parks"] == [{"name": "s.log.more", "rows": 40}]
    (down,) = planned(db, folder, "plan", "--down")["migrations"]
    assert down["drops"] == [{"name": "s.log", "rows": 40}, {"name": "s.people", "rows": 2}]
    db.query("CREATE TABLE s.full (id int, name text); INSERT INTO s.full VALUES (1, 'x')")
    db.query("DROP TABLE s.people; ALTER TABLE s.full RENAME TO people")
    step = planned(db, folder)["migrations"][1]
    assert step["drops"] == [{"name": "s.folk.name", "rows": None}]  # never analyzed


def test_a_file_that_fails_is_told_and_the_rest_goes_on(live: Database, folder: Path) -> None:
    pair(folder, "0002_age", "-- depends: 0001_people\nCREATE TABLE s.half ();\nSELECT 1 / 0;\n")
    pair(folder, "0004_other", "-- depends: 0001_people\nCREATE TABLE s.fine ();\n")
    pair(folder, "0005_commit", "COMMIT;\n")
    out = folder.parent / "plan.json"
    done = migrate(live, folder, "plan", "--json", "--out", out, code=1)
    made = json.loads(done.stdout)
    errors = {step["id"]: step["error"] for step in made["migrations"]}
    assert errors["0002_age"].endswith("0002_age.sql, line 3: division by zero")
    assert errors["0003_index"] == "0003_index depends on 0002_age, which is not applied"
    assert errors["0004_other"] is None
    assert "COMMIT at the top level" in errors["0005_commit"]
    diffs = {step["id"]: step["diff"] for step in made["migrations"]}
    assert diffs["0002_age"] == []
    assert "+table s.fine" in diffs["0004_other"]
    assert made["fails"]
    assert not out.exists()
    assert "was not written" in done.stderr
    assert "fails: " in migrate(live, folder, "plan", code=1).stdout


def test_the_next_rollback(live: Database, folder: Path) -> None:
    made = planned(live, folder, "plan", "--down")
    (step,) = made["migrations"]
    assert (made["operation"], step["id"], step["operation"]) == (
        "rollback",
        "0001_people",
        "rollback",
    )
    assert step["sql"] == "DROP SCHEMA s CASCADE;\n"
    assert step["drops"] == [{"name": "s.other", "rows": 0}, {"name": "s.people", "rows": 1000}]
    assert "-table s.people" in step["diff"]
    assert step["statements"][0]["locks"][1]["object"] == "s.people"
    shown = migrate(live, folder, "plan", "--down").stdout
    assert "drops s.people, with about 1,000 rows" in shown
    migrate(live, folder, "plan", "--down", "--out", "x", code=2)


def test_nothing_pending_is_a_plan_too(live: Database, folder: Path) -> None:
    migrate(live, folder, "up")
    assert "3 applied, 0 pending; no drift." in migrate(live, folder, "plan").stdout


def test_a_hook_is_tried_after_what_is_pending(live: Database, folder: Path) -> None:
    (folder / "post-apply.sql").write_text("GRANT SELECT ON s.people TO PUBLIC;\n")
    *_, hook = planned(live, folder)["migrations"]
    assert (hook["id"], hook["operation"], hook["error"]) == ("post-apply", "hook", None)
    assert "+privilege table s.people to PUBLIC: SELECT" in hook["diff"]


def test_a_python_program_is_tried_too(live: Database, folder: Path) -> None:
    program = (
        'from yoyo import step\nsteps = [step("CREATE TABLE s.made ()", "DROP TABLE s.made")]\n'
    )
    (folder / "0004_program.py").write_text(program)
    out = folder.parent / "plan.json"
    shown = migrate(live, folder, "plan", "--out", out).stdout
    assert re.search(r"^0004_program +not seen +not seen ", shown, re.M)
    assert "+table s.made" in shown
    (folder / "0004_program.py").write_text(program.replace("made", "more"))
    said = migrate(live, folder, "up", "--plan", out, code=1).stderr
    assert "0004_program was edited since the plan was made" in said


def test_squawk_is_asked(live: Database, folder: Path) -> None:
    found = planned(live, folder)["migrations"][0]["squawk"]
    beside = str(Path(sys.executable).parent)
    if not (shutil.which("squawk", path=beside) or shutil.which("squawk")):
        assert found is None
        assert "squawk is not installed" in migrate(live, folder, "plan").stdout
        pytest.skip("squawk is not installed")
    assert (6, "changing-column-type") in {(one["line"], one["rule"]) for one in found}


def test_our_own_migrations(db: Database) -> None:
    made = planned(db, SQL)
    assert [step["id"] for step in made["migrations"]] == IDS
    assert (made["parked"], made["refusal"], made["notes"]) == ("docmeta_parked", None, [])
    for step in made["migrations"]:
        assert step["error"] is None
        assert step["rollback"]["grade"] in ("lossless", "lossy", "irreversible")
    assert made["migrations"][0]["sizes"] == []  # it touches nothing that was there
    migrate(db, SQL, "up")
    migrate(db, SQL, "drift")


# What it says -----------------------------------------------------------------------------------


def test_the_json_has_the_keys_that_are_documented(live: Database, folder: Path) -> None:
    made = planned(live, folder)
    assert list(made) == [
        "format",
        "pgproof",
        "operation",
        "database",
        "parked",
        "compared_on",
        "drift",
        "notes",
        "refusal",
        "fails",
        "migrations",
    ]
    assert list(made["database"]) == ["name", "version", "owner", "applied", "fingerprint"]
    (step, _) = made["migrations"]
    assert list(step) == [
        "id",
        "operation",
        "path",
        "sql",
        "checksums",
        "transactional",
        "rollback",
        "error",
        "diff",
        "statements",
        "sizes",
        "drops",
        "squawk",
    ]
    assert list(step["statements"][0]) == ["line", "sql", "locks", "rewrites", "scans", "builds"]
    for key in (*made, *made["database"], *step, *step["rollback"], *step["statements"][0]):
        assert re.search(rf"\b{key}\b", str(report_plan.__doc__)), key


def test_the_terminal_shows_a_table_and_then_each(live: Database, folder: Path) -> None:
    live.query("COMMENT ON TABLE s.people IS 'who'")
    shown = migrate(live, folder, "plan").stdout
    first, _, head, age, index, *_ = shown.splitlines()
    assert first.endswith(": 1 applied, 2 pending; drift in 1 line.")
    assert head.split()[0] == "migration"
    assert re.search(
        r"0002_age +ACCESS EXCLUSIVE +reads and writes +s\.people \(.*, about 1,000 rows\) +"
        r"s\.people +lossless; parks about 1,000 rows +runs",
        age,
    )
    assert "SHARE UPDATE EXCLUSIVE" in index
    assert "  line 5: ALTER TABLE s.people ADD COLUMN age int\n    locks s.people (" in shown
    assert "\n    rewrites s.people (" in shown
    assert "in SHARE:" not in shown  # for the file has a stronger lock by then
    assert shown.index("rewrites s.people") < shown.index("+comment on table s.people: who")
    assert shown.index("+column s.people.age") < shown.index("0003_index: the SQL")


def test_markdown_is_a_short_table_and_folded_details(live: Database, folder: Path) -> None:
    (folder / "0003_index.sql").write_text('-- ``` | <b>\nCREATE TABLE s."a|b" ();\n')
    pair(folder, "0004_fails", 'SELECT FROM "a|<b>";\n')
    out = folder.parent / "report.md"
    assert migrate(live, folder, "plan", "--markdown", "--output", out, code=1).stdout == ""
    text = out.read_text()
    assert text.startswith("### Migration plan\n")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8}
    assert text.count("<details>") == text.count("</details>") == 3
    assert r'relation "a\|&lt;b&gt;" does not exist' in text
    assert "\n````sql\n-- ``` | <b>\n" in text
    drift = migrate(live, folder, "drift", "--markdown").stdout
    assert drift.startswith("### Schema drift\n")


# up --plan --------------------------------------------------------------------------------------


@pytest.fixture
def plan(live: Database, folder: Path) -> Path:
    """What `plan --out` wrote."""
    out = folder.parent / "plan.json"
    migrate(live, folder, "plan", "--out", out)
    return out


def test_up_applies_what_was_planned(live: Database, folder: Path, plan: Path) -> None:
    live.query("INSERT INTO s.people VALUES (0, 'rows are no schema')")
    done = migrate(live, folder, "up", "--plan", plan, "--json")
    assert [one["id"] for one in json.loads(done.stdout)["applied"]] == ["0002_age", "0003_index"]


def test_one_role_plans_and_another_applies(db: Database, folder: Path) -> None:
    """Also where there is no history yet, to say whose the schema is."""
    make_reader(db)
    db.query("CREATE TABLE by_hand ()")
    out = folder.parent / "plan.json"
    migrate(db, folder, "plan", "--out", out, PGUSER=READER)
    migrate(db, folder, "up", "--plan", out)


def _edit(_db: Database, folder: Path) -> None:
    (folder / "0003_index.rollback.sql").write_text("DROP INDEX s.people_name_idx;\n")


def _apply(db: Database, folder: Path) -> None:
    migrate(db, folder, "up", "--to", "2")


def _roll_back(db: Database, folder: Path) -> None:
    migrate(db, folder, "down")


def _alter(db: Database, _folder: Path) -> None:
    db.query("COMMENT ON TABLE s.people IS 'who'")


def _add(_db: Database, folder: Path) -> None:
    pair(folder, "0004_more", "-- depends: 0003_index\nCREATE TABLE s.more ();\n")


def _remove(_db: Database, folder: Path) -> None:
    for half in folder.glob("0003*"):
        half.unlink()


def _hook(_db: Database, folder: Path) -> None:
    (folder / "post-apply.sql").write_text("SELECT 1;\n")


def _elsewhere(_db: Database, folder: Path) -> None:
    file = folder.parent / "plan.json"
    told = json.loads(file.read_text())
    told["database"]["name"] = "another"
    file.write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (_edit, "0003_index was edited since the plan was made"),
        (_apply, "0002_age was applied since the plan was made"),
        (_roll_back, "0001_people was rolled back since the plan was made"),
        (_alter, "the database has changed since the plan was made"),
        (_add, "0004_more is pending, and is not in the plan"),
        (_remove, "0003_index is in the plan, and its file is gone"),
        (_hook, "post-apply is pending, and is not in the plan"),
        (_elsewhere, "the plan is for database another, and this is "),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_up_refuses_what_has_moved(
    live: Database,
    folder: Path,
    plan: Path,
    move: Callable[[Database, Path], None],
    reason: str,
) -> None:
    move(live, folder)
    before = catalog.read(live.connect()), live.query("SELECT * FROM _yoyo_migration ORDER BY 1")
    done = migrate(live, folder, "up", "--plan", plan, code=1)
    *_, said, mend = done.stderr.splitlines()
    assert said.startswith(f"migrate: {reason}")
    assert mend == "Nothing was applied; plan again, and read it."
    assert before == (
        catalog.read(live.connect()),
        live.query("SELECT * FROM _yoyo_migration ORDER BY 1"),
    )


def test_up_refuses_what_is_no_plan(live: Database, folder: Path) -> None:
    file = folder.parent / "plan.json"
    assert "No such file" in migrate(live, folder, "up", "--plan", file, code=2).stderr
    begun = '{"format": 1, "operation": "apply"'
    for text in ("{", "[]", '{"format": 2, "operation": "apply"}', f"{begun}}}",
                 f'{begun}, "pgproof": "0.1.0", "parked": null, "database": []}}',
                 f'{begun}, "pgproof": "0.1.0", "parked": null, "database": {{}}}}'):  # fmt: skip
        file.write_text(text)
        assert "is no plan of an up" in migrate(live, folder, "up", "--plan", file, code=2).stderr
    down = planned(live, folder, "plan", "--down")
    file.write_text(json.dumps(down))
    assert "is no plan of an up" in migrate(live, folder, "up", "--plan", file, code=2).stderr
    file.write_text(json.dumps({**down, "operation": "apply", "pgproof": "0.0.0"}))
    assert "is of pgproof 0.0.0" in migrate(live, folder, "up", "--plan", file, code=2).stderr
    migrate(live, folder, "up", "--plan", file, "--to", "2", code=2)
