"""The migration files: found and ordered by yoyo, read as psql reads them, named and numbered.

    python -c "import pathlib, pgproof.migrations as m; print(m.read([pathlib.Path('sql')]))"

Nothing here talks to a database.
"""

import difflib
import glob
import hashlib
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yoyo
from yoyo.exceptions import BadMigration, MigrationConflict
from yoyo.migrations import Migration, topological_sort
from yoyo.topologicalsort import CycleError

from pgproof import statements
from pgproof.errors import UserError

ROLLBACK_SUFFIX = ".rollback.sql"
_NUMBERED = re.compile(r"(\d+)_\w+\Z", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]{,99}\Z")

# What a header promises.
_WORD = re.compile(r"([A-Z][a-z]*|depends|transactional): *(.*)")
_RELATION = r'(?:[\w$]+|"(?:[^"]|"")+")\.(?:[\w$]+|"(?:[^"]|"")+")'
_COLUMN = rf'{_RELATION}(?:\.(?:[\w$]+|"(?:[^"]|"")+"))?'
_GRADE = re.compile(rf"(lossless|irreversible|lossy)\b(?:: *({_COLUMN}(?:, *{_COLUMN})*))?")
_LOCK = re.compile(
    rf"({_RELATION}(?:(?:,| and|, and) {_RELATION})*) "
    r"((?:ACCESS|ROW) (?:SHARE|EXCLUSIVE)|SHARE(?: UPDATE| ROW) EXCLUSIVE|SHARE|EXCLUSIVE)\b"
)
_VALUE = re.compile(_COLUMN)
_REL = re.compile(_RELATION)
_REWRITE = re.compile(rf"\brewrites ({_RELATION})")

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

    Returns a prepared `yoyo.migrations.MigrationList` (see `prepare`).
    Raises UserError for a folder that is missing or holds no migration, and for a file that
    cannot be read.
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
    except MigrationConflict as error:
        raise UserError(f"two migrations are called {error}\nRename one of them.") from None
    except UnicodeEncodeError as error:
        raise UserError(f"the name {error.object} is not UTF-8\nRename that file.") from None
    if not found and not found.post_apply:
        raise UserError(
            f"no migration in {', '.join(map(str, folders))}\nMake the first one: migrate new NAME",
            exit_code=2,
        )
    prepare(found, {migration.id: migration for migration in found})
    return ordered(found)


def ordered(found: Any) -> Any:
    """Return the same list in yoyo's order: by name, then by `depends`; UserError for a cycle."""
    return found.replace(_sorted(found))


def _sorted(found: Sequence[Any]) -> list[Any]:
    try:
        return list(topological_sort(found))
    except CycleError as error:
        raise UserError(
            f"these depend on one another: {', '.join(m.id for m in error.args[1])}\n"
            "Mend their `-- depends:` lines."
        ) from None


def all_beside(found: Sequence[Any]) -> list[Any]:
    """Return every migration of the folders that `found` is from, or depends on, in order.

    yoyo's own commands hand on a selection; what is missing or edited shows in the whole alone.
    """
    folders = list(dict.fromkeys(migration.source_dir for migration in found))
    names = {
        name.removesuffix(".sql")
        for folder in folders
        for name in os.listdir(folder)  # noqa: PTH208 - of a thousand files, Paths take longer
        if name.endswith(".sql")
    }
    prepare(found)
    elsewhere = [
        needed.source_dir
        for migration in found
        for needed in migration.depends
        if needed.id not in names
    ]
    if elsewhere and not set(elsewhere) <= set(folders):
        return list(read([Path(folder) for folder in dict.fromkeys([*elsewhere, *folders])]))
    if names >= {m.id for m in found} and len(found) == sum(
        not name.endswith(".rollback") and not name.startswith("post-apply") for name in names
    ):
        return _sorted(found)
    return list(read([Path(folder) for folder in folders]))


def prepare(found: Sequence[Any], known: Mapping[str, Any] | None = None) -> None:
    """Fill in what yoyo would read from each .sql file, read as psql reads it.

    A prepared migration has `forward` and `rollback`, lists of Statement, and `checksums` of both
    halves ("none" where there is no file). `known` are the migrations that `depends` may name, by
    id; by default all that yoyo has met in this process. Raises UserError.
    """
    if known is None:
        known = Migration._Migration__all_migrations
    for migration in (*found, *getattr(found, "post_apply", ())):
        if not migration.is_raw_sql():
            _load(migration)
        elif not hasattr(migration, "forward"):
            _prepare(migration, known)


def _load(migration: Any) -> None:
    """Load a migration that is a Python program; UserError, where yoyo logs a traceback."""
    yoyos = logging.getLogger("yoyo.migrations")
    yoyos.disabled = True
    try:
        migration.load()
    except (BadMigration, UnicodeError) as error:
        why = error.args[-1] if isinstance(error, BadMigration) else error
        told = (
            f"{type(why).__name__}: {why}"
            if isinstance(why, Exception)
            else "its __depends__ names a migration that is not there"
        )
        raise UserError(
            f"{shown(migration.path)} cannot be loaded: {told}\nMend that program."
        ) from None
    finally:
        yoyos.disabled = False


def _prepare(migration: Any, known: Mapping[str, Any]) -> None:
    # Plain strings for paths: of a thousand files, Path takes longer than the reading.
    path, back = migration.path, rollback_path(migration)
    with open(path, "rb") as file:  # noqa: PTH123
        text = statements.decode(file.read(), path)
    try:
        with open(back, "rb") as file:  # noqa: PTH123
            undo = statements.decode(file.read(), back)
    except FileNotFoundError:
        undo = None
    told = statements.directives(text)
    mode = told.get("transactional", "true").strip().lower()
    if mode not in ("true", "false"):
        raise UserError(f"{shown(path)}: `-- transactional: {mode}`\nIt must say true or false.")
    needed = told.get("depends", "").split()
    if lacking := [name for name in needed if name not in known]:
        raise UserError(
            f"{shown(path)}: `-- depends:` names {lacking[0]}, and there is no such migration\n"
            f"{_nearest(lacking[0], list(known))}"
        )
    migration._depends = {known[name] for name in needed}
    migration.use_transactions = mode == "true"
    migration.source = text
    migration.module = ModuleType(migration.path)
    migration.module.__doc__ = "\n".join(statements.header(text))
    migration.steps = []  # yoyo takes it for loaded; its own steps are never run
    migration.forward = statements.split(text)
    migration.rollback = statements.split(undo or "")
    migration.checksums = {"forward": _checksum(text), "rollback": _checksum(undo)}


def _checksum(text: str | None) -> str:
    """Return the SHA-256 of a file as psql reads it: a BOM and CRLF make no difference."""
    return "none" if text is None else hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Promise:
    """What a migration's header promises: see `promise`; None and empty where it says nothing.

    `lossy` are the `schema.table.column` (or `schema.table`) whose values may go, `locks` the mode
    by relation, `rewrites` the relations that are written anew.
    """

    grade: str | None = None
    lossy: frozenset[str] = frozenset()
    locks: Mapping[str, str] | None = None
    rewrites: frozenset[str] = frozenset()


def promise(migration: Any) -> Promise:
    """Return what the `Rollback:` and `Locks:` lines of a migration's header promise.

    `Rollback:` begins with `lossless`, `irreversible` or `lossy: schema.table.column, ...`;
    `Locks:` names `schema.table LOCK MODE` of relations that were there before (several may share
    a mode: `s.one, s.two and s.three SHARE`), and `rewrites schema.table`; or says `none`.
    """
    said = told(migration)
    rollback, locks = said.get("Rollback", ""), said.get("Locks")
    graded = _GRADE.match(rollback)
    modes = None
    if locks is not None:
        modes = {
            name: match[2] for match in _LOCK.finditer(locks) for name in _REL.findall(match[1])
        }
    return Promise(
        graded[1] if graded else None,
        frozenset(_VALUE.findall(graded[2])) if graded and graded[2] else frozenset(),
        modes,
        frozenset(_REWRITE.findall(locks or "")),
    )


def told(migration: Any) -> dict[str, str]:
    """Return the text after each `Word:` of a migration's header, lines joined, up to the next one.

    Under the empty word stands the sentence with which it begins.
    """
    found: dict[str, str] = {}
    word: str | None = ""
    for line in statements.header(getattr(migration, "source", "") or ""):
        if match := _WORD.match(line):
            word = match[1]
            found[word] = match[2]
        elif not line:
            word = None
        elif word is not None:
            found[word] = f"{found.get(word, '')} {line}".strip()
    return found


def hash_of(migration_id: str) -> str:
    """Return yoyo's key of a migration: the SHA-256 of its name."""
    return hashlib.sha256(migration_id.encode()).hexdigest()


def rollback_path(migration: Any) -> str:
    """Return where yoyo looks for the rollback half of a migration."""
    return f"{migration.path.removesuffix('.sql')}{ROLLBACK_SUFFIX}"


def path_of(migration: Any, operation: str) -> str:
    """Return the file that an operation runs: the rollback half, or the forward one."""
    path: str = migration.path
    return rollback_path(migration) if operation == "rollback" else path


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
    raise UserError(f"no migration {wanted!r}\n{_nearest(wanted, ids)}", exit_code=2)


def _nearest(wanted: str, ids: Sequence[str]) -> str:
    near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.3) or list(ids[-3:])
    return f"The nearest: {', '.join(near) or 'there is none'}"


def new(folder: Path, name: str) -> tuple[Path, Path]:
    """Write the two files of a new migration with the next number, and return their paths.

    Raises UserError for a name that is not a few lower_case_words; of an OSError nothing is left.
    """
    name = name.strip().lower().replace(" ", "_").replace("-", "_")
    if not _NAME.match(name):
        raise UserError(
            f"{name!r} cannot name a migration\n"
            "Use a few lower-case words: migrate new add_document_status",
            exit_code=2,
        )
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted(
        path.stem
        for path in folder.iterdir()
        if path.suffix in (".sql", ".py")
        and not path.name.endswith(ROLLBACK_SUFFIX)
        and not path.name.startswith(("post-apply", "_"))
    )
    numbers = [int(match[0]) for i in ids if (match := re.match(r"\d+", i, re.ASCII))]
    migration_id = f"{max(numbers, default=0) + 1:04d}_{name}"
    before = [i for i in ids if " " not in i]  # `depends` is split there
    depends = f"-- depends: {before[-1]}\n" if before else ""
    forward = folder / f"{migration_id}.sql"
    rollback = folder / f"{migration_id}{ROLLBACK_SUFFIX}"
    made = list[Path]()
    try:
        for path, text in (
            (forward, _FORWARD_TEMPLATE.format(depends=depends)),
            (rollback, _ROLLBACK_TEMPLATE.format(name=migration_id)),
        ):
            with path.open("x", encoding="utf-8") as file:  # what is there is somebody's work
                made.append(path)
                file.write(text)
    except OSError:
        for path in made:
            path.unlink()
        raise
    return forward, rollback


def shown(path: str | Path) -> str:
    """Return a path as a person would name it: from the current folder, where it lies below."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
