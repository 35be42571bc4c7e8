"""What the tests of the fault matrix share: how much to try, and where to say what was seen.

scripts/test tests/faults                  # a sample of every row
scripts/test --faults tests/faults         # the whole, and the table of docs/operations.md
"""

from collections.abc import Callable

import pytest

from faults import table

Amount = Callable[[int, int], int]
Outcome = Callable[[int, str, str], None]


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
