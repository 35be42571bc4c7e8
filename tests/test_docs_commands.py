"""Every block of commands in README, CONTRIBUTING and docs/ is run, as it stands there.

Each in a copy of the tree with a home of its own, on an empty database that libpq's variables name.
What cannot be run is listed with the reason; a line that is no longer there fails.
"""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from database import ROOT, Database, run
from pgproof import arguments
from pgproof.server import find_binaries

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])

# A line, or the first line of a whole block: why it is not run. Five at most.
NOT_RUN = {
    "scripts/test          # applies, rolls back and reapplies them in every way that matters": (
        "it is the suite that this test is in"
    ),
    "pg_dumpall --roles-only -h db16 | psql -h db18                # once: roles belong to the "
    "cluster": "it needs two servers: tests/test_replication.py has them, and does the same",
    "scripts/replicate migrate --old postgresql://db16/docs --new postgresql://db18/docs": (
        "so does this, and there too"
    ),
    "scripts/bench audit --documents 5000000 --entries 100000000": "it measures for an hour",
    "yoyo apply --batch -d postgresql+pgproof:// -r 0001_distribute_by_tenant sql sql/citus": (
        "it needs Citus; that it is refused without is a test of tests/test_citus.py"
    ),
}
# A block's first line: what was done before, as the page says.
BEFORE = {
    'export PGOPTIONS="-c role=docmeta_retention -c docmeta.tenant_id=1"': "scripts/migrate up",
    "pg_dumpall --roles-only --no-role-passwords >roles.sql": "scripts/migrate up",
    'PGOPTIONS="-c docmeta.on_rollback=discard" scripts/migrate down': "scripts/migrate up",
    "scripts/migrate plan                     # what `up` would do to the live database": (
        "scripts/migrate up"
    ),
}


@dataclass(frozen=True)
class Block:
    """One block of a page, and the line on which it begins."""

    page: Path
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        yield Block(page, text[: match.start(1)].count("\n") + 1, match[1])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUN = [block for block in BLOCKS if block.text.splitlines()[0] not in NOT_RUN]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the tree with the environment that runs this test, and a home with other files."""
    not_copied = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__")
    tree = Path(shutil.copytree(ROOT, tmp_path / "checkout", ignore=not_copied))
    python = tree / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    other = tmp_path / "home" / "other" / "sql"
    other.mkdir(parents=True)
    for half in ROOT.glob("sql/0001_*.sql"):
        shutil.copy(half, other)
    key = run(
        "sh",
        "-c",
        'checksum=$(cat pyproject.toml scripts/constraints.txt | cksum); echo "$checksum $(wc -c '
        '<.venv/bin/python)"',
        environment=dict(os.environ),
        cwd=tree,
    ).stdout
    extras = "embedded,test,check,docs,bench"
    (tree / ".venv" / "pgproof.stamp").write_text(f"{tree}\n{key}{extras}\n")
    return tree


def commands(text: str, checkout: Path, db: Database) -> subprocess.CompletedProcess[str]:
    """Run a block in a shell that stops at the first command that fails."""
    home = checkout.parent / "home"
    # psql and pg_dump of the newest version, which serve every server.
    beside = checkout / ".venv" / "bin", Path(sys.executable).parent, find_binaries()
    environment = {
        **db.environment,
        "HOME": str(home),
        "PGPROOF_HOME": str(home / "pgproof"),
        "PGPROOF_PROJECT": str(checkout),
        "PATH": os.pathsep.join([*map(str, beside), os.environ["PATH"]]),
    }
    return run("sh", "-eu", "-c", text, environment=environment, cwd=checkout, code=None)


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_the_commands_run(block: Block, checkout: Path, db: Database) -> None:
    lines = block.text.splitlines()
    if first := BEFORE.get(lines[0]):
        assert commands(first, checkout, db).returncode == 0
    done = commands("\n".join(x for x in lines if x not in NOT_RUN), checkout, db)
    assert done.returncode == 0, f"{block.name}: {done.stdout}{done.stderr}"


def test_a_command_that_fails_is_found(checkout: Path, db: Database) -> None:
    done = commands("scripts/migrate status --exit-code\nscripts/migrate up\n", checkout, db)
    assert done.returncode == 1
    assert "pending" in done.stdout


def test_few_are_not_run_and_each_is_there() -> None:
    assert len(NOT_RUN) <= 5
    there = {line for block in BLOCKS for line in block.text.splitlines()}
    assert set(NOT_RUN) <= there
    assert set(BEFORE) <= {block.text.splitlines()[0] for block in BLOCKS}


def test_a_block_says_what_it_is_of() -> None:
    """Commands stand under `sh` alone, so that none is passed over."""
    found = {
        f"{page.name}: {info}"
        for page in PAGES
        for info, text in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)
        if info in ("", "bash", "shell", "console")
    }
    assert found == set()


def mentions() -> Iterator[tuple[str, str]]:
    """The commands that stand in the text, between backquotes."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
            found = re.match(
                r"(?:[A-Z]\w+=\S+ |PGOPTIONS=\"[^\"]*\" )*(?:scripts/)?migrate (.+)", code
            )
            if found and re.match(r"[a-z]+( |$)", found[1]):
                yield page.name, found[1]


@pytest.mark.parametrize(("page", "words"), sorted(set(mentions())))
def test_a_command_in_the_text_is_one_that_there_is(page: str, words: str) -> None:
    options = shlex.split(words)
    if options[1:]:
        arguments.parser().parse_args(options)
    assert options[0] in {command.name for command in arguments.COMMANDS}, page
