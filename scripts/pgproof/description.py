"""The schema of a database as objects: its tables, what belongs to them, functions and types.

    print(description.read(connection, parked=None).tables)

It is made from the facts of `catalog`, which are worded alike by every version of PostgreSQL, and
from the comments among them; no other query is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from psycopg2 import extensions

from pgproof import catalog

_WORD = r'(?:[\w$]+|"(?:[^"]|"")+")'
_NAME = rf"{_WORD}\.{_WORD}"
_KINDS = "foreign table|materialized view|table|view"
_TABLE = re.compile(rf"({_KINDS}) ({_NAME})")
_COLUMN = re.compile(rf"column ({_NAME})\.({_WORD})")
_PART = re.compile(rf"(constraint|trigger|policy) ({_NAME}) ({_WORD})")
_INDEX = re.compile(rf"index {_WORD}\.({_WORD}) on ({_NAME})")
_FUNCTION = re.compile(r"(function|procedure|aggregate) (.+\))")
_TYPE = re.compile(rf"(type|domain) ({_NAME})")
_GRANT = re.compile(
    rf"privilege (?P<kind>{_KINDS}|column|function|procedure|aggregate|schema) (?P<object>.+?)"
    r" (?P<no>not )?to (?P<role>[^()]+?)(?P<option> with grant option)?(?: by .+)?"
)
_VALUE = re.compile(
    r"(?P<type>.+?)(?P<required> not null)?(?: default (?P<default>.+?))?"
    r"(?P<made> generated always as .+?| identity .+?)?(?: inherited)?"
)
_COLUMNS = re.compile(r"\(((?:[^()\"]|\"[^\"]*\")+)\)")
_REFERENCE = re.compile(
    rf"FOREIGN KEY \((?P<own>[^)]*)\) "
    rf"REFERENCES (?P<table>{_NAME})\((?P<theirs>[^)]*)\)(?P<rest>.*)"
)
_BODY = re.compile(r"\n(?:AS |BEGIN ATOMIC|RETURN ).*", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column: `default` is its default, or how its values are made."""

    name: str
    type: str
    is_null: bool
    default: str = ""
    comment: str = ""


@dataclass(frozen=True)
class Part:
    """What belongs to a table and has a name: a constraint, an index, a trigger, a policy."""

    name: str
    definition: str
    comment: str = ""

    @property
    def kind(self) -> str:
        """What of a constraint it is: PRIMARY KEY, UNIQUE, FOREIGN KEY, CHECK, EXCLUDE."""
        found = re.match(r"(?:PRIMARY|FOREIGN) KEY|[A-Z]+", self.definition)
        return found[0] if found else ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a key."""
        found = _COLUMNS.search(self.definition)
        return tuple(found[1].split(", ")) if found else ()


@dataclass(frozen=True)
class Reference:
    """A foreign key: the `columns` of `table` that refer to the columns `theirs` of `other`."""

    name: str
    table: str
    columns: tuple[str, ...]
    other: str
    theirs: tuple[str, ...]
    rest: str
    is_null: bool
    is_unique: bool

    @property
    def told(self) -> str:
        """The columns that say which row is meant: not those of the same name on both sides."""
        pairs = zip(self.columns, self.theirs, strict=True)
        return ", ".join(own for own, their in pairs if own != their) or ", ".join(self.columns)


@dataclass(frozen=True)
class Grant:
    """What a role may do with an object, or (`is_revoked`) may not, though it usually might."""

    role: str
    privileges: str
    columns: tuple[str, ...] = ()
    with_option: bool = False
    is_revoked: bool = False


@dataclass
class Table:
    """A table or view: `facts` is what else is told of it, such as how it is partitioned."""

    name: str
    kind: str
    comment: str = ""
    owner: str = ""
    definition: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    constraints: list[Part] = field(default_factory=list)
    indexes: list[Part] = field(default_factory=list)
    triggers: list[Part] = field(default_factory=list)
    policies: list[Part] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    partitions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key; none where there is none."""
        return next((p.columns for p in self.constraints if p.kind == "PRIMARY KEY"), ())

    @property
    def references(self) -> Iterator[Reference]:
        """Its foreign keys."""
        keys = [set(p.columns) for p in self.constraints if p.kind in ("PRIMARY KEY", "UNIQUE")]
        null = {column.name for column in self.columns if column.is_null}
        for part in self.constraints:
            if match := _REFERENCE.match(part.definition):
                own, theirs = (tuple(match[name].split(", ")) for name in ("own", "theirs"))
                yield Reference(
                    part.name,
                    self.name,
                    own,
                    match["table"],
                    theirs,
                    match["rest"].strip(),
                    bool(null & set(own)),
                    set(own) in keys,
                )


@dataclass(frozen=True)
class Function:
    """A function, procedure or aggregate: `head` is its definition up to its body."""

    name: str
    kind: str
    head: str
    comment: str
    owner: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class Schema:
    """All of it: `schemas` are the names of the schemas and their comments, `types` Parts."""

    schemas: Mapping[str, str]
    tables: tuple[Table, ...]
    functions: tuple[Function, ...]
    types: tuple[Part, ...]
    schema_grants: Mapping[str, tuple[Grant, ...]]

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every foreign key between its tables, by table and name."""
        return tuple(found for table in self.tables for found in table.references)

    def short(self, name: str) -> str:
        """An object's name without its schema, where there is only one."""
        return name.partition(".")[2] if len(self.schemas) == 1 else name


def read(connection: extensions.connection, *, parked: str | None = None) -> Schema:
    """Describe the connection's database, but for the schema `parked` and yoyo's history.

    Raises psycopg2.Error as `catalog.read` does.
    """
    return described(catalog.facts(connection, parked=parked))


def described(facts: Iterable[tuple[str, str | None, bool]]) -> Schema:
    """Return what `catalog.facts` tells, by object."""
    told = {subject: fact or "" for subject, fact, _ in facts}
    tables = {
        match[2]: Table(match[2], match[1])
        for subject in told
        if (match := _TABLE.fullmatch(subject))
    }
    for table in tables.values():
        _fill(table, told)
    _add_parts(tables, told)
    grants = _grants(told)
    for table in tables.values():
        table.grants = grants.get(table.name, [])
    _fold_partitions(tables, told)
    schemas = {name.partition(".")[0]: "" for name in tables}
    schemas |= {m[1]: "" for s in told if (m := re.fullmatch(rf"schema ({_WORD})", s))}
    if not any(name.startswith("public.") for name in tables):
        schemas.pop("public", None)  # it is in every database
    return Schema(
        {name: told.get(f"comment on schema {name}", "") for name in sorted(schemas)},
        tuple(tables.values()),
        tuple(_functions(told, grants)),
        tuple(
            Part(m[2], fact, told.get(f"comment on {subject}", ""))
            for subject, fact in told.items()
            if (m := _TYPE.fullmatch(subject))
        ),
        {name: tuple(grants.get(f"schema {name}", ())) for name in schemas},
    )


def _fill(table: Table, told: Mapping[str, str]) -> None:
    subject = f"{table.kind} {table.name}"
    table.comment = told.get(f"comment on {subject}", "")
    table.owner = told.get(f"{subject} owner", "")
    table.definition = told[subject]
    table.facts = {
        name: told[f"{subject} {name}"]
        for name in ("partitioned by", "row security", "row security of the owner", "persistence")
        if f"{subject} {name}" in told
    }
    columns = {}
    for subject, fact in told.items():
        match = _COLUMN.fullmatch(subject)
        value = _VALUE.fullmatch(fact) if match and match[1] == table.name else None
        if match and value:
            columns[match[2]] = Column(
                match[2],
                value["type"],
                not value["required"],
                (value["default"] or value["made"] or "").strip(),
                told.get(f"comment on {subject}", ""),
            )
    order = told.get(f"column order {table.name}", "").split(", ")
    table.columns = [columns.pop(name) for name in order if name in columns]
    table.columns += columns.values()


def _add_parts(tables: Mapping[str, Table], told: Mapping[str, str]) -> None:
    for subject, fact in told.items():
        comment = told.get(f"comment on {subject}", "")
        if (match := _PART.fullmatch(subject)) and match[2] in tables:
            table = tables[match[2]]
            lists = {"constraint": table.constraints, "trigger": table.triggers}
            lists.get(match[1], table.policies).append(Part(match[3], fact, comment))
        elif (match := _INDEX.fullmatch(subject)) and match[2] in tables:
            tables[match[2]].indexes.append(Part(match[1], fact, comment))


def _fold_partitions(tables: dict[str, Table], told: Mapping[str, str]) -> None:
    """Tell of a partition with its parent, not as a table of its own."""
    for name in list(tables):
        parent = told.get(f"table {name} partition of")
        if parent in tables:
            del tables[name]
            tables[parent].partitions.append((name, told.get(f"table {name} bound", "")))


def _grants(told: Mapping[str, str]) -> dict[str, list[Grant]]:
    """Return what is granted, by the name of the object (of a function with its arguments)."""
    found: dict[str, list[Grant]] = {}
    for subject, privileges in told.items():
        match = _GRANT.fullmatch(subject)
        if match is None:
            continue
        name, columns = match["object"], tuple[str, ...]()
        if match["kind"] == "column":
            name, _, column = name.rpartition(".")
            columns = (column,)
        elif match["kind"] == "schema":
            name = f"schema {name}"
        grant = Grant(match["role"], privileges, columns, bool(match["option"]), bool(match["no"]))
        others = found.setdefault(name, [])
        for place, other in enumerate(others):
            if columns and replace(other, columns=columns) == grant:
                others[place] = replace(grant, columns=other.columns + columns)
                break
        else:
            others.append(grant)
    return found


def _functions(
    told: Mapping[str, str], grants: Mapping[str, Sequence[Grant]]
) -> Iterator[Function]:
    for subject, fact in told.items():
        if match := _FUNCTION.fullmatch(subject):
            yield Function(
                match[2],
                match[1],
                _BODY.sub("", fact),
                told.get(f"comment on {subject}", ""),
                told.get(f"{subject} owner", ""),
                tuple(grants.get(match[2], ())),
            )
