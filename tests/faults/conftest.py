"""What the tests of the fault matrix share: how much to try, and where to say what was seen.

scripts/test tests/faults                  # a sample of every row
scripts/test --faults tests/faults         # the whole, and the table of docs/operations.md
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from database import ROOT, Database, Runner
from faults import table
from faults.common import Amount, Outcome, Process, Start


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.has_plugin(table.__name__):
        config.pluginmanager.register(table, table.__name__)


@pytest.fixture(scope="session")
def amount(pytestconfig: pytest.Config) -> Amount:
    """How much to try: `amount(sample, whole)`."""
    every = pytestconfig.getoption("--faults")
    return lambda sample, whole: whole if every else sample


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """Say at a test's end what was seen: `outcome(row, fault, shown)`; `row` orders the table."""

    def tell(row: int, fault: str, shown: str) -> None:
        request.node.user_properties.append(table.property_of(row, fault, shown))

    return tell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder of migrations."""
    made = tmp_path / "migrations"
    made.mkdir()
    return made


@pytest.fixture
def start(db: Database, folder: Path) -> Iterator[Start]:
    """Start a runner on the folder as a process; what still runs at the end is killed."""
    running: list[Process] = []

    def begin(runner: Runner) -> Process:
        running.append(
            subprocess.Popen(
                (*runner.program, *runner.all_up, str(folder)),
                env=db.environment,
                cwd=ROOT,
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()
