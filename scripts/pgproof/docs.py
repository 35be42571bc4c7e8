"""The documents that migrations make by themselves: written, or compared with those there.

    docs.write(Path("docs"), docs.make("shop", files, samples=Path("tests/rows"), parked=None))

They are made on scratch databases, never from a live one, and say the same on every version of
PostgreSQL: no time, no version, no size is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pgproof import description, diagram, migrations, proof, report_schema, runner, scratch
from pgproof.database import Database
from pgproof.proof import Proof
from pgproof.report_proof import escaped, locks

FOLDER = "docs"
HEAD = ("migration", "brings", "why", "locks", "rollback", "seen by the last proof")
NOTE = "Written by `migrate docs` from the headers of the files and a run of `migrate prove`."


def make(
    title: str,
    files: Sequence[Any],
    *,
    samples: Path,
    parked: str | None,
    options: str = "",
    show: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """Return the text of each document by its name; `show` is told what is being done.

    `samples` and `parked` are as for `proof.prove`, `options` as for `scratch.databases`. Raises
    UserError where a migration cannot be applied, or the extra `docs` is not installed.
    """
    diagram.require()
    with scratch.databases(options=options) as made:
        proofs = list(
            proof.prove(
                made, files, samples=samples, parked=parked, begun=lambda i: show(f"proving {i}")
            )
        )
        show("applying the migrations")
        target = Database(made.parameters(made.create()), "scratch")
        with runner.open_backend(target, proof.SETTINGS, {}) as backend:
            backend.notify = lambda _: None
            runner.up(backend, files, None, lambda _: None)
            schema = description.read(backend.connection, parked=parked)
        show("writing")
    return {
        "schema.md": report_schema.markdown(schema),
        "schema.svg": f"{diagram.svg(schema)}\n",
        "schema.html": report_schema.html(schema, title),
        "migrations.md": of_migrations(files, proofs),
    }


def of_migrations(files: Sequence[Any], proofs: Sequence[Proof]) -> str:
    """Return the page of the migrations: a row of each, from its header and its proof."""
    lines = ["# Migrations", "", NOTE, ""]
    lines += [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    for migration, found in zip(files, proofs, strict=True):
        said = migrations.told(migration)
        cells = [migration.id, *(said.get(word, "") for word in ("", "Why", "Locks", "Rollback"))]
        lines.append(
            f"| {' | '.join(escaped(cell) for cell in (*cells, _seen(migration, found)))} |"
        )
    return "\n".join(lines) + "\n"


def _seen(migration: Any, found: Proof) -> str:
    """Return what the proof saw, in words, but for what is another each time it is run."""
    if not found.applied:
        return "it cannot be applied"
    words = [
        "falls short" if found.falls_short else "holds",
        f"schema {found.catalog}, rows {found.rows} ({found.carried} carried)",
        f"locks: {locks(found)}",
    ]
    if migration.is_raw_sql():
        words.append(f"{len(migration.forward)} statements, {len(migration.rollback)} back")
    return "; ".join(words)


def stale(folder: Path, made: Mapping[str, str]) -> list[str]:
    """Return the names of the documents that are not in `folder` as they are made now."""
    return [name for name, text in made.items() if _text(folder / name) != text]


def write(folder: Path, made: Mapping[str, str]) -> list[str]:
    """Write the documents that are not up to date; return their names. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    names = stale(folder, made)
    for name in names:
        (folder / name).write_text(made[name], encoding="utf-8", newline="\n")
    return names


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
