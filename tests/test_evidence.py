"""Laws of the evidence: each criterion has tests; one that they do not show reads NOT SHOWN."""

import hashlib
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

import acceptance
from acceptance import Criterion, Run
from database import ROOT, SQL, run

CRITERIA = acceptance.read(acceptance.FOLDER / "criteria.toml")
ARTIFACTS = [
    "T02.3.2_JD-DEV034_IntegrationNotes.md",
    "T02.3.2_JD-DEV034_MigrationDocumentation.md",
    "T02.3.2_JD-DEV034_MigrationScripts.md",
    "T02.3.2_JD-DEV034_MigrationTests.md",
    "T02.3.2_JD-DEV034_RollbackTests.md",
    "T02.3.2_JD-QC101_SignOff.md",
]
TESTS = """
import pytest

def test_good() -> None:
    assert True

@pytest.mark.parametrize("number", [1, 2])
def test_half(number: int) -> None:
    assert number == 1

@pytest.mark.parametrize("number", [1, 2])
def test_whole(number: int) -> None:
    assert number

@pytest.mark.skip(reason="not today")
def test_skipped() -> None:
    assert True
"""
ASKED = {
    "good": ("tests/test_small.py::test_good",),
    "whole": ("tests/test_small.py::test_whole",),
    "file": ("tests/test_small.py",),
    "half": ("tests/test_small.py::test_half",),
    "skipped": ("tests/test_small.py::test_good", "tests/test_small.py::test_skipped"),
    "missing": ("tests/test_small.py::test_goo",),
}


def ran(folder: Path, text: str) -> Run:
    """Run tests with pytest, in a process of its own, and read what it wrote."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_small.py").write_text(text)
    clean = {name: word for name, word in os.environ.items() if not name.startswith("PYTEST")}
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    words = ["-p", "no:postgresql", "--import-mode=importlib", "--junitxml=junit.xml", "tests"]
    run(*pytest_, *words, environment=clean, cwd=folder, code=None)
    versions = {"date": "2024-02-29 12:00 UTC", "PostgreSQL": "18.0"}
    return Run(acceptance.outcomes(folder / "junit.xml"), [], ["table s.t"], versions)


def shown(run_: Run) -> dict[str, bool]:
    asked = [Criterion(name, f"it is {name}", "MigrationTests", t) for name, t in ASKED.items()]
    return {verdict.criterion.id: verdict.is_shown for verdict in acceptance.judged(asked, run_)}


def test_only_what_was_run_and_passed_whole_is_shown(tmp_path: Path) -> None:
    assert shown(ran(tmp_path, TESTS)) == {
        "good": True,
        "whole": True,
        "file": False,
        "half": False,
        "skipped": False,
        "missing": False,
    }


@pytest.mark.parametrize("name", ["good", "whole"])
def test_a_test_that_is_taken_away_is_shown_no_more(name: str, tmp_path: Path) -> None:
    less = TESTS.replace(f"def test_{name}(", "def helper(")
    assert shown(ran(tmp_path, less))[name] is False


def test_the_pages_say_what_is_not_shown(tmp_path: Path) -> None:
    asked = [
        Criterion("A1", "it is good", "MigrationTests", ASKED["good"]),
        Criterion("A2", "it is half", "RollbackTests", ASKED["half"]),
    ]
    done = ran(tmp_path, TESTS)
    acceptance.write(tmp_path, acceptance.judged(asked, done), done)
    assert sorted(path.name for path in tmp_path.glob("T*.md")) == ARTIFACTS
    sign_off = (tmp_path / ARTIFACTS[-1]).read_text()
    assert "| A1: it is good | SHOWN | 1 passed | [Migration tests](" in sign_off
    assert "| A2: it is half | NOT SHOWN | 1 passed, 1 not | [Rollback tests](" in sign_off
    assert "2024-02-29 12:00 UTC: PostgreSQL 18.0." in sign_off
    page = (tmp_path / "T02.3.2_JD-DEV034_RollbackTests.md").read_text()
    assert "**NOT SHOWN**" in page
    assert "not shown, because `tests/test_small.py::test_half[2]: failed`" in page
    assert "```sh\nscripts/test tests/test_small.py::test_half\n```" in page
    assert "A1" not in page


def test_the_verdict_is_left_to_who_signs() -> None:
    text = (acceptance.FOLDER / ARTIFACTS[-1]).read_text()
    for word in ("Verdict", "Name", "Signature", "Date"):
        assert f"| {word} | |\n" in text


def test_every_criterion_is_there_and_its_tests_are() -> None:
    ids = [f"A{number}" for number in range(1, 9)] + [f"B{number}" for number in range(1, 12)]
    assert [criterion.id for criterion in CRITERIA] == ids
    assert {criterion.page for criterion in CRITERIA} == set(acceptance.PAGES)
    missing = [t for c in CRITERIA for t in c.tests if not acceptance.is_there(t)]
    assert missing == []
    told = tomllib.loads((acceptance.FOLDER / "criteria.toml").read_text())
    assert all(set(entry) == {"says", "page", "tests"} for entry in told.values())


def test_the_evidence_is_of_these_files_and_criteria() -> None:
    """It is written by a run of some minutes, and so not made anew here."""
    mend = "the evidence is stale, write it anew: scripts/evidence"
    assert sorted(path.name for path in acceptance.FOLDER.glob("*.md")) == ARTIFACTS, mend
    pages = {name: (acceptance.FOLDER / name).read_text() for name in ARTIFACTS}
    sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in SQL.glob("*.sql")}
    assert set(re.findall(r"`([0-9a-f]{64})` \|", "".join(pages.values()))) == sums, mend
    for criterion in CRITERIA:
        page = pages[f"{acceptance.TASK}_{criterion.page}.md"]
        part = page.partition(f"### {criterion.id}: {criterion.says}\n")[2].partition("\n##")[0]
        assert tuple(re.findall(r"^- `(tests/\S+)`$", part, re.M)) == criterion.tests, mend
        assert f"| {criterion.id}: {criterion.says} |" in pages[ARTIFACTS[-1]], mend


def test_the_command_tells_of_itself() -> None:
    words = [sys.executable, "-m", "acceptance", "--help"]
    done = run(*words, environment=dict(os.environ), cwd=ROOT)
    assert "--junit" in done.stdout
