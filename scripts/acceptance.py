"""Shows for each acceptance criterion whether its tests passed, and writes the pages that say so.

    scripts/evidence

It runs the tests named in docs/evidence/criteria.toml and the proof of every rollback, and writes
the six artifacts of the specification beside that file. A criterion of which a test is missing, was
skipped or failed reads NOT SHOWN. Exit code 1 if one does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pgproof import catalog, migrations, project, runner, scratch
from pgproof.database import Database

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "evidence"
TASK = "T02.3.2_JD-DEV034"
SIGN_OFF = "T02.3.2_JD-QC101_SignOff"
PAGES = {
    "MigrationScripts": "Migration scripts",
    "MigrationTests": "Migration tests",
    "RollbackTests": "Rollback tests",
    "MigrationDocumentation": "Migration documentation",
    "IntegrationNotes": "Integration notes",
}


@dataclass(frozen=True)
class Criterion:
    """An acceptance criterion: its words, the page that tells of it, and the tests that show it."""

    id: str
    says: str
    page: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the tests say of a criterion: how many passed, and why it is not shown, if it is not."""

    criterion: Criterion
    passed: int
    reasons: tuple[str, ...]

    @property
    def is_shown(self) -> bool:
        """Whether every test of it was run and passed."""
        return not self.reasons


@dataclass(frozen=True)
class Run:
    """What was run: the outcome of each test by its id, the proofs, the catalog, what ran it."""

    outcomes: Mapping[str, str]
    proofs: Sequence[Mapping[str, Any]]
    catalog: Sequence[str]
    versions: Mapping[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run it all and write the pages; return 1 if a criterion is not shown."""
    parser = argparse.ArgumentParser(prog="scripts/evidence", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder (docs/evidence)")
    parser.add_argument("--junit", type=Path, help="take the tests' results from this JUnit XML")
    parser.add_argument("--proof", type=Path, help="take the proof from this JSON of prove --json")
    arguments = parser.parse_args(argv)
    criteria = read(FOLDER / "criteria.toml")
    verdicts = judged(criteria, run := _run(criteria, arguments.junit, arguments.proof))
    write(arguments.to, verdicts, run)
    for verdict in verdicts:
        print(f"{_word(verdict)}  {verdict.criterion.id}  {verdict.criterion.says}")
        for reason in verdict.reasons:
            print(f"    {reason}")
    return int(not all(verdict.is_shown for verdict in verdicts))


def read(path: Path) -> list[Criterion]:
    """Read the criteria."""
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Criterion(id_, entry["says"], entry["page"], tuple(entry["tests"]))
        for id_, entry in told.items()
    ]


def outcomes(junit: Path) -> dict[str, str]:
    """Return what became of each test of a JUnit XML: passed, failed or skipped, by pytest's id."""
    found = {}
    for case in ElementTree.parse(junit).iter("testcase"):  # noqa: S314 - pytest wrote it
        kinds = {element.tag for element in case}
        file = case.get("classname", "").replace(".", "/")
        outcome = "failed" if kinds & {"failure", "error"} else "passed"
        id_ = f"{file}.py::{case.get('name')}"
        found[id_] = "skipped" if "skipped" in kinds else outcome
    return found


def judged(criteria: Sequence[Criterion], run: Run) -> list[Verdict]:
    """Say of each criterion whether it is shown."""
    return [_judged(criterion, run.outcomes) for criterion in criteria]


def _judged(criterion: Criterion, known: Mapping[str, str]) -> Verdict:
    reasons, passed = [], 0
    for test in criterion.tests:
        starts = (f"{test}::",) if test.endswith(".py") else (f"{test}[",)
        found = {id_: got for id_, got in known.items() if id_ == test or id_.startswith(starts)}
        if not found:
            reasons.append(f"{test}: missing")
        reasons += [f"{id_}: {got}" for id_, got in found.items() if got != "passed"]
        passed += sum(got == "passed" for got in found.values())
    return Verdict(criterion, passed, tuple(reasons))


def is_there(test: str) -> bool:
    """Whether there is such a test: asked for one that is not there, pytest runs none at all."""
    path, _, name = test.partition("::")
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return not name or f"def {name.partition('[')[0]}(" in text


# Running ----------------------------------------------------------------------------------


def _run(criteria: Sequence[Criterion], junit: Path | None, proof: Path | None) -> Run:
    wanted = {test for criterion in criteria for test in criterion.tests}
    tests = sorted(test for test in wanted if is_there(test))
    with tempfile.TemporaryDirectory() as folder:
        if junit is None:
            junit = Path(folder) / "junit.xml"
            _python("pytest", "-q", f"--junitxml={junit}", *tests)
        if proof is None:
            proof = Path(folder) / "proof.json"
            _python("pgproof", "prove", "--require-rows", "--json", "--output", str(proof))
        proofs = json.loads(proof.read_text(encoding="utf-8"))["migrations"]
        found = outcomes(junit)
    ours = project.find(str(ROOT / "sql"))
    files = migrations.read(ours.sources)
    with scratch.databases() as made:
        target = Database(made.parameters(made.create()), "scratch")
        with runner.open_backend(target, {}, {}) as backend:
            backend.notify = lambda _: None
            runner.up(backend, files, None, lambda _: None)
            text = catalog.read(backend.connection, parked=ours.parked)
            server = backend.connection.info.parameter_status("server_version") or ""
    return Run(found, proofs, text, _versions(server))


def _python(module: str, *words: str) -> None:
    """Run a module, whatever it makes of it: what it wrote is judged."""
    subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, check=False)


def _versions(server: str) -> dict[str, str]:
    told = {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "PostgreSQL": server.split(" ")[0],
        "Python": platform.python_version(),
        "yoyo": version("yoyo-migrations"),
        "pgproof": version("pgproof"),
        "system": f"{platform.system()} {platform.machine()}",
    }
    words = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return told | ({"commit": done.stdout.strip()} if done.returncode == 0 else {})


# Writing ----------------------------------------------------------------------------------


def write(folder: Path, verdicts: Sequence[Verdict], run: Run) -> None:
    """Write the six artifacts."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, title in PAGES.items():
        own = [verdict for verdict in verdicts if verdict.criterion.page == page]
        lines = [f"# {title}", "", *_ran(run), *_criteria(own), *BODIES[page](run)]
        (folder / f"{TASK}_{page}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / f"{SIGN_OFF}.md").write_text(_sign_off(verdicts, run), encoding="utf-8")


def _ran(run: Run) -> list[str]:
    told = ", ".join(f"{name} {text}" for name, text in run.versions.items() if name != "date")
    return [f"Written by `scripts/evidence` on {run.versions['date']}: {told}.", ""]


def _criteria(verdicts: Sequence[Verdict]) -> list[str]:
    lines = ["## Criteria", ""]
    for verdict in verdicts:
        one = verdict.criterion
        lines += [f"### {one.id}: {one.says}", "", f"**{_word(verdict)}**: {_counted(verdict)}", ""]
        lines += [f"- `{test}`" for test in one.tests]
        lines += [f"- not shown, because `{reason}`" for reason in verdict.reasons]
        lines += ["", "```sh", f"scripts/test {' '.join(one.tests)}", "```", ""]
    return lines


def _word(verdict: Verdict) -> str:
    return "SHOWN" if verdict.is_shown else "NOT SHOWN"


def _counted(verdict: Verdict) -> str:
    others = len(verdict.reasons)
    return f"{verdict.passed} passed{f', {others} not' if others else ''}"


def _sign_off(verdicts: Sequence[Verdict], run: Run) -> str:
    lines = ["# Sign-off", "", *_ran(run)]
    lines += ["| criterion | result | tests | evidence |", "| --- | --- | --- | --- |"]
    for verdict in verdicts:
        one = verdict.criterion
        page = f"{TASK}_{one.page}.md"
        lines.append(
            f"| {one.id}: {one.says} | {_word(verdict)} | {_counted(verdict)} | "
            f"[{PAGES[one.page]}]({page}) |"
        )
    lines += ["", "To repeat all of it: `scripts/evidence`.", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {word} | |" for word in ("Verdict", "Remarks", "Name", "Signature", "Date")]
    return "\n".join(lines) + "\n"


def _scripts(run: Run) -> list[str]:
    lines = ["## Files", "", "| migration | half | SHA-256 of the text |", "| --- | --- | --- |"]
    for path in sorted((ROOT / "sql").glob("*.sql")):
        half = "rollback" if path.name.endswith(migrations.ROLLBACK_SUFFIX) else "forward"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(f"| [{path.name}](../../sql/{path.name}) | {half} | `{digest}` |")
    counted = Counter(line.split(" ")[0] for line in run.catalog)
    kinds = ("table", "column", "constraint", "index", "trigger", "function", "policy", "privilege")
    lines += ["", "## What they make", "", "Facts of the catalog by kind.", ""]
    lines += ["| kind | facts |", "| --- | --- |"]
    lines += [f"| {kind} | {counted[kind]} |" for kind in kinds if counted[kind]]
    digest = hashlib.sha256("\n".join(run.catalog).encode()).hexdigest()
    return [*lines, "", f"{len(run.catalog)} facts in all; SHA-256 `{digest}`."]


def _tests(run: Run) -> list[str]:
    lines = ["## Tests that were run", "", "| file | passed | failed | skipped |"]
    lines += ["| --- | --- | --- | --- |"]
    files = sorted({id_.partition("::")[0] for id_ in run.outcomes})
    for file in files:
        got = Counter(o for id_, o in run.outcomes.items() if id_.startswith(f"{file}::"))
        lines.append(f"| {file} | {got['passed']} | {got['failed']} | {got['skipped']} |")
    return lines


def _rollbacks(run: Run) -> list[str]:
    lines = [
        "## Proof of each rollback",
        "",
        "From `scripts/migrate prove --require-rows --json`.",
        "",
    ]
    lines += ["| migration | schema | rollback | rows | carried | grade | falls short |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for one in run.proofs:
        names = ("id", "catalog", "rollback", "rows", "carried", "grade")
        short = "; ".join(one["falls_short"]) or "no"
        lines.append(f"| {' | '.join(str(one[name]) for name in names)} | {short} |")
    return lines


def _documentation(_run: Run) -> list[str]:
    return [
        "## Where it is told",
        "",
        "- [README](../../README.md): how to apply and roll back, with yoyo alone or `migrate`",
        "- [The schema](../schema.md), from the catalog and its comments",
        "- [The migrations](../migrations.md): what each brings, why, its locks, its rollback",
        "- [Operations](../operations.md): settings, refusals, failures",
        "- [Contributing](../../CONTRIBUTING.md): how to add a migration",
    ]


def _integration(_run: Run) -> list[str]:
    return [
        "## How it fits in",
        "",
        "- A pipeline names its database by `--database`, `DATABASE_URL` or libpq's own variables,",
        "  and runs `scripts/migrate up`, or `yoyo apply --batch` on the same files.",
        "- History is kept in yoyo's own tables, `_yoyo_migration` and `_yoyo_log`.",
        "- One run at a time holds an advisory lock, which no crash leaves behind.",
        "- `scripts/migrate plan` is the dry run: it changes nothing.",
        "- Refusals, failures and settings: [operations](../operations.md).",
    ]


BODIES = {
    "MigrationScripts": _scripts,
    "MigrationTests": _tests,
    "RollbackTests": _rollbacks,
    "MigrationDocumentation": _documentation,
    "IntegrationNotes": _integration,
}


if __name__ == "__main__":
    sys.exit(main())
