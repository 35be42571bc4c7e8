"""A plan as text for the terminal, as Markdown for a pull request, and as JSON.

    print(report_plan.text(plan.make(backend, files, "apply", parked=None)))

The JSON is stable; `format` changes with it. Its keys:

    format, pgproof   1, and the version of this program
    operation         "apply", "rollback", or null (of `migrate drift`)
    database          name, version, owner (the role `<owner>` in catalogs), applied (ids),
                      fingerprint (SHA-256 of the name, what is applied, and the catalog)
    parked            the schema that is left out of every catalog, or null
    compared_on       the version of the scratch server
    drift             the lines of a unified diff from what the applied files make to the database
    notes             what makes the comparison unsure, in words
    refusal           why `up` or `down` would refuse to begin, or null
    fails             whether it cannot be done as planned
    migrations        in order: id, operation, path, sql, checksums, transactional; rollback: grade,
                      lossy, parks;
                      error (null if it ran); diff; statements: line, sql, locks (object, mode,
                      blocks), rewrites, scans, builds (index, table); sizes (name, exists, bytes,
                      rows); drops; squawk (line, rule, message; null: not installed)

`parks` and `drops` have name (a table, or a column of one) and rows. Rows are estimates of the live
database's statistics, null where it has none.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from pgproof import __version__
from pgproof.plan import FORMAT, Plan
from pgproof.rehearsal import Drop, Size, Step
from pgproof.trace import BLOCKS, MODES, Effect, strongest

HEADS = ("migration", "heaviest lock", "blocks", "on", "rewrites", "rollback", "in scratch")


def as_json(plan: Plan) -> str:
    """Return the plan as a document: see the module."""
    document = {
        "format": FORMAT,
        "pgproof": __version__,
        "operation": plan.operation,
        "database": {
            "name": plan.database,
            "version": plan.version,
            "owner": plan.owner,
            "applied": list(plan.applied),
            "fingerprint": plan.fingerprint,
        },
        "parked": plan.parked,
        "compared_on": plan.scratch_version,
        "drift": list(plan.drift),
        "notes": list(plan.notes),
        "refusal": plan.refusal,
        "fails": plan.fails,
        "migrations": [_step(step) for step in plan.steps],
    }
    return json.dumps(document, indent=2) + "\n"


def _step(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "operation": step.operation,
        "path": step.path,
        "sql": step.sql,
        "checksums": dict(step.checksums),
        "transactional": step.transactional,
        "rollback": {
            "grade": step.grade,
            "lossy": list(step.lossy),
            "parks": [asdict(drop) for drop in step.parks],
        },
        "error": step.error,
        "diff": list(step.diff),
        "statements": [_statement(effect) for effect in step.effects],
        "sizes": [asdict(size) for size in step.sizes],
        "drops": [asdict(drop) for drop in step.drops],
        "squawk": None if step.findings is None else [asdict(one) for one in step.findings],
    }


def _statement(effect: Effect) -> dict[str, Any]:
    return {
        "line": effect.line,
        "sql": effect.text,
        "locks": [{"object": n, "mode": m, "blocks": BLOCKS[m]} for n, m in effect.locks],
        "rewrites": list(effect.rewrites),
        "scans": list(effect.scans),
        "builds": [{"index": index, "table": table} for index, table in effect.builds],
    }


# The terminal --------------------------------------------------------------------------------


def text(plan: Plan) -> str:
    """Return a table of all, then what matters of each, then the catalogs' diffs and the SQL."""
    lines = [f"{_summary(plan)}.", *(f"note: {note}" for note in plan.notes)]
    lines += [f"refused: {line}" for line in (plan.refusal or "").splitlines()]
    if plan.steps:
        table = [HEADS, *(_cells(step) for step in plan.steps)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines.append("")
        for row in table:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
    for step in plan.steps:
        lines += ["", f"{step.id}, {step.path}", *(f"  {line}" for line in _told(step))]
    if plan.drift:
        lines += ["", "Drift", *plan.drift]
    for step in plan.steps:
        if step.diff:
            lines += ["", f"{step.id}: the schema", *step.diff]
        lines += ["", f"{step.id}: the SQL", step.sql.rstrip("\n")]
    return "\n".join(lines) + "\n"


def _summary(plan: Plan) -> str:
    counted = f"{len(plan.applied)} applied"
    if plan.operation == "apply":
        counted += f", {sum(step.operation == 'apply' for step in plan.steps)} pending"
    elif plan.operation == "rollback":
        counted += f", {len(plan.steps)} to roll back"
    return (
        f"{plan.database} on PostgreSQL {plan.version}, compared on {plan.scratch_version}: "
        f"{counted}; {_drifts(plan)}"
    )


def _drifts(plan: Plan) -> str:
    changed = sum(line[0] in "+-" for line in plan.drift[2:])
    return f"drift in {changed} line{'s' if changed != 1 else ''}" if changed else "no drift"


def _cells(step: Step) -> tuple[str, ...]:
    """Return the row of a step, under HEADS."""
    held = strongest(step.effects)
    heaviest = max(held.values(), key=MODES.index, default=None)
    sizes = {size.name: size for size in step.sizes}
    under = [sizes[name] for name, mode in held.items() if mode == heaviest]
    rewritten = sorted({name for effect in step.effects for name in effect.rewrites})
    return (
        step.id,
        heaviest or ("none" if _is_seen(step) else "not seen"),
        BLOCKS[heaviest] if heaviest else "nobody" if _is_seen(step) else "not seen",
        ", ".join(f"{size.name} ({_size(size)})" for size in _largest(under)) or "-",
        ", ".join(rewritten) or "-",
        _rollback(step),
        "fails" if step.error else "runs",
    )


def _is_seen(step: Step) -> bool:
    """Whether its statements are seen one by one: those of a Python program are not."""
    return step.path.endswith(".sql")


def _largest(sizes: Sequence[Size]) -> list[Size]:
    """Return the three that weigh most: a table that is to be read has no room for more."""
    return sorted(sizes, key=lambda size: -size.bytes)[:3]


def _rollback(step: Step) -> str:
    if step.operation == "hook":
        return "none: a hook"
    dropped = step.drops if step.operation == "rollback" else step.parks
    grade = step.grade or "no grade"
    verb = "parks" if step.grade == "lossless" else "drops"
    return f"{grade}; {verb} {_total(dropped)}"


def _total(drops: Sequence[Drop]) -> str:
    """Return the rows of all tables in words, a table with several columns counted once."""
    if any(drop.rows is None for drop in drops):
        return "an unknown number of rows"
    tables = {".".join(_parts(drop.name)[:2]): drop.rows or 0 for drop in drops}
    return _rows(sum(tables.values()))


def _parts(name: str) -> list[str]:
    return re.findall(r'"(?:[^"]|"")*"|[^."]+', name)


def _told(step: Step) -> Iterator[str]:
    """Yield what matters of one file, in lines."""
    if step.error:
        yield f"fails: {step.error}"
    if not _is_seen(step):
        yield "a Python program: what its statements lock is not seen"
    sizes = {size.name: size for size in step.sizes}
    quiet, held = 0, dict[str, str]()
    for effect in step.effects:
        found = list(_effects(effect, sizes, held if step.transactional else {}))
        quiet += not found
        if found:
            yield f"line {effect.line}: {_first(effect.text)}"
            yield from (f"  {line}" for line in found)
    if quiet:
        yield f"{quiet} statement{'s' if quiet != 1 else ''} without a lock on what was there"
    for drop in step.drops:
        yield f"drops {drop.name}, with {_rows(drop.rows)}"
    if step.operation != "hook":
        lossy = f": {', '.join(step.lossy)}" if step.lossy else ""
        yield f"rollback: {step.grade or 'its header gives no grade'}{lossy}"
    for drop in step.parks:
        yield f"  would drop {drop.name}, with {_rows(drop.rows)}"
    if step.findings is None:
        yield "squawk is not installed"
    for finding in step.findings or ():
        yield f"squawk: line {finding.line}: {finding.rule}: {finding.message}"


def _effects(effect: Effect, sizes: dict[str, Size], held: dict[str, str]) -> Iterator[str]:
    """Yield what a statement does; `held` are the locks that the file has, and is added to."""
    for name, mode in effect.locks:
        if name in held and MODES.index(held[name]) > MODES.index(mode):
            continue  # it has a stronger one already, which says all
        held[name] = mode
        yield f"locks {name} ({_size(sizes[name])}) in {mode}: blocks {BLOCKS[mode]}"
    for verb, names in (("rewrites", effect.rewrites), ("reads all of", effect.scans)):
        for name in names:
            yield f"{verb} {name} ({_size(sizes[name])})"
    for index, table in effect.builds:
        yield f"builds {index} on {table} ({_size(sizes[table])})"


def _first(statement: str) -> str:
    line, _, more = statement.partition("\n")
    return f"{line} ..." if more else line


def _size(size: Size) -> str:
    return f"{_bytes(size.bytes)}, {_rows(size.rows)}" if size.exists else "not there yet"


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1024:
            return (
                f"{number:.0f} {unit}"
                if unit == "bytes" or number >= 10
                else f"{number:.1f} {unit}"
            )
        number /= 1024
    return f"{number:.1f} TB"


def _rows(number: int | None) -> str:
    if number is None:
        return "rows unknown: never analyzed"
    return "no rows" if number == 0 else f"about {number:,} row{'s' if number != 1 else ''}"


# Markdown ------------------------------------------------------------------------------------


def markdown(plan: Plan) -> str:
    """Return a short table, and all else folded away below it."""
    title = {"apply": "Migration plan", "rollback": "Rollback plan"}.get(
        plan.operation or "", "Schema drift"
    )
    items = [_plain(note) for note in plan.notes]
    if plan.refusal:
        items.append(f"**Refused:** {_plain(' '.join(plan.refusal.splitlines()))}")
    items += [f"**{_plain(s.id)} fails:** {_plain(s.error)}" for s in plan.steps if s.error]
    lines = [f"### {title}", "", f"{_plain(_summary(plan))}."]
    if items:
        lines += ["", *(f"- {item}" for item in items)]
    if plan.steps:
        rows = [HEADS, ("---",) * len(HEADS), *(map(_plain, _cells(step)) for step in plan.steps)]
        lines += ["", *(f"| {' | '.join(row)} |" for row in rows)]
    if plan.drift:
        lines += _folded(f"Drift: {_drifts(plan)}", [("diff", "\n".join(plan.drift))])
    for step in plan.steps:
        shown = [("text", "\n".join(_told(step))), ("diff", "\n".join(step.diff))]
        lines += _folded(step.id, [*shown, ("sql", step.sql)])
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return text in which nothing is taken for Markdown or HTML, also within a table."""
    return re.sub(r"([\\`*_|\[\]~])", r"\\\1", escape(text, quote=False))


def _folded(title: str, blocks: Iterable[tuple[str, str]]) -> list[str]:
    lines = ["", "<details>", f"<summary>{escape(title)}</summary>", ""]
    for language, inside in blocks:
        if inside:
            # Longer than any fence inside.
            longest = max((len(run) for run in re.findall("`+", inside)), default=0)
            fence = "`" * max(3, longest + 1)
            lines += [f"{fence}{language}", inside.rstrip("\n"), fence, ""]
    return [*lines, "</details>"]
