"""The project that a command works in: its folder, its yoyo.ini, its folders of migrations.

    PGPROOF_PROJECT=/srv/docmeta migrate status

Found as yoyo finds it, upwards from the current folder, unless PGPROOF_PROJECT (which
scripts/migrate sets to its own checkout) says where.
"""

import configparser
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from yoyo.config import read_config

from pgproof.errors import UserError

SETTINGS = ("lock_timeout", "lock_retries", "wait")


@dataclass(frozen=True)
class Project:
    """A folder with migrations: its root, the folders that yoyo reads, and what yoyo.ini sets.

    `settings` are those of lock_timeout, lock_retries and wait that it gives, as text.
    """

    root: Path
    sources: tuple[Path, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def told(self) -> Mapping[str, str]:
        """What `[tool.pgproof]` of its pyproject.toml says; nothing where there is none.

        `parked` is the schema where rollbacks park rows, `rows` the folder of sample rows, `name`
        what heads its documents, `partitioned` the tables whose partitions come and go by
        themselves, `options` what the sessions of a proof start with. Raises UserError for a file
        that is no TOML, and for what is no text.
        """
        import tomllib

        path = self.root / "pyproject.toml"
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
        except FileNotFoundError:
            return {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: {error}\nMend the file.", exit_code=2) from None
        own = found.get("pgproof", {}) if isinstance(found, dict) else {}
        if not isinstance(own, dict) or not all(isinstance(text, str) for text in own.values()):
            raise UserError(
                f'{path}: what [tool.pgproof] says is no text\nWrite it in quotes: name = "word".',
                2,
            )
        return own

    @property
    def parked(self) -> str | None:
        """The schema where rollbacks park rows."""
        return self.told.get("parked")

    @property
    def partitioned(self) -> tuple[str, ...]:
        """The tables, as schema.table, whose partitions come and go by themselves."""
        return tuple(self.told.get("partitioned", "").split())

    @property
    def options(self) -> str:
        """What the sessions of a proof start with, as in PGOPTIONS."""
        return self.told.get("options", "")

    @property
    def rows(self) -> Path:
        """The folder of sample rows, one file a migration."""
        return self.root / self.told.get("rows", "tests/rows")

    @property
    def name(self) -> str:
        """What its documents are headed with: `name` of [tool.pgproof], else its folder's name."""
        return self.told.get("name", self.root.name)

    def database_name(self) -> str:
        """Return the name of the project's database on the embedded server: one per root."""
        word = re.sub(r"[^a-z0-9]+", "_", self.root.name.lower()).strip("_") or "project"
        return f"{word[:40]}_{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]}"


def find(sql: str | None) -> Project:
    """Return the project: of the folder `sql` if given, else of the nearest yoyo.ini.

    The settings are those of the latter in either case, as with yoyo itself.
    Raises UserError where there is neither, or yoyo.ini cannot be read.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder is gone\nChange to one that is there.", 2) from None
    start = Path(os.environ.get("PGPROOF_PROJECT") or here).resolve()
    inis = (folder / "yoyo.ini" for folder in (start, *start.parents))
    found = next((_read(ini) for ini in inis if ini.is_file()), None)
    if sql is not None:
        folder = Path(sql).resolve()
        return Project(folder.parent, (folder,), found.settings if found else {})
    if found is None:
        raise UserError(
            f"no yoyo.ini in {start} or above it\n"
            "Run this inside the project, or name the folder of migrations with --sql.",
            exit_code=2,
        )
    return found


def _read(ini: Path) -> Project:
    """Read a yoyo.ini; relative `sources` are taken from its folder."""
    try:
        told = read_config(str(ini))["DEFAULT"]
        value = told.get("sources", "sql")
        settings = {name: told[name] for name in SETTINGS if name in told}
    except (configparser.Error, FileNotFoundError, UnicodeDecodeError) as error:
        raise UserError(f"{ini}: {error}\nMend the file; yoyo reads it too.", 2) from None
    # yoyo splits at blanks, and so cannot be told of a folder with a blank in its path.
    whole = ini.parent / value.strip()
    sources = [whole] if whole.is_dir() else [ini.parent / word for word in value.split()]
    return Project(ini.parent, tuple(sources), settings)
