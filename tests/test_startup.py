"""Laws of start-up: a command imports what it needs, and no more, so that a short one is short.

Not timed here: `scripts/bench runner` does that. Each command runs in a Python of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from database import Database

ROOT = Path(__file__).parents[1]

# Ends with the modules of the process, however the command ends.
PROGRAM = """
import sys
from pgproof.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("modules", *sys.modules, file=sys.stderr)
"""
BARE = """
import sys
print("modules", *sys.modules, file=sys.stderr)
"""

HEAVY = {"yoyo", "psycopg2", "sqlparse", "importlib_metadata", "tabulate"}
SERVER = {"pgproof.server", "pgproof.binaries", "pgproof.folders"}
PROOF = {"pgproof.baseline", "pgproof.catalog"}


def modules(program: str, *words: str | Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PGPROOF_PROJECT": str(ROOT), "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    mark, *names = done.stderr.splitlines()[-1].split()
    assert mark == "modules"
    return set(names)


def test_version_imports_the_command_alone() -> None:
    more = modules(PROGRAM, "--version") - modules(BARE)
    assert more - {"__future__"} == {"pgproof", "pgproof.cli", "pgproof.errors"}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["up", "--help"], ["server", "--help"], ["nonsense"], []],
    ids=" ".join,
)
def test_words_alone_import_neither_yoyo_nor_psycopg2(words: list[str]) -> None:
    assert not modules(PROGRAM, *words) & (HEAVY | SERVER | PROOF)


def test_new_connects_to_nothing(tmp_path: Path) -> None:
    found = modules(PROGRAM, "new", "add", "thing", "--sql", tmp_path / "sql")
    assert "pgproof.migrations" in found
    assert not found & {"pgproof.backend", "pgproof.runner", *SERVER, *PROOF}


@pytest.mark.parametrize("command", ["status", "history"])
def test_a_reader_imports_nothing_that_changes_a_schema_or_runs_a_server(
    db: Database, command: str
) -> None:
    found = modules(PROGRAM, command, "-d", db.url)
    assert "pgproof.history" in found
    assert not found & {"pgproof.progress", "tabulate", *SERVER, *PROOF}


def test_up_imports_nothing_that_runs_a_server_or_compares_schemas(db: Database) -> None:
    found = modules(PROGRAM, "up", "-d", db.url)
    assert "pgproof.execution" in found
    assert not found & {"tabulate", *SERVER, *PROOF}
