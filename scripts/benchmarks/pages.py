"""The figures of a benchmark as a page of Markdown.

print(pages.page(report))
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.measure import Figure

Table = Mapping[str, Mapping[str, Figure]]  # by tool, then by task

_PREAMBLE = """\
# Speed

Repeat it with `{command}`: it prints this page.

Each figure is the median of {rounds} rounds. In a round the programs take turns, each on a new
database of one embedded server that flushes its log to disk, as a real one does. A ratio is the
median of the rounds' ratios.

{machine}
"""

_TASKS = """\
Wall seconds, and in parentheses how often the time of psql. psql runs the same files in one
process, a transaction a file, and keeps no history; for status and no-op it only connects and asks
`SELECT 1`. CPU and memory are those of the program, without the server's, while it applies.
Stock yoyo's status is `yoyo list`, Alembic's `alembic current`, which names the last one alone.
"""


@dataclass(frozen=True)
class Report:
    """What was measured: facts of the machine, start-ups, workloads, and growth.

    `starts` are costs of `--version` over a bare `python -c pass`; `workloads` have a table each,
    by tool and task, over psql; `growth` gives seconds by task and by number of migrations;
    `absent` says which program could not be measured, and why.
    """

    command: str
    rounds: int
    machine: Sequence[str]
    starts: Mapping[str, Figure] = field(default_factory=dict)
    workloads: Mapping[str, Table] = field(default_factory=dict)
    growth: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    exponents: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def page(report: Report) -> str:
    """Return the whole page."""
    parts = [
        _PREAMBLE.format(
            command=report.command,
            rounds=report.rounds,
            machine="\n".join(f"- {fact}" for fact in report.machine),
        )
    ]
    parts += [f"{name} is left out: {why}.\n" for name, why in report.absent.items()]
    if report.starts:
        parts += ["## Start-up\n", _table(_starts(report.starts))]
    if report.workloads:
        parts += ["## Migrations\n", _TASKS]
    for workload, table in report.workloads.items():
        parts += [f"### {workload}\n", _table(_tasks(table))]
    if report.growth:
        parts += ["## Growth\n", _table(_growth(report))]
    return "\n".join(parts)


def _starts(starts: Mapping[str, Figure]) -> Iterator[list[str]]:
    over = "CPU over `python -c pass`"
    yield ["`--version` (yoyo: `--help`)", "wall ms", "CPU ms", over, "peak MiB"]
    for name, figure in starts.items():
        cost = figure.cost
        yield [
            name,
            f"{cost.wall * 1000:.0f}",
            f"{cost.cpu * 1000:.0f}",
            f"{figure.cpu_ratio:.2f}",
            f"{cost.peak:.0f}",
        ]


def _tasks(table: Table) -> Iterator[list[str]]:
    tasks = list(next(iter(table.values())))
    yield ["", *tasks, "CPU s", "peak MiB"]
    for tool, figures in table.items():
        cells = [_cell(figures[task]) if task in figures else "" for task in tasks]
        cost = figures["apply"].cost
        yield [tool, *cells, f"{cost.cpu:.2f}", f"{cost.peak:.0f}"]


def _cell(figure: Figure) -> str:
    return f"{figure.cost.wall:.3f} ({figure.wall_ratio:.2f})"


def _growth(report: Report) -> Iterator[list[str]]:
    counts = list(next(iter(report.growth.values())))
    yield ["`migrate`, wall s", *(f"{count:,}" for count in counts), "exponent"]
    for task, seconds in report.growth.items():
        exponent = f"{report.exponents[task]:.2f}"
        yield [task, *(f"{seconds[count]:.2f}" for count in counts), exponent]


def _table(rows: Iterator[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
