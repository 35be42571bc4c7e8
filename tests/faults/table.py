"""The table of docs/operations.md, written from what the tests of the fault matrix have seen.

A pytest plugin: it works in the process that the workers of xdist report to. Rows of tests that did
not run stay as they are. Nothing is written without --faults, nor after a failure.
"""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN = "<!-- faults: written by scripts/test --faults -->\n"
END = "<!-- end of faults -->\n"
HEAD = "| fault | what was seen | test |\n| --- | --- | --- |\n"
PROPERTY = "fault"

# A row's place in the table stands in it unseen, so that rows that did not run keep theirs.
ROW = re.compile(r"\| (.*) \| (.*) \| `(.*)` <!-- (\d+) --> \|")

Rows = dict[str, tuple[int, str, str]]  # by test: place, fault, what was seen


class Table:
    """Gathers the outcomes of one session, and writes them at its end."""

    def __init__(self) -> None:
        self.rows: Rows = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                if name == PROPERTY:
                    place, fault, shown = str(value).split("\n")
                    self.rows[_short(report.nodeid)] = int(place), fault, shown

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self.rows:
            text = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(rewritten(text, self.rows), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Gather where the outcomes come together: not in a worker of xdist."""
    if config.getoption("--faults") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table(), "table of faults")


def rewritten(text: str, seen: Rows) -> str:
    """Return the page with the rows `seen` in the place of the former ones of the same tests."""
    before, _, rest = text.partition(BEGIN)
    former, _, after = rest.partition(END)
    rows = {m[3]: (int(m[4]), m[1], m[2]) for m in map(ROW.fullmatch, former.splitlines()) if m}
    lines = [
        f"| {fault} | {shown} | `{test}` <!-- {place} --> |\n"
        for test, (place, fault, shown) in sorted(
            (rows | seen).items(), key=lambda row: (row[1][0], row[0])
        )
    ]
    return f"{before}{BEGIN}{HEAD}{''.join(lines)}{END}{after}"


def property_of(place: int, fault: str, shown: str) -> tuple[str, str]:
    """Return an outcome in the form in which a test's report carries it."""
    cells = [re.sub(r"\s+", " ", cell).replace("|", r"\|") for cell in (fault, shown)]
    return PROPERTY, "\n".join([str(place), *cells])


def _short(nodeid: str) -> str:
    return nodeid.rpartition("/")[2]
