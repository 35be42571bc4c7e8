"""Laws of `scripts/bench online`: it sees the stalls, errors and locks that are planted."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from benchmarks import corpus, load, obvious, online, online_page, picture, steps
from benchmarks.corpus import Corpus
from benchmarks.load import Log
from benchmarks.obvious import Way
from benchmarks.online_page import Figures, Report, Step
from database import SQL, TABLES, Database, run
from pgproof import statements

FIRST = "0001_initial_schema"
STALL = 1.2  # seconds, of all that are planted
_SLEEP = f"SELECT pg_sleep({STALL}) WHERE EXISTS (SELECT FROM docmeta.documents)"  # not in scratch
RATE = 120.0
REPORT = 2.5  # seconds, of which the start of a process takes some
PLANTED = {
    "0002_stall_everybody": (
        "-- Everybody waits.\n-- Rollback: lossless; what it parks is nothing.\n"
        f"-- depends: {FIRST}\n"
        "ALTER TABLE docmeta.documents ADD planted text;\n"
        f"{_SLEEP};\n",
        "ALTER TABLE docmeta.documents DROP planted;\n",
    ),
    "0003_refuse_writers": (
        "-- No title may tell of a look.\n-- Rollback: lossless; no row is touched.\n"
        "-- depends: 0002_stall_everybody\n"
        "ALTER TABLE docmeta.documents ADD CONSTRAINT documents_planted_check\n"
        "    CHECK (title NOT LIKE 'Looked%') NOT VALID;\n",
        f"ALTER TABLE docmeta.documents DROP CONSTRAINT documents_planted_check;\n"
        f"LOCK TABLE docmeta.documents;\n{_SLEEP};\n",
    ),
}
WAYS = {
    "0002_stall_everybody": [
        Way(
            "write behind a lock",
            lambda _: [
                "LOCK TABLE docmeta.hash_index IN SHARE MODE",
                "UPDATE docmeta.documents SET author = 'x' WHERE id <= 2000",
                _SLEEP,
            ],
            reader=REPORT,
        )
    ],
    "0003_refuse_writers": [
        Way(
            "no such column",
            lambda _: ["ALTER TABLE docmeta.documents ALTER nothing SET NOT NULL"],
            instead_of="0002_stall_everybody",
        )
    ],
}


def plant(folder: Path) -> Path:
    """Write the first migration as it is, and the planted ones after it."""
    folder.mkdir()
    for suffix in (".sql", ".rollback.sql"):
        text = (SQL / f"{FIRST}{suffix}").read_text(encoding="utf-8")
        (folder / f"{FIRST}{suffix}").write_text(text, encoding="utf-8")
    for name, (forward, rollback) in PLANTED.items():
        (folder / f"{name}.sql").write_text(forward)
        (folder / f"{name}.rollback.sql").write_text(rollback)
    return folder


def of(report: Report, name: str, operation: str) -> Step:
    """The one step of this name and operation."""
    (found,) = (s for s in report.steps if s.span.name == name and s.span.operation == operation)
    return found


def test_what_is_planted_is_seen_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "AFTER", 0.3)
    report = online.measured(
        Corpus(2000), plant(tmp_path / "sql"), seconds=0.3, rate=RATE, ways=WAYS
    )
    stalls, refuses = PLANTED
    longest = {
        (s.span.name, s.span.operation): tuple(s.during[k].longest for k in ("read", "write"))
        for s in report.steps
        if s.span.is_ours
    }

    # Those who came during a stall waited as long as it went on, and all of them count.
    for step in ((stalls, "forward"), (stalls, "again"), (refuses, "rollback")):
        assert min(longest[step]) > STALL * 0.6, step
        assert not report.is_within(of(report, *step))
    assert waiting(report, of(report, stalls, "forward")) > RATE * (2 / 3) * STALL * 0.4
    for step in ((stalls, "rollback"), (refuses, "forward"), (refuses, "again")):
        assert max(longest[step]) < STALL * 0.6, step
    assert max(report.baseline.values()) < STALL * 0.6
    assert not report.is_reached

    # Writers were refused from the third migration on, until its rollback; then they came back.
    assert any("documents_planted_check" in text for text in of(report, refuses, "forward").errors)
    assert not of(report, stalls, "forward").errors
    assert not of(report, stalls, "rollback").errors
    assert of(report, refuses, "again").before["write"].count > 0

    # The obvious ways: one that stalls writers alone and is not kept, one that fails.
    ways = {s.span.words: s for s in report.steps if s.span.operation == "obvious"}
    behind = ways["write behind a lock"]
    assert behind.during["write"].longest > STALL * 0.6 > behind.during["read"].longest
    assert behind.locks == {"docmeta.hash_index": "SHARE"}
    assert behind.span.dead > 1000
    assert "nothing" in str(ways["no such column"].span.failure)
    assert ways["no such column"].span.name == stalls

    # What is static: the locks, and what is outside the bound by its own word.
    assert of(report, stalls, "forward").locks == {"docmeta.documents": "ACCESS EXCLUSIVE"}
    assert [bool(of(report, n, "rollback").span.apart) for n in PLANTED] == [True, False]

    # Beside a report the migration had to try again until that ended.
    again = of(report, stalls, "again")
    assert again.span.seconds > of(report, stalls, "forward").span.seconds + 0.2
    assert "report" in again.span.apart

    told(report)


def waiting(report: Report, step: Step) -> int:
    """How many readers at least, one a bin, were to begin during a step and waited for long."""
    width, bins = report.bins
    first, last = (
        int((at - report.spans[0].start) / width) for at in (step.span.start, step.span.until)
    )
    return sum(latency > STALL * 0.3 for latency in bins["read"][first:last])


def told(report: Report) -> None:
    """The page names each step once, with its verdict; the picture has each as a band."""
    text = online_page.page(report, "online.svg")
    rows = [line.split(" | ") for line in text.split("## Before")[0].splitlines()]
    table = [row for row in rows if len(row) == 7][2:]
    assert len(table) == len(report.steps) == 8
    verdicts = {(row[0].strip("|* "), row[1].strip()): row[6].strip(" |") for row in table}
    assert verdicts["0002_stall_everybody", "forward"] == "**no**"
    assert verdicts["", "rollback"] in ("yes", "**no**")
    assert "no such column" in text
    assert "documents_planted_check" in text
    drawn = picture.drawn(report)
    root = ElementTree.fromstring(drawn)
    space = {"s": "http://www.w3.org/2000/svg"}
    bands = [e.get("class", "") for e in root.iterfind(".//s:rect", space) if len(e)]
    assert sorted(band for band in bands if band != "tidy") == ["obvious"] * 2 + ["ours"] * 6
    assert "prefers-color-scheme: dark" in drawn
    words = " ".join(element.text or "" for element in root.iterfind(".//s:text", space))
    assert "0002 ↓" in words
    assert {e.get("class") for e in root.iterfind(".//s:path", space)} >= {"read", "write", "bound"}


def test_sigterm_leaves_no_server_and_no_client() -> None:
    with tempfile.TemporaryDirectory(prefix="pgproof-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server runs as another user
        words = ["online", "--documents", "200", "--rate", "20", "--seconds", "60"]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *words],
            env={**os.environ, "TMPDIR": name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "transactions a second" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert list(folder.iterdir()) == []


def test_calm_is_when_half_of_the_connections_have_nothing_to_do(db: Database) -> None:
    clients = [db.connect(application_name="client") for _ in range(4)]
    assert load.is_calm(db.connect(), [db.user])
    for client in clients[:3]:
        client.cursor().execute("BEGIN")
    assert not load.is_calm(db.connect(application_name="client"), [db.user])


def filled(db: Database, documents: Corpus) -> None:
    words = (sys.executable, "-m", "pgproof", "up", "--to", FIRST)
    run(*words, environment=db.environment)
    corpus.fill(db.parameters, documents)


def test_documents_are_those_of_the_seed(db: Database) -> None:
    """Twice the same, with another seed others; and no key points nowhere."""
    filled(db, Corpus(2000, seed=7))
    first = db.rows()
    assert all(first[table] for table in TABLES)
    shape = db.query(
        "SELECT tenant_id, count(*), count(language) < count(*), "
        "count(DISTINCT content_sha256) < count(*), max(char_length(filename)) > 200 "
        "FROM docmeta.documents GROUP BY 1 ORDER BY 1"
    )
    assert shape[:2] == [(1, 1600, True, True, True), (2, 300, True, True, True)]
    assert shape[2][:2] == (3, 100)
    share = db.value(
        "SELECT max(times) / avg(times) FROM (SELECT count(*) AS times FROM docmeta.documents "
        "GROUP BY content_sha256) AS contents"
    )
    assert share > 10, "a few contents come very often"
    known = db.value(
        "SELECT avg((content_sha256 = "
        f"{Corpus(2000, seed=7).digest('tenant_id', 'id')})::integer) FROM docmeta.documents"
    )
    assert 0.8 < known < 0.95
    for table, rule in db.query(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'f' AND connamespace = 'docmeta'::regnamespace"
    ):
        db.query(f"ALTER TABLE {table} ADD CONSTRAINT again {rule}")
        db.query(f"ALTER TABLE {table} DROP CONSTRAINT again")
    made = db.value(
        "INSERT INTO docmeta.documents (content_sha256, filename) "
        "SELECT sha256, 'next' FROM docmeta.hash_index WHERE tenant_id = 1 LIMIT 1 RETURNING id"
    )
    assert made == 2001

    for seed, is_same in ((7, True), (8, False)):
        tables = ", ".join(f"docmeta.{table}" for table in TABLES)
        db.query(f"TRUNCATE {tables} RESTART IDENTITY")
        corpus.fill(db.parameters, Corpus(2000, seed=seed))
        again = db.rows()
        assert (again["documents"] == first["documents"]) is is_same
        # Not the tables whose ids the identity gives, as two sessions take turns.
        for table in ("hash_index", "tags", "document_tags", "audit_log"):
            assert again[table] == first[table] or not is_same, table


def test_percentiles_are_latencies_that_were_seen() -> None:
    figures = Figures.of(n / 1000 for n in range(1000, 0, -1))
    assert figures == Figures(1000, 0.5, 0.99, 0.999, 1.0)
    assert Figures.of([0.2, 0.1]) == Figures(2, 0.1, 0.2, 0.2, 0.2)
    assert Figures.of([]) == Figures()


def test_who_waits_counts_to_every_span_that_he_waits_through() -> None:
    ends = [1.0, 2.0, 3.5, 3.6, 5.0]
    took = [0.1, 0.1, 2.5, 0.1, 0.1]  # the third was to begin at 1.0
    log = Log("read", array("d", ends), array("f", took))

    def seen(start: float, end: float) -> Sequence[float]:
        return [round(latency, 1) for _, latency in log.between(start, end)]

    assert seen(1.5, 2.5) == [0.1, 2.5]
    assert seen(2.5, 3.0) == [2.5]
    assert seen(3.7, 4.5) == []
    assert seen(0.0, 9.0) == [0.1, 0.1, 2.5, 0.1, 0.1]


@pytest.mark.parametrize("path", sorted(SQL.glob("*.sql")), ids=lambda path: path.stem)
def test_no_way_is_left_whose_migration_is_gone(path: Path) -> None:
    """The ways made from a migration's text find in it what they change."""
    ways = obvious.WAYS.get(path.stem, ())
    migration = SimpleNamespace(forward=statements.split(path.read_text(encoding="utf-8")))
    for way in ways:
        text = ";\n".join(way.statements(migration))
        kept = "lock_timeout" if way.reader else "CONCURRENTLY|NOT VALID|lock_timeout"
        assert not re.search(kept, text)
    names = {path.stem for path in SQL.glob("*.sql")}
    for way in (way for ways in obvious.WAYS.values() for way in ways):
        if len(names) > 28:  # all fifteen are there
            assert way.instead_of is None or way.instead_of in names
