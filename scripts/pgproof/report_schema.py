"""A described schema as a page: Markdown, and one HTML file that needs no network.

    print(report_schema.markdown(schema))

The HTML is made of the Markdown: what one says, the other says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from importlib import resources
from itertools import groupby
from typing import Any

from pgproof import diagram
from pgproof.description import Function, Grant, Part, Schema, Table

WRITTEN = "Written by `migrate docs` from the catalog and its comments."
_QUERY = re.compile(r"(?s)(.*?):? *\b((?:SELECT|INSERT|UPDATE|DELETE|WITH)\b.*)")
_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX .+? ON (?:ONLY )?.+? USING (\w+) (.+)", re.DOTALL)
_TRIGGER = re.compile(
    r"CREATE (?:CONSTRAINT )?TRIGGER \S+ (.+?) ON .+? (?=(?:FROM|NOT|DEFERRABLE|REFERENCING|FOR) )"
    r"(.+) EXECUTE (?:FUNCTION|PROCEDURE) (.+)",
    re.DOTALL,
)
_POLICY = re.compile(
    r"(\w+) for (\w+) to (.+?)(?: using \((.+?)\))?(?: with check \((.+)\))?", re.DOTALL
)


def markdown(schema: Schema) -> str:
    """Return the page as Markdown."""
    return "\n\n".join(_page(schema)) + "\n"


def html(schema: Schema, title: str) -> str:
    """Return the page as one HTML file, with a search field and the diagram in it.

    Raises UserError where the extra `docs` is not installed.
    """
    diagram.require()
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens: list[Any] = []
    for token, following in _pairs(parser.parse(markdown(schema))):
        if token.type == "heading_open":
            token.attrSet("id", diagram.anchor(_plain(following)))
            if token.tag == "h2":
                tokens.append(_raw(Token, "</section><section>"))
        if token.type == "fence" and token.info == "mermaid":
            drawn = diagram.svg(schema, links=True)
            tokens.append(_raw(Token, f'<div class="wide">{drawn}</div>'))
        elif token.type == "table_open":
            tokens += [_raw(Token, '<div class="wide">'), token]
        elif token.type == "table_close":
            tokens += [token, _raw(Token, "</div>")]
        else:
            tokens.append(token)
    body = parser.renderer.render(tokens, parser.options, {})
    page = resources.files(__package__).joinpath("schema.html").read_text(encoding="utf-8")
    return page.replace("TITLE", escape(title)).replace("BODY", f"<section>{body}</section>")


def _pairs(tokens: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    yield from zip(tokens, [*tokens[1:], None], strict=True)


def _plain(inline: Any) -> str:
    """Return the text of a heading without its marks."""
    return "".join(child.content for child in inline.children)


def _raw(token: Any, text: str) -> Any:
    return token("html_block", "", 0, content=text)


# The paragraphs of the page ---------------------------------------------------------------


def _page(schema: Schema) -> Iterator[str]:
    yield "# Schema"
    yield WRITTEN
    for name, comment in schema.schemas.items():
        yield f"`{name}`: {_text(comment) or 'no comment'}"
    yield f"```mermaid\n{diagram.mermaid(schema)}\n```"
    rows = [(_link(schema, table.name), _text(table.comment)) for table in schema.tables]
    yield from _table(("table", "purpose"), rows)
    for table in schema.tables:
        yield from _of_table(schema, table)
    if schema.functions:
        yield "## Functions"
        head = ("function", "returns", "runs as", "meaning", "may be run by")
        yield from _table(head, [_function(schema, function) for function in schema.functions])
    if schema.types:
        yield "## Types"
        rows3 = [
            (_code(part.name), _code(part.definition), _text(part.comment)) for part in schema.types
        ]
        yield from _table(("type", "is", "meaning"), rows3)
    granted = [
        (f"`{grant.role}`", _code(name), _may(grant))
        for name, grants in schema.schema_grants.items()
        for grant in grants
    ]
    if granted:
        yield "## Schemas"
        yield from _table(("role", "schema", "may"), granted)


def _of_table(schema: Schema, table: Table) -> Iterator[str]:
    yield f"## {schema.short(table.name)}"
    yield _text(table.comment) or "No comment."
    if said := list(_facts(table)):
        yield " ".join(said)
    yield from _table(
        ("column", "type", "null", "default", "meaning"),
        [
            (
                f"**{_code(column.name)}**" if column.name in table.key else _code(column.name),
                _code(column.type),
                "yes" if column.is_null else "no",
                _code(column.default),
                _text(column.comment),
            )
            for column in table.columns
        ],
    )
    checks = [part for part in table.constraints if part.kind == "CHECK"]
    keys = sorted(
        (part for part in table.constraints if part.kind != "CHECK"),
        key=lambda part: (
            ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY").index(part.kind)
            if part.kind in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY")
            else 3
        ),
    )
    yield from _table(("key", "is", "meaning"), [_key(schema, table, part) for part in keys])
    yield from _table(("check", "rule", "as SQL"), [_check(schema, table, part) for part in checks])
    yield from _table(("index", "on", "serves"), [_index(part) for part in table.indexes])
    yield from _table(
        ("trigger", "fires", "runs", "meaning"), [_trigger(part) for part in table.triggers]
    )
    yield from _table(
        ("policy", "for", "to", "rows seen", "rows written", "meaning"),
        [_policy(part) for part in table.policies],
    )
    yield from _privileges(table)
    if table.partitions:
        rows = [(_code(name), _code(bound)) for name, bound in table.partitions]
        yield from _table(("partition", "holds"), rows)
    if table.definition:
        yield f"```sql\n{table.definition}\n```"


def _facts(table: Table) -> Iterator[str]:
    if table.kind != "table":
        yield f"A {table.kind}."
    if table.owner not in ("", "<owner>"):
        yield f"Its owner is `{table.owner}`."
    if by := table.facts.get("partitioned by"):
        yield f"Partitioned by {_code(by)}."
    if table.facts.get("persistence"):
        yield "Unlogged: empty after a crash."
    if table.facts.get("row security"):
        of_owner = "" if table.facts.get("row security of the owner") else " but the owner"
        yield f"Row security holds for all{of_owner}."


def _key(schema: Schema, table: Table, part: Part) -> tuple[str, ...]:
    meaning = _text(part.comment)
    for reference in table.references:
        if reference.name == part.name:
            to = f"{_link(schema, reference.other)} {_code(', '.join(reference.theirs))}"
            rest = f", {reference.rest.lower()}" if reference.rest else ""
            columns = _code(", ".join(reference.columns))
            return _code(part.name), f"{columns} refers to {to}{rest}", meaning
    return _code(part.name), f"{part.kind.lower()} {_code(', '.join(part.columns))}", meaning


def _check(schema: Schema, table: Table, part: Part) -> tuple[str, ...]:
    """Return a check with its rule in words: its comment, or else what its name says."""
    own = schema.short(table.name).rpartition(".")[2]
    said = part.name.removeprefix(f"{own}_").removesuffix("_check")
    of = max((c.name for c in table.columns if said.startswith(f"{c.name}_")), key=len, default="")
    words = " ".join([_code(of), said[len(of) :].replace("_", " ").strip()]).strip()
    expression = re.fullmatch(r"CHECK \((.*)\)(.*)", part.definition, re.DOTALL)
    shown = "".join(expression.groups()) if expression else part.definition
    return _code(part.name), _text(part.comment) or words, _code(shown)


def _index(part: Part) -> tuple[str, ...]:
    match = _INDEX.fullmatch(part.definition)
    if match is None:
        return _code(part.name), _code(part.definition), _served(part.comment)
    words = ["unique"] * bool(match[1]) + [match[2]] * (match[2] != "btree")
    return _code(part.name), " ".join([*words, _code(match[3])]), _served(part.comment)


def _served(comment: str) -> str:
    """Return what an index serves, its query as code."""
    match = _QUERY.fullmatch(comment)
    return f"{_text(match[1])}: {_code(match[2])}" if match else _text(comment)


def _trigger(part: Part) -> tuple[str, ...]:
    match = _TRIGGER.fullmatch(part.definition)
    if match is None:
        return _code(part.name), _code(part.definition), "", _text(part.comment)
    fires = f"{match[1].lower()} {match[2].lower()}"
    return _code(part.name), _code(fires), _code(match[3]), _text(part.comment)


def _policy(part: Part) -> tuple[str, ...]:
    match = _POLICY.fullmatch(part.definition)
    if match is None:
        return _code(part.name), _code(part.definition), "", "", "", _text(part.comment)
    mode = " (restrictive)" if match[1] == "restrictive" else ""
    cells = (f"{match[2]}{mode}", _code(match[3]), _code(match[4] or ""), _code(match[5] or ""))
    return _code(part.name), *cells, _text(part.comment)


def _privileges(table: Table) -> Iterator[str]:
    order = [column.name for column in table.columns]
    grants = [
        replace(grant, columns=tuple(sorted(grant.columns, key=order.index)))
        for grant in table.grants
    ]
    grants.sort(key=lambda grant: (grant.role, grant.is_revoked, grant.columns))
    rows = [
        (f"`{role}`", "; ".join(_may(grant) for grant in some))
        for role, some in groupby(grants, key=lambda grant: grant.role)
    ]
    yield from _table(("role", "may"), rows)


def _may(grant: Grant) -> str:
    words = f"not {grant.privileges}" if grant.is_revoked else grant.privileges
    of = f" of {_code(', '.join(grant.columns))}" if grant.columns else ""
    return f"{words}{of}{' and grant it' if grant.with_option else ''}"


def _function(schema: Schema, function: Function) -> tuple[str, ...]:
    returns = re.search(r"\n RETURNS (.+)", function.head)
    definer = "SECURITY DEFINER" in function.head
    owner = "" if function.owner in ("", "<owner>") else f" `{function.owner}`"
    revoked = any(grant.is_revoked and grant.role == "PUBLIC" for grant in function.grants)
    allowed = [f"`{g.role}`" for g in function.grants if not g.is_revoked]
    return (
        _code(schema.short(function.name)),
        _code(returns[1] if returns else ""),
        f"its owner{owner}" if definer else "who calls it",
        _text(function.comment),
        ", ".join(allowed) or ("its owner" if revoked else "everybody"),
    )


# Words ------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table, without the columns in which no row says anything; nothing without rows."""
    kept = [p for p in range(len(head)) if head[0] == "column" or any(row[p] for row in rows)]
    if rows and kept:
        lines = [[head[place] for place in kept], ["---"] * len(kept)]
        lines += [[row[place] for place in kept] for row in rows]
        yield "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _link(schema: Schema, name: str) -> str:
    heading = schema.short(name)
    return f"[{_text(heading)}](#{diagram.anchor(heading)})"


def _code(text: str) -> str:
    """Return a text as code in a cell of a table; its blanks stay, for a literal may have some."""
    words = re.sub(r"\s*\n\s*", " ", text).strip().replace("|", "\\|")
    if not words:
        return ""
    return f"`` {words} ``" if "`" in words else f"`{words}`"


def _text(text: str) -> str:
    """Return a text as words that no letter of it makes Markdown of."""
    return re.sub(r"([\\`*\[\]<>|]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))
