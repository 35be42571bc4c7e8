"""Laws of every migration: up, down and up again, by stock yoyo and by `migrate` alike."""

import difflib
import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from database import IDS, MIGRATE, MIGRATIONS, ROOT, SAFE_YOYO, SQL, TABLES, YOYO, Database, Runner
from pgproof import catalog
from running import at, cut_off

PARKED = "docmeta_parked"
EXPECTED = ROOT / "tests" / "expected"

runners = pytest.mark.parametrize("runner", [YOYO, SAFE_YOYO, MIGRATE], ids=lambda r: r.name)


def read_catalog(db: Database) -> list[str]:
    return catalog.read(db.connect(), parked=PARKED)


def assert_same(before: list[str], after: list[str], order: str) -> None:
    difference = catalog.difference(before, after, "before", "after")
    assert not difference, "\n".join([order, *difference])


# To what a rollback takes out of use it gives another value, and the next apply the former one.
OTHERWISE = {"documents": {"language", "status"}}


def assert_kept(before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
    """Each row is there, and no other but what the log says of the change."""
    for table in before:
        gone = Counter(before[table]) - Counter(after[table])
        more = Counter(after[table]) - Counter(before[table])
        assert not gone, f"{table}: {gone}"
        assert not more or table == "audit_log", f"{table}: {more}"


def bare(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return rows without the values that a rollback changes."""
    return {
        table: [
            json.dumps({n: v for n, v in json.loads(row).items() if n not in OTHERWISE[table]})
            if table in OTHERWISE
            else row
            for row in texts
        ]
        for table, texts in rows.items()
    }


def history(db: Database) -> list[tuple[str]]:
    return db.query("SELECT migration_id FROM _yoyo_migration ORDER BY migration_id")


def log(db: Database) -> list[tuple[str, str]]:
    """What was done, without the first lines of what is not transactional."""
    return db.query(
        "SELECT operation, migration_id FROM _yoyo_log WHERE operation <> 'begin' "
        "ORDER BY created_at_utc"
    )


@runners
@pytest.mark.parametrize("migration", IDS)
def test_apply_makes_the_expected_catalog(
    migration: str, runner: Runner, db: Database, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    up_to = [path for path in MIGRATIONS if path.stem <= migration]
    for path in up_to:
        for half in (path, path.with_suffix(".rollback.sql")):
            (tmp_path / half.name).write_bytes(half.read_bytes())
    runner.on(tmp_path).up(db)
    found = "".join(f"{line}\n" for line in read_catalog(db))
    file = EXPECTED / f"{migration}.txt"
    if request.config.getoption("--update-expected"):
        file.write_text(found, encoding="utf-8")
    expected = file.read_text(encoding="utf-8") if file.exists() else ""
    difference = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), str(file.relative_to(ROOT)), "made", lineterm=""
    )
    assert found == expected, (
        f"sql/{migration}.sql does not make what {file.relative_to(ROOT)} says; if it is right, "
        "run scripts/test --update-expected and commit the difference:\n" + "\n".join(difference)
    )


def test_every_expected_catalog_belongs_to_a_migration() -> None:
    assert sorted(path.stem for path in EXPECTED.glob("0*.txt")) == IDS


@runners
def test_rollback_without_rows_leaves_nothing(runner: Runner, db: Database) -> None:
    before = read_catalog(db)
    runner.up(db)
    assert read_catalog(db) != before
    runner.down(db)
    assert_same(before, read_catalog(db), "these were left or lost by a file in sql/*.rollback.sql")
    assert not db.query("SELECT 1 FROM pg_namespace WHERE nspname ~ 'docmeta'")


@runners
def test_rollback_with_rows_leaves_only_the_parked_rows(runner: Runner, filled: Database) -> None:
    rows = filled.rows()
    runner.down(filled)
    assert_same(
        [line for line in read_catalog(filled) if "docmeta" in line], [], "left by a rollback"
    )
    assert_kept(bare({table: rows[table] for table in TABLES}), bare(filled.rows(PARKED)))


@runners
def test_apply_rollback_apply_restores_catalog_rows_and_sequences(
    runner: Runner, filled: Database
) -> None:
    before, rows, sequences = read_catalog(filled), filled.rows(), filled.sequences()
    assert set(rows) >= set(TABLES)
    assert all(rows.values()), "a table has no sample row in tests/rows/"
    runner.down(filled)
    runner.up(filled)
    assert_same(before, read_catalog(filled), "sql/ does not restore")
    assert_kept(rows, filled.rows())
    now = filled.sequences()
    del sequences["audit_log_id_seq"], now["audit_log_id_seq"]  # what is undone is logged, too
    assert now == sequences
    assert not filled.query("SELECT 1 FROM pg_namespace WHERE nspname = %s", [PARKED])


def test_from_any_expected_catalog_to_any_other(db: Database, filled: Database) -> None:
    """Each `up --to` and `down --to` there is, once, and no row is lost on the way.

    One database walks them all: 0, 1, 0, 2, ..., 0, n, 1, 2, 1, 3, ... passes from each state to
    each other exactly once before it is back at 0.
    """
    files = [(EXPECTED / f"{id_}.txt").read_text(encoding="utf-8") for id_ in IDS]
    expected = [read_catalog(db), *(text.splitlines() for text in files)]
    names = ["nothing", *IDS]
    rows = {len(IDS): filled.rows()}
    walk = [place for pair in combinations(range(len(IDS) + 1), 2) for place in pair] + [0]
    here = len(IDS)
    reader = filled.connect()
    with filled.backend() as backend:
        for there in walk:
            if there > here:
                filled.up(backend, names[there])
            else:
                filled.down(backend, names[there] if there else None)
            journey = f"on the way from {names[here]} to {names[there]}"
            assert_same(expected[there], catalog.read(reader, parked=PARKED), journey)
            kept = filled.rows() if there else filled.rows(PARKED)
            kept.pop("sequences", None)  # what is undone is logged, too
            assert_kept(rows.setdefault(there, kept), kept)
            here = there


def test_what_an_older_release_left_in_the_middle_is_ended(
    filled: Database, tmp_path: Path
) -> None:
    """Its last file, a backfill, was cut off at a document that somebody had locked."""
    backfill = next(id_ for id_ in IDS if "backfill" in id_)
    for path in MIGRATIONS[: IDS.index(backfill) + 1]:
        for half in (path, path.with_suffix(".rollback.sql")):
            (tmp_path / half.name).write_bytes(half.read_bytes())
    at(filled, IDS[IDS.index(backfill) - 1])
    nulls = "SELECT id FROM docmeta.documents WHERE language IS NULL ORDER BY id"
    rows, (first, *others) = filled.rows(), filled.query(nulls)
    assert others, "no other document to fill: this run shows nothing"
    holder = filled.connect()
    holder.autocommit = False
    holder.cursor().execute("SELECT 1 FROM docmeta.documents WHERE id = %s FOR UPDATE", first)
    assert cut_off(filled, "up", folder=tmp_path, when=lambda: filled.query(nulls) == [first])
    holder.rollback()
    assert "was interrupted half-way up" in MIGRATE.down(filled, code=1).stderr
    MIGRATE.up(filled)
    last = (EXPECTED / f"{IDS[-1]}.txt").read_text(encoding="utf-8").splitlines()
    assert_same(last, read_catalog(filled), "sql/ does not go on from there")
    assert filled.query(nulls) == []
    at(filled, IDS[IDS.index(backfill) - 1])
    assert_kept(rows, filled.rows())


def test_the_sample_rows_leave_nothing_out(filled: Database) -> None:
    """Every column filled somewhere, null where it may be; ids with gaps, sequences ahead."""
    for table, column, nullable in filled.query("""
        SELECT relname, attname, NOT attnotnull FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT relispartition AND NOT attisdropped
    """):
        some, none = filled.query(
            f"SELECT count({column}) > 0, count({column}) < count(*) FROM docmeta.{table}"
        )[0]
        assert some, f"{table}.{column} is null in every sample row"
        assert none == nullable, f"{table}.{column} is never null in a sample row"
    for sequence, (last, _) in filled.sequences().items():
        table = sequence.removesuffix("_id_seq")
        highest, rows = filled.query(f"SELECT max(id), count(*) FROM docmeta.{table}")[0]
        assert last > highest > rows, sequence


@runners
def test_rollback_drops_in_the_reverse_order_of_apply(runner: Runner, db: Database) -> None:
    """The order is the server's: an event trigger writes down what is dropped.

    The migration that made the nine is the last to be rolled back.
    """
    db.query("""
        CREATE TABLE public.dropped (at int GENERATED ALWAYS AS IDENTITY, name text);
        CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            INSERT INTO public.dropped (name)
            SELECT object_name FROM pg_event_trigger_dropped_objects()
            WHERE object_type = 'table' AND original AND schema_name = 'docmeta';
        END $$;
        CREATE EVENT TRIGGER note ON sql_drop EXECUTE FUNCTION public.note();
    """)
    runner.up(db)
    runner.down(db)
    dropped = [name for (name,) in db.query("SELECT name FROM public.dropped ORDER BY at")]
    assert dropped[-len(TABLES) :] == list(reversed(TABLES))


@runners
def test_history_is_what_happened(runner: Runner, db: Database) -> None:
    runner.up(db)
    assert history(db) == [(id_,) for id_ in IDS]
    assert log(db) == [("apply", id_) for id_ in IDS]
    runner.up(db)
    assert len(log(db)) == len(IDS), "an apply with nothing pending wrote to the log"
    runner.down(db)
    assert history(db) == []
    assert log(db)[len(IDS) :] == [("rollback", id_) for id_ in reversed(IDS)]


def test_yoyo_and_migrate_go_on_where_the_other_left_off(db: Database) -> None:
    YOYO.up(db)
    assert "nothing to apply" in MIGRATE.up(db).stdout
    MIGRATE.down(db)
    assert history(db) == []
    MIGRATE.up(db)
    YOYO.down(db)
    assert history(db) == []


@runners
def test_a_failing_migration_leaves_nothing(runner: Runner, db: Database, tmp_path: Path) -> None:
    """Mends nothing half done: the first stays, the second fails in its last statement."""
    first = MIGRATIONS[0]
    for half in (first, first.with_suffix(".rollback.sql")):
        (tmp_path / half.name).write_bytes(half.read_bytes())
    (tmp_path / "9999_fails.sql").write_text(
        f"-- depends: {first.stem}\nCREATE TABLE public.half ();\nSELECT 1 / 0;\n"
    )
    (tmp_path / "9999_fails.rollback.sql").write_text("DROP TABLE public.half;\n")
    runner = runner.on(tmp_path)
    assert runner.up(db, code=1).returncode == 1
    assert history(db) == [(first.stem,)]
    assert db.value("SELECT to_regclass('public.half')") is None


def test_the_names_sort_as_they_are_numbered() -> None:
    assert [int(id_[:4]) for id_ in IDS] == list(range(1, len(IDS) + 1))
    assert all((SQL / f"{id_}.rollback.sql").exists() for id_ in IDS)
