"""Latency over time as a picture: strips of time one above another, each step a band on them.

    Path("online.svg").write_text(picture.drawn(report))

Plain SVG: its text can be selected, and its colours follow the reader's light or dark theme.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from benchmarks.online_page import ABOVE, Report
from benchmarks.steps import Span

WIDTH, LEFT, RIGHT = 1200, 60, 12
HEAD, STRIP, LABELS, FOOT = (
    78,
    140,
    100,
    26,
)  # heights: the legend, a strip, what is above, below it
LETTERS = 17  # of a label, at most
STRIPS = 5  # at most
SECONDS = 240.0  # of a strip, at least
LEAST, MOST = 0.0001, 100.0  # seconds: the lowest and the highest line that there can be

_STYLE = """
    text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
    .title { font-size: 17px; font-weight: 600; }
    .small { font-size: 11px; }
    .end { text-anchor: end; }
    .grid { stroke-width: 1; }
    .bound { stroke-width: 1; stroke-dasharray: 5 4; }
    .read, .write { fill: none; stroke-width: 1.2; stroke-linejoin: round; }
    rect.ours, rect.obvious { fill-opacity: .3; }
    rect.tidy { fill-opacity: .6; }
"""
# Spelled out for each theme: not every reader of SVG knows the variables of CSS.
_COLOURS = """
    text { fill: %(ink)s; }
    .paper { fill: %(paper)s; }
    .grid { stroke: %(faint)s; }
    .bound { stroke: %(ink)s; }
    .read { stroke: %(read)s; }
    .write { stroke: %(write)s; }
    .ours { fill: %(ours)s; }
    .obvious { fill: %(obvious)s; }
    .tidy { fill: %(faint)s; }
"""
_LIGHT = {
    "ink": "#1f2328",
    "paper": "#ffffff",
    "faint": "#d8dee4",
    "read": "#1a7f37",
    "write": "#0550ae",
    "ours": "#8250df",
    "obvious": "#bc4c00",
}
_DARK = {
    "ink": "#e6edf3",
    "paper": "#0d1117",
    "faint": "#30363d",
    "read": "#3fb950",
    "write": "#58a6ff",
    "ours": "#bc8cff",
    "obvious": "#f0883e",
}
_SIGNS = {"forward": "↑", "rollback": "↓", "again": "↑ again"}


def drawn(report: Report) -> str:
    """Return the whole picture."""
    start, end = report.spans[0].start, report.spans[-1].end
    strips = max(1, min(STRIPS, math.ceil((end - start) / SECONDS)))
    length = (end - start) / strips
    scale = _Scale(report)
    height = HEAD + strips * (LABELS + STRIP + FOOT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">',
        f"<style>{_STYLE}{_COLOURS % _LIGHT}@media (prefers-color-scheme: dark) {{"
        f"{_COLOURS % _DARK}}}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        *_legend(report),
    ]
    for number in range(strips):
        top = HEAD + number * (LABELS + STRIP + FOOT) + LABELS
        parts += _strip(report, scale, start + number * length, length, top)
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """From seconds to the height in a strip: logarithmic, in whole powers of ten."""

    def __init__(self, report: Report) -> None:
        _, bins = report.bins
        highest = max((max(values) for values in bins.values()), default=1.0)
        self.top = min(math.log10(MOST), max(0.0, math.ceil(math.log10(highest or 1.0))))
        least = min((v for values in bins.values() for v in values if v), default=LEAST)
        self.bottom = math.floor(math.log10(max(least, LEAST)))

    def height(self, seconds: float) -> float:
        """Return how far below the top of its strip a latency is."""
        power = math.log10(max(seconds, LEAST))
        share = (power - self.bottom) / (self.top - self.bottom)
        return STRIP * (1 - min(1.0, max(0.0, share)))

    def lines(self) -> Iterator[tuple[float, str]]:
        """Yield each power of ten, and its label."""
        for power in range(int(self.bottom), int(self.top) + 1):
            seconds = 10.0**power
            yield seconds, f"{seconds:g} s" if power >= 0 else f"{seconds * 1000:g} ms"


def _legend(report: Report) -> Iterator[str]:
    yield (
        '<text class="title" id="title" x="12" y="26">Longest latency of reads and writes while '
        "migrations run</text>"
    )
    x = 12
    bound = max(report.baseline.values()) + ABOVE
    for mark, words in (
        ('<path class="write" d="M{0} 48h22"/>', "writes"),
        ('<path class="read" d="M{0} 48h22"/>', "reads"),
        ('<rect class="ours" x="{0}" y="40" width="22" height="14"/>', "a migration, its rollback"),
        ('<rect class="obvious" x="{0}" y="40" width="22" height="14"/>', "the obvious way"),
        ('<rect class="tidy" x="{0}" y="40" width="22" height="14"/>', "not measured"),
        (
            '<path class="bound" d="M{0} 48h22"/>',
            f"the bound: {bound * 1000:.0f} ms, {ABOVE * 1000:.0f} ms above the longest without",
        ),
    ):
        yield mark.format(x)
        yield f'<text x="{x + 28}" y="52">{words}</text>'
        x += 50 + 7 * len(words)
    yield (
        f'<text class="small" x="12" y="70">{report.rate:.0f} transactions a second; each counts '
        "from the moment at which it was to begin, logarithmic; minutes from the start</text>"
    )


def _strip(report: Report, scale: _Scale, start: float, length: float, top: float) -> Iterator[str]:
    plot = WIDTH - LEFT - RIGHT

    def x(at: float) -> float:
        return LEFT + plot * min(1.0, max(0.0, (at - start) / length))

    for seconds, words in scale.lines():
        y = top + scale.height(seconds)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}h{plot}"/>'
        yield f'<text class="small end" x="{LEFT - 6}" y="{y + 4:.1f}">{words}</text>'
    first = report.spans[0].start
    for minute in range(math.ceil((start - first) / 60), int((start + length - first) / 60) + 1):
        at = x(first + minute * 60)
        yield f'<path class="grid" d="M{at:.1f} {top + STRIP}v5"/>'
        yield f'<text class="small" x="{at + 2:.1f}" y="{top + STRIP + 16}">{minute}</text>'
    yield from _bands(report.spans, start, length, top, x)
    y = top + scale.height(max(report.baseline.values()) + ABOVE)
    yield f'<path class="bound" d="M{LEFT} {y:.1f}h{plot}"/>'
    width, bins = report.bins
    for kind in ("read", "write"):
        values = bins[kind]
        low = int((start - first) / width)
        high = min(len(values), int((start + length - first) / width) + 1)
        points = [
            f"{x(first + place * width):.1f} {top + scale.height(values[place]):.1f}"
            for place in range(low, high)
            if values[place]
        ]
        if points:
            yield f'<path class="{kind}" d="M{"L".join(points)}"/>'


def _bands(
    spans: Sequence[Span], start: float, length: float, top: float, x: Callable[[float], float]
) -> Iterator[str]:
    """Yield each step as a band, at least two wide; where it began, its label."""
    for span in spans:
        if span.operation == "quiet" or span.end < start or span.start > start + length:
            continue
        kind = "tidy" if span.operation == "tidy" else "ours" if span.is_ours else "obvious"
        left, right = x(span.start), x(span.end)
        words = f"{span.name[:4]} {_SIGNS.get(span.operation) or span.words}"
        yield (
            f'<rect class="{kind}" x="{left:.1f}" y="{top}" width="{max(2.0, right - left):.1f}" '
            f'height="{STRIP}"><title>{escape(span.name)}: {escape(span.words or span.operation)}'
            f", {span.seconds:.2f} s</title></rect>"
        )
        if span.start >= start and kind != "tidy":
            short = words if len(words) <= LETTERS else f"{words[: LETTERS - 1].rstrip(' ,')}…"
            place = f"{left + 4:.1f} {top - 6}"
            yield (
                f'<text class="small {kind}" transform="translate({place}) rotate(-55)">'
                f"{escape(short)}</text>"
            )
