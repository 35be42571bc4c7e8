r"""The schema of a database as lines of text, one fact a line, and the difference of two texts.

Everything that says "the schema is the same" rests on this text, so it must show whatever a
migration can change, and nothing else. pg_dump will not do: it hides that an index is invalid,
differs from version to version, and ties its facts to the order of columns. The query is
catalog.sql, beside this module. To see the text of a database:

    python -c "import psycopg2, pgproof.catalog; \
        [print(line) for line in pgproof.catalog.read(psycopg2.connect(''))]"
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources

from psycopg2 import extensions, sql

# All but the last two change how PostgreSQL words a name, a constant or a default. Those are for
# speed: compiling the query takes longer than running it, and where a migration has just made a
# thousand tables, the planner, having no statistics of them yet, would join them by nested loops.
SETTINGS = """
SET LOCAL search_path = '';
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO, YMD';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL lc_monetary = 'C';
SET LOCAL quote_all_identifiers = off;
SET LOCAL standard_conforming_strings = on;
SET LOCAL jit = off;
SET LOCAL enable_nestloop = off;
"""

# A character that would break a line of the text, or that an editor would take away from its end;
# and a backslash that, left alone, could be taken for the escape of one.
CONTROL = r"\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029"
UNPRINTABLE = re.compile(rf"\\(?=[\\nru{CONTROL}]|[ \t]$)|[{CONTROL}]|[ \t]$")
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}

_ACCESS = ("privilege database ", "privilege schema public ")
COLUMN_ORDER = "column order "


def read(
    connection: extensions.connection, *, parked: str | None = None, owner: str | None = None
) -> list[str]:
    """The schema of the connection's database, one fact a line, sorted by what the fact is about.

    The lines of a function or a view keep their own order, so that a change in the middle of one
    is a change of one line. Left out are the system's schemas, temporary objects, what belongs to
    an extension, yoyo's history, and the schema `parked`. The role `owner`, by default the
    current user, is `<owner>`.

    Nothing is written, no more is needed than the right to connect, and the session's settings
    and transaction are afterwards as they were, also when reading fails.

    Raises:
        psycopg2.Error: what the server or the connection says, as it is.
    """
    found = facts(connection, parked=parked, owner=owner)
    return [line for row in found for line in _lines(*row)]


def facts(
    connection: extensions.connection, *, parked: str | None = None, owner: str | None = None
) -> list[tuple[str, str | None, bool]]:
    """What `read` makes its lines of: a subject, its fact (None if the subject says it all).

    The third says whether the fact is a text of several lines.
    """
    with settled(connection) as cursor:
        query = resources.files(__package__).joinpath("catalog.sql").read_text(encoding="utf-8")
        for name, value in (("parked", parked), ("owner", owner)):
            query = query.replace(f":'{name}'", sql.Literal(value or "").as_string(cursor))
        cursor.execute(query)
        rows: list[tuple[str, str | None, bool]] = cursor.fetchall()
    if connection.server_version < 160000:
        rows = [_worded_as_later(*row) for row in rows]
    return rows


def difference(
    before: Sequence[str], after: Sequence[str], before_name: str, after_name: str
) -> list[str]:
    """The unified diff of two texts of `read`, a line each without its end; empty if equal."""
    diff = difflib.unified_diff(before, after, before_name, after_name, n=1, lineterm="")
    return list(diff)


def without_access(lines: Sequence[str], made: Sequence[str]) -> list[str]:
    """The lines of `read` but for who may use the database and schema public.

    Both are there before the first file, and whoever makes them says who may enter. Where `made`,
    what the files make, has such a line, a file says so, and the lines stay.
    """
    kept = [start for start in _ACCESS if any(line.startswith(start) for line in made)]
    dropped = tuple(start for start in _ACCESS if start not in kept)
    return [line for line in lines if not line.startswith(dropped)]


def same_but_for_column_order(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether two texts of `read` say the same of everything but the position of columns.

    A column that is dropped and added again stands last; no rollback can put it back in its place.
    """
    return _without_column_order(before) == _without_column_order(after)


def _without_column_order(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not line.startswith(COLUMN_ORDER)]


def without_partitions(lines: Sequence[str], tables: Collection[str]) -> list[str]:
    """Return a text of `read` without the partitions of these tables (`schema.table` each).

    Where they are made and dropped while the table is used, which there are is no schema, but data.
    """
    ends = tuple(f" partition of: {table}" for table in tables)
    parts = {
        line.split(" ")[1] for line in lines if line.startswith("table ") and line.endswith(ends)
    }
    return [
        line
        for line in lines
        if not any(
            word in parts or word.rpartition(".")[0] in parts
            for word in line.partition(": ")[0].split(" ")
        )
    ]


@contextmanager
def settled(connection: extensions.connection) -> Iterator[extensions.cursor]:
    """A cursor in a session that words everything one way; undone at the end by rolling back."""
    was_idle = _is_idle(connection)
    begin, end = "SAVEPOINT catalog", "ROLLBACK TO SAVEPOINT catalog; RELEASE SAVEPOINT catalog"
    with connection.cursor(cursor_factory=extensions.cursor) as cursor:
        cursor.execute("SELECT")  # if psycopg2 is to begin a transaction of its own, it does so now
        if is_autocommit := _is_idle(connection):
            begin, end = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY", "ROLLBACK"
        cursor.execute(begin)
        try:
            cursor.execute(SETTINGS)
            yield cursor
        finally:
            if not connection.closed:
                cursor.execute(end)
                if was_idle and not is_autocommit:
                    connection.rollback()


def _is_idle(connection: extensions.connection) -> bool:
    return connection.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE


def _lines(subject: str, fact: str | None, is_text: bool) -> Iterator[str]:
    if fact is None:
        yield _escaped(subject)
        return
    for line in fact.rstrip("\n").split("\n") if is_text else [fact]:
        yield _escaped(f"{subject}: {line}" if line else f"{subject}:")


def _escaped(line: str) -> str:
    r"""One line that stands for this text and for no other: a newline is \n, and \n itself \\n."""
    if line.isprintable() and "\\" not in line and not line.endswith(" "):
        return line  # which is quick to see, and nearly always so
    return UNPRINTABLE.sub(lambda m: ESCAPES.get(m[0]) or f"\\u{ord(m[0]):04x}", line)


# PostgreSQL 15 qualifies the columns of a view over one relation (`SELECT t.a FROM s.t`), 16 and
# later do not. In a query within the query all versions do.

TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<open>\((?P<query>\s*(?:SELECT|WITH|VALUES)\b)?)|(?P<close>\))"""
)
COMPOUND = re.compile(r"\b(?:UNION|INTERSECT|EXCEPT)\b")
FROM = re.compile(
    r"\n +FROM (?P<item>.*?)"
    r"(?= TABLESAMPLE |\n +(?:WHERE|GROUP BY|HAVING|WINDOW|ORDER BY|OFFSET|LIMIT|FETCH|FOR) |;$)",
    re.DOTALL,
)
SEVERAL = re.compile(r",| JOIN ")
ALIAS = re.compile(r"""(\w+|"(?:[^"]|"")*")(?:\([^()]*\))?$""")


def _worded_as_later(subject: str, fact: str | None, is_text: bool) -> tuple[str, str | None, bool]:
    if fact and subject.startswith(("view ", "materialized view ")):
        return subject, _unqualified(fact), is_text
    return subject, fact, is_text


def _unqualified(view: str) -> str:
    """A view's query as 16 words it: unqualified, if the outer query reads one relation only."""
    outer, flat = _masked(view)
    source = FROM.search(flat)
    if source is None or COMPOUND.search(flat) or SEVERAL.search(source["item"]):
        return view
    alias = ALIAS.search(view, source.start("item"), source.end("item"))
    if alias is None:
        return view
    kept, end = [], 0
    for match in re.finditer(rf"""(?<![\w".]){re.escape(alias[1])}\.(?=["\w])(?!\w+\()""", view):
        in_source = source.start() <= match.start() < source.end()
        if outer[match.start()] != "\0" and not in_source:
            kept.append(view[end : match.start()])
            end = match.end()
    return "".join([*kept, view[end:]])


def _masked(text: str) -> tuple[str, str]:
    """The text without strings and inner queries; and without quoted names and parentheses too.

    What is left out is NULs, so that places in one text are places in the others.
    """
    outer, flat = list(text), list(text)
    parentheses: list[bool] = []  # those open here: is it a query?
    end = 0
    for token in TOKEN.finditer(text):
        for masked, is_masked in ((outer, any(parentheses)), (flat, bool(parentheses))):
            if is_masked:
                masked[end : token.end()] = "\0" * (token.end() - end)
        if token["open"]:
            parentheses.append(bool(token["query"]))
        elif token["close"]:
            parentheses.pop()
        else:
            for masked in (flat, outer) if token[0].startswith("'") else (flat,):
                masked[token.start() : token.end()] = "\0" * len(token[0])
        end = token.end()
    return "".join(outer), "".join(flat)
