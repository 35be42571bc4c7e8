"""Laws of `scripts/bench schema`: its page, its verdicts, and that it sees a document doubled."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks import durable, schema, schema_page, schemas
from benchmarks.schema_page import LOOKS, TASKS, Report
from benchmarks.schema_tasks import Effort, Found
from benchmarks.schemas import ALL, BARE, FIRST, NAIVE, Part, Subject
from pgproof.server import Server

SIZE = 2000
QUICK = Effort(tries=5, budget=0.1, singles=20, contents=300, taken=20, changes=2, purges=1)
FAST = {
    **schema.SETTINGS,
    "fsync": "off",
    "shared_buffers": "128MB",
    "deadlock_timeout": "100ms",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with durable.server(None, FAST) as made:
        yield made


@pytest.fixture(scope="module")
def report(server: Server) -> Report:
    return schema.measured(server, [SIZE], effort=QUICK, without=SIZE)


def test_the_page_has_a_figure_of_each_task_and_schema(report: Report) -> None:
    text = schema_page.page(report)
    for task in TASKS:
        assert f"## {task.title}\n" in text
        figures = report.found[SIZE].figures[task.key]
        for subject in report.subjects:
            part = {"bytes": "ingest", "reimport": "copies"}.get(task.key, task.part)
            expected = part in subject.parts
            assert (subject.name in figures) == expected, (task.key, subject.name)
        assert all(figure > 0 for figure in figures.values() if not math.isnan(figure)), task.key
    for subject in report.subjects:
        assert f"| {subject.name} | `" in text  # of its tables, the room


def test_every_schema_holds_the_same_documents(report: Report) -> None:
    """What differs is how they are kept: nothing is lost or doubled in any."""
    for counts in report.found[SIZE].checks["reimport"].values():
        assert counts["doubled"] == 0
        assert counts["lost"] == 0
    for name, counts in report.found[SIZE].checks["take"].items():
        assert counts["taken"] > 0, name
        assert counts["twice"] == 0, name


def test_a_part_that_is_taken_away_is_told_with_what_it_saves(report: Report) -> None:
    assert report.without
    room = report.without.figures["bytes"]
    page = schema_page.page(report)
    for subject in schemas.WITHOUT:
        if subject.word not in ("without_checks", "without_foreign_keys"):
            assert room[subject.name] < room[schemas.WHOLE.name], subject.word
        assert re.search(rf"\| {re.escape(subject.name)} (\| [\d,]+ \([-+][\d,]+\) ){{4}}\|", page)
    *parts, every = (room[schemas.WHOLE.name] - room[subject.name] for subject in schemas.WITHOUT)
    assert every == pytest.approx(sum(parts), rel=0.2)
    assert room[BARE.name] < room[schemas.WITHOUT[-1].name]
    assert room[schemas.WHOLE.name] == pytest.approx(
        report.found[SIZE].figures["bytes"][FIRST.name], rel=0.05
    )


def racy() -> Subject:
    """Return a schema whose importer looks first and then writes, and that has no unique digest."""
    parts = dict(NAIVE.parts)
    parts["tables"] = Part(
        "", parts["tables"].sql.replace("NOT NULL UNIQUE,\n    size", ",\n    size")
    )
    look = "WHERE NOT EXISTS (SELECT FROM documents WHERE hash = encode(sha256, 'hex'))"
    ingest = parts["ingest"].sql.replace("ON CONFLICT (hash) DO NOTHING", look)
    parts["ingest"] = Part("looks, then writes", ingest)
    return Subject("racy", "racy importer", parts)


def test_a_racy_importer_is_seen_to_double(server: Server) -> None:
    quick = replace(QUICK, batch=500)
    found = schema.measured(server, [500], effort=quick, subjects=[racy()])
    assert found.found[500].checks["reimport"]["racy importer"]["doubled"] > 0


def figures(rate: float, look: float, room: float, *, lost: int = 0) -> Found:
    found = Found({"batches": {BARE.name: 10_000, FIRST.name: rate}, "bytes": {FIRST.name: room}})
    found.figures |= {name: {FIRST.name: look, ALL.name: look} for name in LOOKS}
    found.checks["reimport"] = {
        FIRST.name: {"doubled": 0, "lost": lost, "deadlocks": 0, "refused": 0}
    }
    found.checks["take"] = {FIRST.name: {"taken": 400, "twice": 0}}
    return found


@pytest.mark.parametrize(
    ("last", "met"),
    [
        (figures(5000, 150, 700), [True, True, True, True]),
        (figures(4999, 150, 700), [False, True, True, True]),
        (figures(5000, 151, 700), [True, False, True, True]),
        (figures(5000, 150, 701), [True, True, False, True]),
        (figures(5000, 150, 700, lost=1), [True, True, True, False]),
    ],
    ids=["all met", "rate", "growth", "room", "order"],
)
def test_each_target_can_be_met_and_missed(last: Found, met: list[bool]) -> None:
    made = Report("", [], {1000: figures(9000, 100, 100), 10_000: last})
    assert [verdict.is_met for verdict in schema_page.verdicts(made)] == met
    assert made.is_reached == all(met)


def test_what_one_run_cannot_tell_is_not_called_met() -> None:
    alone = Report("", [], {1000: Found({"batches": {NAIVE.name: 1}, "bytes": {NAIVE.name: 1}})})
    rate, growth, room, _ = schema_page.verdicts(alone)
    assert [rate.is_met, growth.is_met, room.is_met] == [None, None, None]
    assert "**not told**" in str(growth)


def test_each_part_says_how() -> None:
    known = {task.part for task in TASKS} | {
        *("tables", "first", "fill", "session", "pick", "copies", "live_from", "trash_from")
    }
    for subject in schemas.SUBJECTS:
        assert subject.parts.keys() <= known
        assert all(part.how and part.sql.endswith(";") for part in subject.parts.values())
