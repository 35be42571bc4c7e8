"""What the tables of a database hold, to compare with later: every row, and where sequences stand.

    before = rows.read(connection)
    …
    print(rows.lost(before, rows.read(connection)))

The order of rows and of columns makes no difference. Of each value only a digest is kept.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from psycopg2 import extensions

from pgproof import catalog

# A table that others inherit from holds its own rows alone; a partitioned one those of its parts.
_TABLES = """
    SELECT format('%I.%I', nspname, relname),
        CASE relkind WHEN 'r' THEN 'ONLY ' ELSE '' END,
        relkind = 'p' OR pg_relation_size(c.oid) > 0,
        coalesce((
            SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
        ), '{}'),
        coalesce((
            SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute a JOIN pg_index i
                ON i.indrelid = a.attrelid AND i.indisprimary AND attnum = ANY (indkey)
            WHERE a.attrelid = c.oid
        ), '{}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^pg_'
        AND nspname <> 'information_schema' AND relname <> ALL (%(history)s)
    ORDER BY 1
"""

_SEQUENCES = """
    SELECT format('%I.%I', nspname, relname), seqincrement
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^pg_' ORDER BY 1
"""

AT_ONCE = 200  # tables asked in one query

Row = tuple[tuple[str, int], ...]  # (column, digest of its value), by column
Touch = tuple[str, Row, str]  # a value: table, key, column


@dataclass(frozen=True)
class Table:
    """The rows of one table: `columns` and `key` (its primary key's, none without one), and rows.

    `filled` are the columns that are not null in some row.
    """

    columns: frozenset[str]
    key: tuple[str, ...]
    rows: Counter[Row]
    filled: frozenset[str]


@dataclass(frozen=True)
class Contents:
    """What a database holds: tables by their names, and the next value of each sequence.

    The value of a sequence that counts down is negated, so that a later state has the higher one.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)

    def in_schema(self, name: str | None, *, is_inside: bool = True) -> "Contents":
        """Return what is in one schema, or what is outside it."""
        prefix = f"{name}."
        return Contents(
            {n: t for n, t in self.tables.items() if n.startswith(prefix) == is_inside},
            {n: v for n, v in self.sequences.items() if n.startswith(prefix) == is_inside},
        )


def read(connection: extensions.connection) -> Contents:
    """Return the rows of every table, and the state of every sequence.

    Left out are the system's tables and yoyo's history. Writes nothing. Raises psycopg2.Error
    where the role may not read a table, or row security would hide rows.
    """
    from pgproof.history import TABLES

    with catalog.settled(connection) as cursor:
        cursor.execute("SET LOCAL row_security = off")
        cursor.execute(_TABLES.replace("%I", "%%I"), {"history": list(TABLES)})
        found = cursor.fetchall()
        counted = [Counter[Row]() for _ in found]
        filled = [set[str]() for _ in found]
        selects = [
            # Not a short name, for a column of the same one would be taken.
            f"SELECT {number}, to_jsonb(pgproof_row)::text FROM {only}{name} AS pgproof_row"
            for number, (name, only, may_have_rows, *_) in enumerate(found)
            if may_have_rows
        ]
        for start in range(0, len(selects), AT_ONCE):
            cursor.execute(" UNION ALL ".join(selects[start : start + AT_ONCE]))
            for number, text in cursor:
                row = json.loads(text, parse_float=str)
                counted[number][tuple(sorted((c, hash(repr(v))) for c, v in row.items()))] += 1
                filled[number].update(c for c, v in row.items() if v is not None)
        sequences = _sequences(cursor)
    tables = {
        name: Table(frozenset(columns), tuple(key), counted[number], frozenset(filled[number]))
        for number, (name, _, _, columns, key) in enumerate(found)
    }
    return Contents(tables, sequences)


def _sequences(cursor: extensions.cursor) -> dict[str, int]:
    cursor.execute(_SEQUENCES)
    found = cursor.fetchall()
    standing: dict[str, int] = {}
    for start in range(0, len(found), AT_ONCE):
        some = found[start : start + AT_ONCE]
        cursor.execute(
            " UNION ALL ".join(f"SELECT last_value, is_called FROM {name}" for name, _ in some)
        )
        for (name, step), (last, called) in zip(some, cursor.fetchall(), strict=True):
            following = last + step if called else last
            standing[name] = following if step > 0 else -following
    return standing


@dataclass(frozen=True)
class Loss:
    """What is not there any more, in words, and the values that are: `schema.table.column` each."""

    told: str
    columns: frozenset[str]


def added(before: Contents, after: Contents) -> Contents:
    """Return the rows that are in `after` alone: by their keys, else by their values."""
    found = {}
    for name, table in after.tables.items():
        new = table.rows
        if name in before.tables:
            common = set(table.key) or (table.columns & before.tables[name].columns)
            known = _only(before.tables[name].rows, common)
            new = Counter({row: n for row, n in new.items() if not known[_values(row, common)]})
        found[name] = replace(table, rows=new)
    return Contents(found)


def missing(before: Contents, after: Contents) -> list[Loss]:
    """Return the rows that are gone, whatever their values: by their keys, else by their number."""
    found: list[Loss] = []
    for name, table in before.tables.items():
        if name not in after.tables:
            continue
        other = after.tables[name]
        gone = table.rows.total() - other.rows.total()
        if table.key and table.key == other.key:
            gone = (_only(table.rows, table.key) - _only(other.rows, table.key)).total()
        if gone > 0:
            found.append(Loss(f"{name}: {_rows(gone)}", _all(name, table)))
    return found


def touched(before: Contents, after: Contents) -> frozenset[Touch]:
    """Return the values that differ under the same key, each as (table, key, column).

    Of a row that is gone, every column is named.
    """
    found: set[Touch] = set()
    for name, table in before.tables.items():
        key = frozenset(table.key)
        if not key or name not in after.tables:
            continue
        now = {_values(row, key): dict(row) for row in after.tables[name].rows}
        for row in table.rows - after.tables[name].rows:
            values = _values(row, key)
            other = now.get(values, {})
            found.update((name, values, c) for c, v in row if other.get(c) != v)
    return frozenset(found)


def lost(
    before: Contents,
    after: Contents,
    *,
    made: Contents | None = None,
    but: Collection[Touch] = frozenset(),
) -> list[Loss]:
    """Return what `before` had and `after` has not: rows, values, places of sequences.

    Rows that are in `after` alone are no loss, unless a table has two of what it had one of.
    Columns and tables that are not in both are compared by what is: the catalog tells of them.
    Rows of `made` the migration makes by itself (see `added`); of these it is enough that there are
    as many, for it makes them anew, at another time. Values of `but` (see `touched`) are passed
    over.
    """
    found: list[Loss] = []
    for name, table in before.tables.items():
        if name not in after.tables:
            if total := table.rows.total():
                found.append(Loss(f"{name}: the table, with {_rows(total)}", _all(name, table)))
            continue
        own = made.tables[name].rows if made is not None and name in made.tables else Counter()
        found += _of_table(name, table, after.tables[name], own, but)
    for name, place in before.sequences.items():
        if name in after.sequences and after.sequences[name] < place:
            told = f"{name}: the sequence went back from {place} to {after.sequences[name]}"
            found.append(Loss(told, frozenset()))
    return found


def _of_table(
    name: str, before: Table, after: Table, made: Counter[Row], but: Collection[Touch]
) -> Iterator[Loss]:
    common = before.columns & after.columns
    had, has = _only(before.rows, common), _only(after.rows, common)
    gone, new = had - has, has - had
    own = _only(made, common)
    remade = new.total()
    for row, number in (gone & own).items():
        excused = min(number, remade)
        gone[row], remade = gone[row] - excused, remade - excused
    if doubled := sum(
        n - had[row] for row, n in has.items() if 0 < had[row] < n and row not in own
    ):
        yield Loss(f"{name}: {_rows(doubled)} twice", frozenset())
    # What stands under the same key is the same row, with another value.
    key = [column for column in before.key if column in common]
    by_key = {_values(row, key): row for row in new} if key else {}
    changed: Counter[str] = Counter()
    missing = 0
    for row, number in (+gone).items():
        values = _values(row, key)
        looked_at = [pair for pair in row if (name, values, pair[0]) not in but]
        other = dict(by_key.get(values, ())) if key else {}
        if other:
            changed.update(c for c, v in looked_at if other[c] != v)
        elif looked_at:
            missing += number
    if missing:
        yield Loss(f"{name}: {_rows(missing)}", _all(name, before))
    for column, number in sorted(changed.items()):
        value = "value" if number == 1 else "values"
        yield Loss(f"{name}.{column}: {number} {value}", frozenset([f"{name}.{column}"]))


def _only(rows: Counter[Row], columns: Collection[str]) -> Counter[Row]:
    found: Counter[Row] = Counter()
    for row, number in rows.items():
        found[tuple(pair for pair in row if pair[0] in columns)] += number
    return found


def _values(row: Row, key: Collection[str]) -> Row:
    return tuple(pair for pair in row if pair[0] in key)


def _all(name: str, table: Table) -> frozenset[str]:
    return frozenset(f"{name}.{column}" for column in table.columns)


def _rows(number: int) -> str:
    return f"{number} row{'' if number == 1 else 's'}"
