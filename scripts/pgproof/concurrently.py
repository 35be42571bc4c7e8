"""CREATE and DROP INDEX CONCURRENTLY, made safe to run again after any interruption.

    concurrently.is_done(cursor, statement, resumed=True, edited=False)

They cannot be in a transaction. Cut off, they leave an INVALID index behind, over which a second
run with IF NOT EXISTS would record success. Here the leftover is dropped before the statement
runs again, and success is refused while an index that it built is invalid.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from pgproof.errors import UserError
from pgproof.statements import Statement

# On a statement's words: no comments, ASCII letters upper-cased, quoted names as they are.
# A quoted name needs no blank around it. What does not match to its end is not understood: U&"".
_QUOTED = r'"(?:[^"]|"")+"'
_PLAIN = r'[^\s."(;]+'
_QUALIFIED = rf"(?:{_QUOTED}|{_PLAIN})(?: ?\. ?(?:{_QUOTED}|{_PLAIN}))*"
_BUILDS = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY\b")
_CREATE = re.compile(
    rf'{_BUILDS.pattern} ?(?:IF NOT EXISTS(?=[ "]) ?)?'
    rf'(?P<name>{_QUOTED}|(?!ON[ "]){_PLAIN}(?= )) ?ON(?=[ "]) ?(?:ONLY(?=[ "]) ?)?'
    rf"(?P<table>{_QUALIFIED}) ?(?:\(|USING\b)"
)
_DROP = re.compile(
    rf'DROP INDEX CONCURRENTLY(?=[ "]) ?(?:IF EXISTS(?=[ "]) ?)?(?P<index>{_QUALIFIED})'
    r"(?: ?(?:CASCADE|RESTRICT))?\Z"
)

_FIND = """
    SELECT format('%%I.%%I', nspname, c.relname), indisvalid AND indisready,
        (SELECT min(pid) FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
    FROM pg_index i JOIN pg_class c ON c.oid = indexrelid
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE indrelid = to_regclass(%s) AND c.relname = %s
"""


@dataclass(frozen=True)
class Index:
    """An index that is there: its quoted name, whether it is valid, and who is building it."""

    name: str
    is_valid: bool
    builder: int | None


def is_concurrent(statement: Statement) -> bool:
    """Whether the statement waits for old transactions, so that no lock_timeout must strike it."""
    return "CONCURRENTLY" in re.findall(r"\w+", re.sub(_QUOTED, " ", statement.words))


@contextmanager
def unhurried(cursor: Any, statement: Statement) -> Iterator[None]:
    """Switch lock_timeout off while such a statement runs, unless its file has set its own."""
    is_ours = False
    if is_concurrent(statement):
        cursor.execute("SELECT setting = reset_val FROM pg_settings WHERE name = 'lock_timeout'")
        is_ours = cursor.fetchone() == (True,)
    if is_ours:
        cursor.execute("SET lock_timeout TO 0")
    try:
        yield
    finally:
        if is_ours and not cursor.connection.closed:
            cursor.execute("RESET lock_timeout")


def is_nameless(statement: Statement) -> bool:
    """Whether it builds an index without a name that a second run could know again."""
    return bool(_BUILDS.match(statement.words) and not _CREATE.match(statement.words))


def rebuilds(statement: Statement) -> bool:
    """Whether it is a REINDEX CONCURRENTLY, which leaves an INVALID index of another name."""
    return statement.words.startswith("REINDEX") and is_concurrent(statement)


def find(cursor: Any, statement: Statement) -> Index | None:
    """Return the index that a CREATE INDEX CONCURRENTLY names, if it is there."""
    match = _CREATE.match(statement.words)
    if not match:
        return None
    cursor.execute(_FIND, [match["table"], _folded(match["name"])])
    row = cursor.fetchone()
    return Index(*row) if row else None


def is_done(cursor: Any, statement: Statement, resumed: bool, edited: bool) -> bool:
    """Whether an interrupted run has done this already; drops an invalid index that it left.

    `resumed` says that a run of this migration began before. Without one, an index that is there
    is a surprise, and the server says so. `edited` says that the file was another one then: what
    it built need not be what the file now says, and UserError asks which is right.
    """
    if drop := _DROP.match(statement.words):
        cursor.execute("SELECT to_regclass(%s) IS NULL", [drop["index"]])
        return resumed and cursor.fetchone() == (True,)
    index = find(cursor, statement)
    if index is None or index.is_valid:
        if index is not None and edited:
            raise UserError(
                f"index {index.name} is there, from a run that was interrupted; its file was edited"
                " since\nIf the file no longer says what that index is, drop it (DROP INDEX "
                f"CONCURRENTLY {index.name}); else put the file back as it was. Then run again."
            )
        return index is not None and resumed
    if index.builder is not None:
        raise UserError(
            f"index {index.name} is being built by process {index.builder} of the server\n"
            "Wait until it is done, then run again."
        )
    with unhurried(cursor, statement):
        cursor.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.SQL(index.name)))
    return False


def assert_valid(cursor: Any, statement: Statement) -> None:
    """Raise UserError if the index that the statement should have built is not valid."""
    index = find(cursor, statement)
    if index is not None and not index.is_valid:
        raise UserError(
            f"index {index.name} is INVALID, so its migration is not recorded as done\n"
            "Run again: it is dropped and built anew."
        )


def _folded(name: str) -> str:
    """Return an identifier as the catalog has it: unquoted, its ASCII letters fold alone."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)
