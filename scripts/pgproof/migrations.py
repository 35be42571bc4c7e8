"""The migration files: found, ordered by yoyo, named, numbered, and located line by line.

    python -c "from pgproof import migrations; print(migrations.read(['sql']))"

Nothing here talks to a database.
"""

import difflib
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlparse
import yoyo
from yoyo.exceptions import BadMigration, MigrationConflict
from yoyo.migrations import topological_sort

from pgproof.errors import UserError

ROLLBACK_SUFFIX = ".rollback.sql"
_NUMBERED = re.compile(r"(\d+)_\w+\Z", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

_FORWARD_TEMPLATE = """\
-- <What the schema can hold or do after this, in one sentence.>
--
-- Why: <the need, or the obvious way and why it was not taken>
-- Locks: <schema.table LOCK MODE, and why it is short; or: none>
-- Rollback: <lossless, and what happens to the rows>
{depends}
SET LOCAL lock_timeout = '200ms';
"""

_ROLLBACK_TEMPLATE = """\
-- Undoes {name}: the schema as it was before, every row kept.

SET LOCAL lock_timeout = '200ms';
"""


def read(folders: Sequence[Path]) -> Any:
    """Read every migration of `folders`, in the order in which yoyo applies them.

    Returns a loaded `yoyo.migrations.MigrationList`.
    Raises UserError for a folder that is missing or holds no migration, and for a file that
    yoyo cannot read.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"no migration folder {folder}\n"
                "Name the right one with --sql, or as sources in yoyo.ini.",
                exit_code=2,
            )
    try:
        # yoyo takes a source for a glob pattern.
        found = yoyo.read_migrations(*(glob.escape(str(folder)) for folder in folders))
        for migration in found:
            _load(migration)
        ordered = found.replace(topological_sort(found))
    except (BadMigration, MigrationConflict) as error:
        raise UserError(f"{error}\nMend its name or its `-- depends:` line.") from None
    if not ordered:
        raise UserError(
            f"no migration in {', '.join(map(str, folders))}\nMake the first one: migrate new NAME",
            exit_code=2,
        )
    return ordered


def _load(migration: Any) -> None:
    try:
        migration.load()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{shown(migration.path)}: byte {error.start} is not {error.encoding}\n"
            "Save the file as UTF-8, and run with PYTHONUTF8=1."
        ) from None
    except KeyError as error:
        raise UserError(
            f"{shown(migration.path)}: `-- transactional:` says {error}\nIt must say true or false."
        ) from None


def rollback_path(migration: Any) -> Path:
    """Return where yoyo looks for the rollback half of a migration."""
    return Path(migration.path).with_suffix(ROLLBACK_SUFFIX)


def find(wanted: str, ids: Sequence[str]) -> str:
    """Return the one id of `ids` that `wanted` names: itself, or by its number (0003, or 3).

    Raises UserError that names the nearest ids.
    """
    if wanted in ids:
        return wanted
    if wanted.isdecimal():
        same = [i for i in ids if (m := _NUMBERED.match(i)) and int(m[1]) == int(wanted)]
        if len(same) == 1:
            return same[0]
    near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.3) or list(ids[-3:])
    raise UserError(
        f"no migration {wanted!r}\nThe nearest: {', '.join(near) or 'there is none'}",
        exit_code=2,
    )


def line_of(path: Path, statement: int, position: int | None) -> int:
    """Return the line (from 1) of a place in one statement of a migration file.

    `statement` counts from 0 as yoyo splits the file; `position` is the server's character
    position in it, from 1, or None for the statement's start.
    """
    text = path.read_text(encoding="utf-8")
    # yoyo drops the statements that are blank, and the header in front of the first one.
    pieces = [piece for piece in sqlparse.split(text) if piece.strip()]
    start = 0
    for piece in pieces[:statement]:
        start = text.index(piece, start) + len(piece)
    piece = pieces[statement]
    start = text.index(piece, start)
    # Of the first statement alone yoyo cuts off the comment lines before it is sent.
    if statement == 0 or position is None:
        header = re.match(r"(?:[^\S\n]*(?:--[^\n]*)?\n)*", piece)
        start += header.end() if header else 0
    return text.count("\n", 0, start + (position or 1) - 1) + 1


def new(folder: Path, name: str) -> tuple[Path, Path]:
    """Write the two files of a new migration with the next number, and return their paths.

    Raises UserError for a name that is not lower_case_words.
    """
    name = name.strip().lower().replace(" ", "_").replace("-", "_")
    if not _NAME.match(name):
        raise UserError(
            f"{name!r} cannot name a migration\n"
            "Use lower-case words: migrate new add_document_status",
            exit_code=2,
        )
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted(p.stem for p in folder.glob("*.sql") if not p.name.endswith(ROLLBACK_SUFFIX))
    numbers = [int(match[1]) for i in ids if (match := _NUMBERED.match(i))]
    migration_id = f"{max(numbers, default=0) + 1:04d}_{name}"
    depends = f"-- depends: {ids[-1]}\n" if ids else ""
    forward = folder / f"{migration_id}.sql"
    rollback = folder / f"{migration_id}{ROLLBACK_SUFFIX}"
    # "x": a file that is there already is somebody's work.
    with forward.open("x", encoding="utf-8") as file:
        file.write(_FORWARD_TEMPLATE.format(depends=depends))
    with rollback.open("x", encoding="utf-8") as file:
        file.write(_ROLLBACK_TEMPLATE.format(name=migration_id))
    return forward, rollback


def shown(path: str | Path) -> str:
    """Return a path as a person would name it: from the current folder, where it lies below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
