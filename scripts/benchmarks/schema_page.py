"""The figures of `scripts/bench schema` as a page of Markdown, and what is to be reached.

print(schema_page.page(report))
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import schemas
from benchmarks.schema_tasks import Found
from benchmarks.schemas import ALL, BARE, FIRST, NAIVE, PAPERLESS, Subject

SHARE = 0.5  # of the bare table's rate, by batches
GROWTH = 1.5  # of a look-up or page, from the smallest size to the largest
BYTES = 700  # a document, its content and all indexes on both

LOOKS = ("look_up", "live_page", "trash_page", "search", "tag_filter", "history")

_PREAMBLE = """\
# Speed of the schema

Repeat it with `{command}`: it prints this page.

The same documents, from one seed, came to each of these, which took turns at every task:

{subjects}

Each is asked in its own way; the row says which. The server and the work:

{facts}

In parentheses stands how often the figure of the bare table, where that can do the task, else that
of docmeta. Growth is from the smallest size to the largest. Rates are medians of turns. Look-ups
and pages are asked of all sizes in turn, at the end, so that a growth is not another load on the
machine; each is asked twice, and the second answer counts, for which the pages are in memory. What
is written one by one is written after a checkpoint: the WAL holds whole pages.
"""

_WITHOUT = """\
The same batches came to the first migration, and to it
[without one part](../scripts/benchmarks/schemas/without.sql) each, in turn. In parentheses stands
the difference to the whole. All are kept: the foreign keys, the dearest, keep a document from
losing its run or content, and `public_id` from being counted or guessed by who has seen another.
Without all of these there are two rows, of the content and of the document, each with its key: what
is left between that and the bare table, which has one, is the price of meeting duplicates.
"""

_SUBJECTS = {
    BARE.word: "a [bare table](../scripts/benchmarks/schemas/bare.sql) with a primary key and "
    "nothing else, the limit of what the machine can do",
    FIRST.word: "[docmeta](schema.md) as its first migration makes it",
    ALL.word: "docmeta with all migrations: audit, search, partitions, row security",
    NAIVE.word: "a [naive schema](../scripts/benchmarks/schemas/naive.sql), with uuid keys, hex "
    "digests unique in documents and an audit by row trigger",
    PAPERLESS.word: "the [tables of Paperless-ngx](../scripts/benchmarks/schemas/paperless.sql), "
    "made again",
}


@dataclass(frozen=True)
class Task:
    """A row group of the page: its key, its heading, the unit, and the part that says how."""

    key: str
    title: str
    unit: str
    part: str


_BATCHES = "Ingest by batches"
_ONE = "Ingest one by one, a transaction each"
_CHANGE = "Audit append: a change and its entry, 100 documents a statement"
_PURGE = "Purge of the trash"

TASKS = (
    Task("batches", _BATCHES, "documents a second", "ingest"),
    Task("batches, CPU", _BATCHES, "µs of CPU a document", "ingest"),
    Task("batches, WAL", _BATCHES, "bytes of WAL a document", "ingest"),
    Task("transport", _BATCHES, "of them µs on the clock to arrive, a document", "ingest"),
    Task("one by one", _ONE, "documents a second", "ingest"),
    Task("one by one, CPU", _ONE, "µs of CPU a document", "ingest"),
    Task("one by one, WAL", _ONE, "bytes of WAL a document", "ingest"),
    Task("reimport", "Contents brought by 8 importers at once", "documents a second", "ingest"),
    Task("look_up", "Look-up of a content", "p50, µs", "look_up"),
    Task("live_page", "A page of live documents, anywhere", "p50, µs", "live_page"),
    Task("trash_page", "A page of the trash, anywhere", "p50, µs", "trash_page"),
    Task("search", "Search of a common and a rare word", "p50, µs", "search"),
    Task("tag_filter", "A page of the documents with a tag", "p50, µs", "tag_filter"),
    Task("history", "History of a document", "p50, µs", "history"),
    Task("change", _CHANGE, "entries a second", "change"),
    Task("change, CPU", _CHANGE, "µs of CPU an entry", "change"),
    Task("change, WAL", _CHANGE, "bytes of WAL an entry", "change"),
    Task("take", "Retries taken by 8 workers at once", "a second", "take"),
    Task("purge", _PURGE, "documents a second", "purge"),
    Task("purge, CPU", _PURGE, "µs of CPU a document", "purge"),
    Task("bytes", "Room of a document with its content", "bytes a document", "ingest"),
)


@dataclass(frozen=True)
class Report:
    """What was found at each size, the smallest first."""

    command: str
    facts: Sequence[str]
    found: Mapping[int, Found]
    subjects: Sequence[Subject] = schemas.SUBJECTS
    without: Found | None = None  # of 0001 without each of its parts

    @property
    def is_reached(self) -> bool:
        """Whether no target is missed, and no check failed."""
        return all(verdict.is_met is not False for verdict in verdicts(self))


@dataclass(frozen=True)
class Verdict:
    """A target, whether it is met (None: this run cannot tell), and by what."""

    target: str
    is_met: bool | None
    seen: str

    def __str__(self) -> str:
        word = {True: "met", False: "missed", None: "not told"}[self.is_met]
        return f"- **{word}**: {self.target}: {self.seen}."


def verdicts(report: Report) -> list[Verdict]:
    """Return the targets of issue 7, and that no importer and no worker did anything twice."""
    return [_rate(report), _growth(report), _room(report), _order(report)]


def _rate(report: Report) -> Verdict:
    rates = report.found[max(report.found)].figures["batches"]
    target = f"ingest by batches, 0001 alone, at least {SHARE:g} of the bare table"
    if not {FIRST.name, BARE.name} <= rates.keys():
        return Verdict(target, None, "one of the two was left out")
    share = rates[FIRST.name] / rates[BARE.name]
    return Verdict(target, share >= SHARE, f"{share:.2f}")


def _growth(report: Report) -> Verdict:
    least, most = min(report.found), max(report.found)
    target = f"every look-up and page at {most:,} at most {GROWTH:g} times that at {least:,}"
    grown = {
        f"{look} ({name})": after / report.found[least].figures[look][name]
        for look in LOOKS
        for name, after in report.found[most].figures.get(look, {}).items()
        if name in (FIRST.name, ALL.name)
    }
    if least == most or not grown:
        return Verdict(target, None, "there is nothing to compare")
    above = {name: factor for name, factor in grown.items() if factor > GROWTH}
    if above:
        seen = ", ".join(f"{name} {factor:.2f}" for name, factor in above.items())
        return Verdict(target, False, seen)
    return Verdict(target, True, f"at most {max(grown.values()):.2f}")


def _room(report: Report) -> Verdict:
    target = f"at most {BYTES} bytes a document with its content and all indexes of 0001"
    used = report.found[max(report.found)].figures["bytes"].get(FIRST.name)
    if used is None:
        return Verdict(target, None, "it was left out")
    return Verdict(target, used <= BYTES, f"{used:.0f}")


def _order(report: Report) -> Verdict:
    target = "of docmeta no document doubled or lost, no deadlock, no retry taken twice"
    failed = [
        f"{count} {what} of {subject.name} at {size:,}"
        for size, found in report.found.items()
        for counted in found.checks.values()
        for subject in (FIRST, ALL)
        for what, count in counted.get(subject.name, {}).items()
        if count and what != "taken"
    ]
    return Verdict(target, not failed, ", ".join(failed) or "none")


def page(report: Report) -> str:
    """Return the whole page."""
    parts = [
        _PREAMBLE.format(
            command=report.command,
            subjects="\n".join(f"- {_SUBJECTS[s.word]}" for s in report.subjects),
            facts="\n".join(f"- {fact}" for fact in report.facts),
        ),
        "## To reach\n",
        "\n".join(str(verdict) for verdict in verdicts(report)) + "\n",
    ]
    title = ""
    for task in TASKS:
        rows = list(_rows(report, task))
        if not rows:
            continue
        head = [task.unit, *(f"{size:,}" for size in report.found), "growth", "how"]
        if task.title == title:  # the table before has said how
            head, *rows = ([*row[:-1]] for row in (head, *rows))
        else:
            parts.append(f"## {task.title}\n")
            title = task.title
        parts.append(_table([head, *rows]))
        if task.key in ("reimport", "take"):
            parts.append(_table(list(_checks(report, task.key))))
    if report.without:
        parts += [
            "## What each part of 0001 costs\n",
            _WITHOUT,
            _table(list(_without(report.without))),
        ]
    parts += ["## Bytes a document, by table and index\n", _table(list(_sizes(report)))]
    return "\n".join(parts)


def _rows(report: Report, task: Task) -> Iterator[list[str]]:
    for subject in report.subjects:
        cells = []
        figures = []
        for found in report.found.values():
            every = found.figures.get(task.key, {})
            figures.append(every.get(subject.name, math.nan))
            base = next((every[s.name] for s in (BARE, FIRST, ALL) if s.name in every), math.nan)
            cells.append(_cell(figures[-1], base))
        if not all(map(math.isnan, figures)):
            growth = f"{figures[-1] / figures[0]:.2f}" if len(figures) > 1 else ""
            yield [subject.name, *cells, growth, subject.parts[task.part].how]


def _cell(figure: float, base: float) -> str:
    if math.isnan(figure):
        return ""
    ratio = figure / base if base else math.nan
    return f"{figure:,.0f} ({ratio:.2f})"


def _checks(report: Report, key: str) -> Iterator[list[str]]:
    words = list(next(iter(next(iter(report.found.values())).checks[key].values())))
    yield ["at all sizes", *words]
    for subject in report.subjects:
        counted = [
            found.checks[key][subject.name]
            for found in report.found.values()
            if subject.name in found.checks[key]
        ]
        if counted:
            totals = [sum(counts[word] for counts in counted) for word in words]
            yield [subject.name, *(f"{total:,}" for total in totals)]


def _without(found: Found) -> Iterator[list[str]]:
    tasks = ("batches", "batches, CPU", "batches, WAL", "bytes")
    yield ["without", "documents a second", "µs of CPU a document", "bytes of WAL", "bytes of room"]
    for subject in (schemas.WHOLE, *schemas.WITHOUT, schemas.LIMIT):
        cells = []
        for task in tasks:
            figures = found.figures[task]
            figure, whole = figures[subject.name], figures[schemas.WHOLE.name]
            less = "" if subject is schemas.WHOLE else f" ({figure - whole:+,.0f})"
            cells.append(f"{figure:,.0f}{less}")
        yield [f"*{subject.name}*" if subject is schemas.LIMIT else subject.name, *cells]


def _sizes(report: Report) -> Iterator[list[str]]:
    yield ["schema", "table or index", *(f"{size:,}" for size in report.found), "growth"]
    for subject in report.subjects:
        every = [found.sizes.get(subject.name, {}) for found in report.found.values()]
        for name, last in every[-1].items():
            if last < 1:
                continue
            figures = [sizes.get(name, 0.0) for sizes in every]
            growth = f"{figures[-1] / figures[0]:.2f}" if len(figures) > 1 and figures[0] else ""
            yield [subject.name, f"`{name}`", *(f"{figure:.0f}" for figure in figures), growth]


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
