"""The planted cases: migrations with one fault each, and sound ones, and how to prove one of them.

A case is one file: a sentence that says what is wrong, what is to be told, and its parts.

    -- Told: words that the report must hold, a line each; of a sound one there are none
    -- Proof: catalog, rollback, rows, as the table shows them; for a sound one, if not all is well

    ---- forward
    ---- rollback
    ---- rows

A part that is not there is a file that is not there. `base.sql` is what each starts from.
"""

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from database import ROOT
from pgproof import migrations
from pgproof.proof import Proof, prove
from pgproof.scratch import Databases

FOLDER = ROOT / "tests" / "planted"
PARKED = "parked"
_PART = re.compile(r"^---- (\w+)\n", re.MULTILINE)
_FILES = {"forward": "{}.sql", "rollback": "{}.rollback.sql", "rows": "rows/{}.sql"}


@dataclass(frozen=True)
class Case:
    """One planted migration: what its file says of it, and its parts by their names."""

    name: str
    told: tuple[str, ...]
    proof: tuple[str, ...]
    parts: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write its parts as the files of a folder of migrations."""
        (folder / "rows").mkdir(exist_ok=True)
        for part, text in self.parts.items():
            path = folder / _FILES[part].format(self.name)
            path.write_text(text, encoding="utf-8")


def case(path: Path) -> Case:
    """Read a case from its file."""
    head, *parts = _PART.split(path.read_text(encoding="utf-8"))
    (proof,) = re.findall(r"^-- Proof: (.*)", head, re.MULTILINE) or [""]
    return Case(
        path.stem,
        tuple(re.findall(r"^-- Told: (.*)", head, re.MULTILINE)),
        tuple(proof.split(", ")) if proof else (),
        dict(zip(parts[::2], parts[1::2], strict=True)),
    )


class Based(Databases):
    """Databases that hold base.sql from the start."""

    base = ""

    def create(self) -> str:
        """Return the name of a new database with the library in it."""
        if self.base:
            return self.copy(self.base)
        self.base = super().create()
        with closing(psycopg2.connect(**self.parameters(self.base))) as made, made.cursor() as run:
            run.execute((FOLDER / "base.sql").read_text(encoding="utf-8"))
            made.commit()
        return self.create()


def proved(made: Databases, folder: Path, parked: str | None = PARKED) -> list[Proof]:
    """Return the proof of each migration of a folder; its sample rows are in `rows`."""
    files = migrations.read([folder])
    return list(prove(made, files, samples=folder / "rows", parked=parked))
