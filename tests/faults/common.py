"""What the tests of the fault matrix share by name; the fixtures are in conftest.py.

until(lambda: process.poll() is not None)
"""

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from database import MIGRATE, SAFE_YOYO

Amount = Callable[[int, int], int]
Outcome = Callable[[int, str, str], None]
Process = subprocess.Popen[str]
Start = Callable[..., Process]
T = TypeVar("T")

OURS = pytest.mark.parametrize("runner", [MIGRATE, SAFE_YOYO], ids=lambda runner: runner.name)


def until(holds: Callable[[], T], within: float = 20) -> T:
    """Return what `holds` gives as soon as that is true, which must be within some seconds."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.01)
    return found
