"""What one run of a program cost, and medians over interleaved runs.

measure.run(["psql", "--version"], {"PATH": "/usr/bin"}, Path("/tmp")).wall
"""

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgproof.errors import UserError

STOPWATCH = Path(__file__).with_name("stopwatch.py")


@dataclass(frozen=True)
class Cost:
    """Of one run, or the medians of several: wall and CPU in seconds, peak memory in MiB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Figure:
    """The medians of one program at one task; `wall_ratio` and `cpu_ratio` are over the floor.

    The ratios are medians, too: of the ratio in each round, which another load on the machine
    moves less than it moves the times.
    """

    cost: Cost
    wall_ratio: float
    cpu_ratio: float


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Cost:
    """Run a program in `folder`, and return its cost; UserError with its output if it fails."""
    report = folder / "cost.txt"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(STOPWATCH), str(report), *command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        last = done.stdout.decode(errors="replace").splitlines()[-8:]
        raise UserError("\n".join([f"{' '.join(command)} failed:", *last]))
    wall, cpu, peak = map(float, report.read_text().split())
    return Cost(wall, cpu, peak / 1024)


def figure(costs: Sequence[Cost], floor: Sequence[Cost]) -> Figure:
    """Return the medians of the rounds `costs`, and over those of the floor in the same rounds."""
    return Figure(
        Cost(
            statistics.median(cost.wall for cost in costs),
            statistics.median(cost.cpu for cost in costs),
            statistics.median(cost.peak for cost in costs),
        ),
        statistics.median(a.wall / b.wall for a, b in zip(costs, floor, strict=True)),
        statistics.median(a.cpu / b.cpu for a, b in zip(costs, floor, strict=True)),
    )
