"""The schemas that are measured side by side: each file holds what one of them does, and how.

    schemas.SUBJECTS[1].parts["look_up"].how

A part of a file begins with `-- [name] how` and is SQL: `tables` makes the tables, `ingest` takes
in what lies in the table `arrived`, the others are what an application asks. A part with $1 is
prepared once and executed often.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).parent
_PART = re.compile(r"^-- \[(\w+)\] (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """How a schema does something, in words and in SQL."""

    how: str
    sql: str

    @property
    def parameters(self) -> int:
        """How many parameters the statement takes: the highest of $1, $2, ..."""
        return max(map(int, re.findall(r"\$(\d)", self.sql)), default=0)


@dataclass(frozen=True)
class Subject:
    """A schema: its word on the command line, its name on the page, what it can do.

    `migrations` are those to apply: up to an id, or "all". `without` is the SQL that then takes
    something away.
    """

    word: str
    name: str
    parts: Mapping[str, Part]
    migrations: str | None = None
    without: str = ""


def read(path: Path) -> dict[str, Part]:
    """Return the parts of a file."""
    _, *pieces = _PART.split(path.read_text(encoding="utf-8"))
    return {
        name: Part(how, sql.strip())
        for name, how, sql in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
    }


_DOCMETA = read(FOLDER / "docmeta.sql")
_LATER = {"session", "search", "history", "change", "purge"}  # what 0001 alone does not have

BARE = Subject("bare", "bare table", read(FOLDER / "bare.sql"))
FIRST = Subject(
    "0001",
    "docmeta, 0001 alone",
    {name: part for name, part in _DOCMETA.items() if name not in _LATER},
    "0001_initial_schema",
)
ALL = Subject("all", "docmeta, all migrations", _DOCMETA, "all")
NAIVE = Subject("naive", "naive schema", read(FOLDER / "naive.sql"))
PAPERLESS = Subject("paperless", "Paperless-ngx's tables", read(FOLDER / "paperless.sql"))

SUBJECTS = (BARE, FIRST, ALL, NAIVE, PAPERLESS)
# Once more: 0001, without each of its parts, and without all of them; and the bare table.
LIMIT = replace(BARE, word="limit")
WHOLE = replace(FIRST, word="whole", name="nothing")
_PARTS = read(FOLDER / "without.sql")
WITHOUT = (
    *(
        replace(FIRST, word=f"without_{word}", name=part.how, without=part.sql)
        for word, part in _PARTS.items()
    ),
    replace(
        FIRST,
        word="without_any",
        name="all of these",
        without="\n".join(part.sql for part in _PARTS.values()),
    ),
)
