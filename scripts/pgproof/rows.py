"""What the tables of a database hold, to compare with later: every row, and where sequences stand.

    before = rows.read(connection)
    …
    print(rows.lost(before, rows.read(connection)))

The order of rows and of columns makes no difference. Of each value only a digest is kept.
"""

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
            SELECT array_agg(quote_ident(attname) ORDER BY attname) FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
        ), '{}'),
        coalesce((
            SELECT array_agg(quote_ident(attname) ORDER BY attname)
            FROM pg_attribute a JOIN pg_index i
                ON i.indrelid = a.attrelid AND i.indisprimary AND attnum = ANY (indkey)
            WHERE a.attrelid = c.oid
        ), '{}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^pg_'
        AND nspname <> 'information_schema' AND relname <> ALL (%(history)s)
    ORDER BY 1
"""

_SEQUENCES = """
    SELECT format('%I.%I', n.nspname, c.relname), seqincrement,
        CASE WHEN attname IS NOT NULL
            THEN format('%I.%I.%I', m.nspname, t.relname, attname) END
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN (
        pg_depend JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
        JOIN pg_class t ON t.oid = refobjid JOIN pg_namespace m ON m.oid = t.relnamespace
    ) ON classid = 'pg_class'::regclass AND objid = seqrelid
        AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    WHERE n.nspname !~ '^pg_' ORDER BY 1
"""

# The server's own hash of a text, the one that hash partitions rest on: the same in every version.
_DIGEST = """
    SELECT count(*), coalesce(sum(hashtextextended(ARRAY[{columns}]::text[]::text, 0)), 0)::text
    FROM {only}{name}
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
class Sequence:
    """The next value of a sequence, and the `schema.table.column` that it belongs to, if any.

    The value of one that counts down is negated, so that a later state has the higher one.
    """

    place: int
    column: str | None


@dataclass(frozen=True)
class Contents:
    """What a database holds: tables and sequences by their names."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)

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
        # As texts: to_jsonb() would make one of what json, the bounds of arrays and -0 tell apart.
        selects = [
            f"SELECT {number}, ARRAY[{', '.join(f'{c}::text' for c in columns)}]::text[] "
            f"FROM {only}{name}"
            for number, (name, only, may_have_rows, columns, _) in enumerate(found)
            if may_have_rows
        ]
        for start in range(0, len(selects), AT_ONCE):
            cursor.execute(" UNION ALL ".join(selects[start : start + AT_ONCE]))
            for number, texts in cursor:
                row = list(zip(found[number][3], texts, strict=True))
                counted[number][tuple((column, hash(text)) for column, text in row)] += 1
                filled[number].update(column for column, text in row if text is not None)
        sequences = _sequences(cursor)
    tables = {
        name: Table(frozenset(columns), tuple(key), counted[number], frozenset(filled[number]))
        for number, (name, _, _, columns, key) in enumerate(found)
    }
    return Contents(tables, sequences)


def digests(connection: extensions.connection) -> dict[str, tuple[int, str]]:
    """Return of every table the number of its rows, and a digest of them all.

    Worked out by the server in one pass over each table, so that it serves tables of any size,
    and two servers are compared by it. In a transaction of the caller's it sees what that sees.
    Raises psycopg2.Error as `read` does.
    """
    from pgproof.history import TABLES

    found = {}
    with catalog.settled(connection) as cursor:
        cursor.execute("SET LOCAL row_security = off")
        cursor.execute(_TABLES.replace("%I", "%%I"), {"history": list(TABLES)})
        for name, only, _, columns, _ in cursor.fetchall():
            texts = ", ".join(f"{column}::text" for column in columns)
            cursor.execute(_DIGEST.format(columns=texts, only=only, name=name))
            ((number, digest),) = cursor.fetchall()
            found[name] = (number, digest)
    return found


def _sequences(cursor: extensions.cursor) -> dict[str, Sequence]:
    cursor.execute(_SEQUENCES)
    found = cursor.fetchall()
    standing: dict[str, Sequence] = {}
    for start in range(0, len(found), AT_ONCE):
        some = found[start : start + AT_ONCE]
        cursor.execute(
            " UNION ALL ".join(f"SELECT last_value, is_called FROM {name}" for name, *_ in some)
        )
        for (name, step, column), (last, called) in zip(some, cursor.fetchall(), strict=True):
            following = last + step if called else last
            standing[name] = Sequence(following if step > 0 else -following, column)
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


def missing(before: Contents, after: Contents, made: Contents) -> list[Loss]:
    """Return the rows that are gone, whatever their values: by their keys, else by their number.

    Those of `made` may go: the migration made them by itself, and takes them with it.
    """
    found: list[Loss] = []
    for name, table in before.tables.items():
        if name not in after.tables:
            continue
        other, own = after.tables[name], made.tables[name].rows
        gone = table.rows.total() - own.total() - other.rows.total()
        if table.key and table.key == other.key:
            kept = _only(own, table.key) + _only(other.rows, table.key)
            gone = (_only(table.rows, table.key) - kept).total()
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
        # What the migration makes once more has a key of its own.
        key = table.key if made is not None else ()
        if doubled := _doubled(table, after.tables[name], key):
            found.append(Loss(f"{name}: {_rows(doubled)} twice", frozenset()))
    for name, had in before.sequences.items():
        if name in after.sequences and (now := after.sequences[name]).place < had.place:
            told = f"{name}: the sequence went back from {had.place} to {now.place}"
            found.append(Loss(told, frozenset([now.column] if now.column else [])))
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
    # What stands under the same key is the same row, with another value.
    key = [column for column in before.key if column in common] or _steady(had, has, common)
    others: dict[Row, list[Row]] = {}
    for row in new.elements() if key else ():
        others.setdefault(_values(row, key), []).append(row)
    changed: Counter[str] = Counter()
    missing = 0
    for row in gone.elements():
        values = _values(row, key)
        looked_at = [pair for pair in row if (name, values, pair[0]) not in but]
        if others.get(values):
            other = dict(others[values].pop())
            changed.update(c for c, v in looked_at if other[c] != v)
        elif looked_at:
            missing += 1
    if missing:
        yield Loss(f"{name}: {_rows(missing)}", _all(name, before))
    for column, number in sorted(changed.items()):
        value = "value" if number == 1 else "values"
        yield Loss(f"{name}.{column}: {number} {value}", frozenset([f"{name}.{column}"]))


def _steady(had: Counter[Row], has: Counter[Row], columns: Collection[str]) -> list[str]:
    """Return the columns of which no value is gone: where there is no key, they tell the rows."""
    return [column for column in columns if _only(had, [column]) <= _only(has, [column])]


def _doubled(before: Table, after: Table, key: Collection[str]) -> int:
    """Return how many rows more there are that are, but for their key, as others that were."""
    bare = (before.columns & after.columns) - frozenset(key)
    had, has = _only(before.rows, bare), _only(after.rows, bare)
    more = sum(n - had[row] for row, n in has.items() if bare and 0 < had[row] < n)
    return max(0, min(more, has.total() - had.total()))


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
