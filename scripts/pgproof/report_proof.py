r"""The results of `migrate prove` as lines for a terminal, as Markdown for a pull request, as JSON.

print("\n".join(report_proof.details(proofs)))
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from pgproof.proof import Proof
from pgproof.trace import MODES, WEIGHTY

HEAD = ("migration", "catalog", "rollback", "rows", "grade", "locks")
WIDTHS = (12, 8, 9, 12)  # of what stands between the name and the locks


def line(proof: Proof, width: int) -> str:
    """Return one line of the table on a terminal; `width` is that of the longest id."""
    name, *between, locks = _cells(proof)
    padded = "  ".join(cell.ljust(size) for cell, size in zip(between, WIDTHS, strict=True))
    mark = "falls short" if proof.falls_short else "holds"
    return f"{name:<{width}}  {padded}  {mark:<11}  {proof.seconds:6.2f} s  {locks}"


def heading(width: int) -> str:
    """Return the line above the table."""
    name, *between, locks = HEAD
    padded = "  ".join(cell.ljust(size) for cell, size in zip(between, WIDTHS, strict=True))
    return f"{name:<{width}}  {padded}  {'':<11}  {'':>8}  {locks}"


def details(proofs: Sequence[Proof]) -> Iterator[str]:
    """Yield what is to be mended, a paragraph for each migration that falls short; then a sum."""
    for proof in proofs:
        if not proof.falls_short:
            continue
        yield ""
        yield f"{proof.id} falls short:"
        for reason in proof.falls_short:
            first, *more = reason.split("\n")
            yield f"  - {first}"
            yield from (f"    {text}" for text in more)
        yield from (f"  lost: {told}" for told in proof.lost)
        yield from (f"  note: {note}" for note in proof.notes)
        yield from (f"    {text}" for text in proof.diff)
    yield ""
    yield total(proofs)


def total(proofs: Sequence[Proof]) -> str:
    """Return in one line how many hold, and what is the matter with the others."""
    short = [proof for proof in proofs if proof.falls_short]
    kinds = {
        "not applied": sum(not proof.applied for proof in short),
        "no rollback": sum(proof.rollback in ("missing", "empty") for proof in short),
        "rollback fails": sum(proof.rollback == "failed" for proof in short),
        "another schema": sum(p.catalog == "differs" and p.rollback == "ok" for p in short),
        "rows lost": sum(proof.rows == "lost" for proof in short),
        "locks untold": sum(proof.locks_held is False for proof in short),
        "grade untrue": sum(proof.grade_held is False for proof in short),
    }
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.items() if number)
    counted = f"{len(proofs)} migration{'' if len(proofs) == 1 else 's'}"
    if not short:
        return f"{counted}: {'it holds' if len(proofs) == 1 else 'all hold'}"
    return f"{counted}: {len(proofs) - len(short)} hold, {len(short)} fall short ({told})"


def markdown(proofs: Sequence[Proof]) -> str:
    """Return a table, and below it what is to be mended, folded."""
    lines = ["## Proof of the rollbacks", "", total(proofs), ""]
    lines += [f"| | {' | '.join(HEAD)} |", f"|{' --- |' * (len(HEAD) + 1)}"]
    for proof in proofs:
        mark = "**falls short**" if proof.falls_short else "holds"
        lines.append(f"| {mark} | {' | '.join(escaped(cell) for cell in _cells(proof))} |")
    for proof in proofs:
        if proof.falls_short:
            lines += ["", f"<details><summary>{proof.id}</summary>", ""]
            lines += [f"- {escaped(text)}" for text in (*proof.falls_short, *proof.notes)]
            lines += [f"- lost: {escaped(told)}" for told in proof.lost]
            if proof.diff:
                lines += ["", "````diff", *proof.diff, "````"]
            lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def as_json(proofs: Sequence[Proof]) -> str:
    """Return `{"migrations": […]}`, each with the fields of `proof.Proof`."""
    return json.dumps({"migrations": [asdict(proof) for proof in proofs]}, indent=2)


def _cells(proof: Proof) -> tuple[str, ...]:
    """Return the cells of the table: see HEAD."""
    if not proof.applied:
        return (proof.id, "-", "-", "-", proof.grade or "-", "not applied")
    columns = (proof.catalog, proof.rollback, proof.rows, proof.grade)
    return (proof.id, *(cell or "-" for cell in columns), locks(proof))


def locks(proof: Proof) -> str:
    """Return in words the locks that others have to wait for, and what is rewritten."""
    heavy = [lock for lock in proof.locks if MODES.index(lock.mode) >= WEIGHTY]
    return (
        ", ".join(
            f"{lock.object} {lock.mode}{' (rewrites)' if lock.rewrites else ''}" for lock in heavy
        )
        or "none"
    )


def escaped(text: str) -> str:
    """Return the text as one cell, or one item of a list."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
