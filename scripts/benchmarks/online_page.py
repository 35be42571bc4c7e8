"""What `bench online` saw, as numbers and as a page of Markdown.

print(online_page.page(report, picture="online.svg"))
"""

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load import SHARES, WHAT_THEY_DO, Clients
from benchmarks.steps import AFTER, Locks, Span

ABOVE = 0.250  # seconds that the longest stall of a step may be above that of quiet times
KINDS = ("read", "write")
_WORDS = {"forward": "forward", "rollback": "rollback", "again": "forward again"}

_PREAMBLE = """\
# Migrations under load

Repeat it with `{command} --output docs/online.md`: it writes this page and its picture.

{facts}

{load}

Each migration is applied by `migrate up --to ID`, taken back by `migrate down --to ID`, and applied
again, for the next one builds on it. Before each step nothing is done for {quiet:g} s, once the
clients have worked off what had queued up. A step counts from the start of `migrate` until
{after:g} s after its end, with every transaction that was under way at some moment of that.

Without a migration ({baseline:.0f} s in all) the longest stall of a read was {read:.0f} ms, that of
a write {write:.0f} ms; the median over the {spans} quiet times was {median_read:.0f} ms and
{median_write:.0f} ms. The bound for a step is {above:.0f} ms above the longest.
Transactions that failed at a client: {errors}.
"""

_STALLS = """\
## The longest stall

`s` is the migration's own time in seconds, with its waiting for locks; of the obvious way, that of
its statements. What parks rows, copies them back or brings them back is outside the bound; and what
has to wait for a report, a long reader: what counts there is for how long clients wait behind it.
"""

_OBVIOUS = """\
An obvious way runs on the same database and load, just before the migration is applied again. It is
rolled back at its end, so that its errors are those of its own statements, and a client's later
ones do not show; that of row security commits, and is undone.
"""

_PERCENTILES = """\
## Before and during

Milliseconds: p50 / p99 / p99.9 / longest. Of fewer than a thousand transactions p99.9 is the
longest.
"""

_COSTS = """\
## Locks, log and size

Locks that make anybody wait (SHARE UPDATE EXCLUSIVE: other DDL and VACUUM alone): of a migration as
pgproof sees them in a scratch database, of an obvious way as it held them at its end. Relations are
in the schema docmeta where no other is named. Log, growth (tables with their indexes) and dead rows
are what was added beyond what the clients add in that time.
"""


@dataclass(frozen=True)
class Figures:
    """Latencies of one kind in one span, in seconds; all 0 where there was no transaction."""

    count: int = 0
    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    longest: float = 0.0

    @classmethod
    def of(cls, latencies: Iterable[float]) -> "Figures":
        """Return those of latencies in any order; a percentile is one of them (nearest rank)."""
        ordered = sorted(latencies)
        if not ordered:
            return cls()
        p50, p99, p999 = (ordered[math.ceil(s * len(ordered)) - 1] for s in (0.5, 0.99, 0.999))
        return cls(len(ordered), p50, p99, p999, ordered[-1])


@dataclass(frozen=True)
class Step:
    """One step, by kind ("read", "write"): figures of the quiet time before it, and during it."""

    span: Span
    before: Mapping[str, Figures]
    during: Mapping[str, Figures]
    errors: Sequence[str]
    locks: Locks = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """All that was seen; `bins` are (seconds of one, the longest latency in each) by kind."""

    command: str
    facts: Sequence[str]
    rate: float
    capacity: float | None
    spans: Sequence[Span]
    steps: Sequence[Step]
    quiet: Sequence[Mapping[str, Figures]]
    errors: Sequence[str]  # those outside of every step
    bins: tuple[float, Mapping[str, Sequence[float]]]

    @property
    def baseline(self) -> dict[str, float]:
        """The longest stall of quiet times, by kind, in seconds."""
        return {kind: max(q[kind].longest for q in self.quiet) for kind in KINDS}

    def is_within(self, step: Step) -> bool:
        """Whether the longest stalls of a step are at most 250 ms above those of quiet times."""
        return all(step.during[k].longest <= self.baseline[k] + ABOVE for k in KINDS)

    @property
    def is_reached(self) -> bool:
        """Whether no client erred, none of our steps failed, and none is above its bound."""
        ours = [step for step in self.steps if step.span.is_ours]
        return not self.errors and all(
            not step.errors
            and step.span.failure is None
            and (step.span.apart or self.is_within(step))
            for step in ours
        )


def reported(
    spans: Sequence[Span],
    clients: Clients,
    modes: Mapping[tuple[str, str], Locks],
    *,
    command: str,
    facts: Sequence[str],
    rate: float,
    capacity: float | None,
) -> Report:
    """Make the report of what clients saw in the spans of a run."""
    begun = next(place for place, span in enumerate(spans) if span.operation == "quiet")
    spans = spans[begun:]  # the clients came just before
    steps: list[Step] = []
    quiet: list[Mapping[str, Figures]] = []
    left = list(clients.errors)
    for span in spans:
        figures = {
            kind: Figures.of(
                latency for _, latency in clients.between(kind, span.start, span.until)
            )
            for kind in KINDS
        }
        if span.operation == "quiet":
            quiet.append(figures)
        elif span.operation != "tidy":
            met = [(at, text) for at, text in left if span.start <= at <= span.until]
            left = [error for error in left if error not in met]
            locks = modes.get((span.name, span.operation), span.locks)
            steps.append(Step(span, quiet[-1], figures, [text for _, text in met], locks))
    width = (spans[-1].end - spans[0].start) / 4000
    bins = {kind: _longest(clients, kind, spans, width) for kind in KINDS}
    return Report(
        command,
        facts,
        rate,
        capacity,
        spans,
        sorted(steps, key=lambda step: (step.span.name, step.span.operation == "obvious")),
        quiet,
        [text for _, text in left],
        (width, bins),
    )


def _longest(clients: Clients, kind: str, spans: Sequence[Span], width: float) -> list[float]:
    """Return the longest latency of what was scheduled in each bin of the whole run."""
    start, end = spans[0].start, spans[-1].end
    bins = [0.0] * (int((end - start) / width) + 1)
    for scheduled, latency in clients.between(kind, start, end):
        place = int((scheduled - start) / width)
        if 0 <= place < len(bins):
            bins[place] = max(bins[place], latency)
    return bins


def page(report: Report, picture: str | None) -> str:
    """Return the whole page; `picture` is the file of its picture, if there is one."""
    every = report.steps
    medians = {k: Figures.of(q[k].longest for q in report.quiet).p50 for k in KINDS}
    quiet = [span for span in report.spans if span.operation == "quiet"]
    parts = [
        _PREAMBLE.format(
            command=report.command,
            facts="\n".join(f"- {fact}" for fact in report.facts),
            load=textwrap.fill(_load(report), 100),
            quiet=min(span.end - span.start for span in quiet) // 0.1 / 10,
            after=AFTER,
            baseline=sum(span.end - span.start for span in quiet),
            spans=len(quiet),
            read=report.baseline["read"] * 1000,
            write=report.baseline["write"] * 1000,
            median_read=medians["read"] * 1000,
            median_write=medians["write"] * 1000,
            above=ABOVE * 1000,
            errors=_errors(report),
        )
    ]
    if picture:
        parts += [f"![Latency over time, with each step marked]({picture})\n"]
    parts += [_STALLS, _table(_stalls(report)), _OBVIOUS]
    parts += [_PERCENTILES, _table(_percentiles(every)), _COSTS, _table(_costs(every))]
    parts += [f"{_named(s)}: {s.span.failure}\n" for s in every if s.span.failure]
    parts += [f"{_named(s)}, a client: {text}\n" for s in every for text in s.errors[:1]]
    return "\n".join(parts)


def _load(report: Report) -> str:
    source = (
        f"half of the {report.capacity:.0f} that the machine took at the start when each client "
        "began as its last one ended"
        if report.capacity
        else "as asked for"
    )
    shares = " and ".join(f"{share:.0%} for tenant {t}" for t, share in SHARES.items())
    return (
        f"{WHAT_THEY_DO} They come at {report.rate:.0f} transactions a second, two reads a write, "
        f"{source}; {shares}. pgbench schedules their arrivals whatever became of the last one, "
        "and a latency counts from the scheduled moment: all who wait count, not only who was met. "
        "Readers and writers of a tenant are a process each, with a login of its own; each sets "
        "`docmeta.tenant_id`, and keeps its connections and prepared statements through the run."
    )


def _errors(report: Report) -> str:
    ours, obvious = (
        sum(len(step.errors) for step in report.steps if step.span.is_ours == is_ours)
        for is_ours in (True, False)
    )
    quiet = len(report.errors)
    places = ((ours, "a step"), (quiet, "quiet times"), (obvious, "an obvious way"))
    return ", ".join(f"{count or 'none'} in {where}" for count, where in places)


def _named(step: Step) -> str:
    span = step.span
    return f"{span.name[:4]} {_WORDS.get(span.operation) or f'*{span.words}*'}"


def _stalls(report: Report) -> Iterator[list[str]]:
    yield ["", "step", "s", "read, ms", "write, ms", "errors", "within the bound"]
    named = ""
    for step in report.steps:
        span = step.span
        name, named = (f"**{span.name}**" if span.name != named else ""), span.name
        yield [
            name,
            _WORDS.get(span.operation) or f"*obvious: {span.words}*",
            "failed" if span.failure else f"{span.seconds:.2f}",
            f"{step.during['read'].longest * 1000:.0f}",
            f"{step.during['write'].longest * 1000:.0f}",
            str(len(step.errors)),
            _verdict(report, step),
        ]


def _verdict(report: Report, step: Step) -> str:
    if step.span.failure:
        return "failed"
    within = "yes" if report.is_within(step) else "**no**"
    if step.span.apart:
        return "yes" if report.is_within(step) else f"apart: {step.span.apart}"
    return within if step.span.is_ours else within.strip("*")


def _percentiles(steps: Sequence[Step]) -> Iterator[list[str]]:
    yield ["", "reads before", "reads during", "writes before", "writes during"]
    for step in steps:
        cells = [_cell(when[kind]) for kind in KINDS for when in (step.before, step.during)]
        yield [_named(step), *cells]


def _cell(figures: Figures) -> str:
    if not figures.count:
        return "none came"
    told = (figures.p50, figures.p99, figures.p999, figures.longest)
    return " / ".join(
        f"{value * 1000:.3g}" if value < 1 else f"{value * 1000:.0f}" for value in told
    )


def _costs(steps: Sequence[Step]) -> Iterator[list[str]]:
    yield ["", "locks", "log, MiB", "growth, MiB", "dead rows"]
    for step in steps:
        span = step.span
        yield [
            _named(step),
            _locks(step.locks),
            f"{span.wal / 2**20:.1f}",
            f"{span.growth / 2**20:.1f}",
            f"{span.dead:,.0f}",
        ]


def _locks(locks: Locks) -> str:
    """Return the locks, by mode; of a failed way there are none to be seen."""
    modes: dict[str, list[str]] = {}
    for name, mode in locks.items():
        modes.setdefault(mode, []).append(name.removeprefix("docmeta."))
    return "; ".join(f"{', '.join(names)} {mode}" for mode, names in modes.items()) or "none"


def _table(rows: Iterator[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
