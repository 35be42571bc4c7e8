"""Runs the benchmark that the first word names.

python -m benchmarks runner --rounds 3
"""

import sys
from collections.abc import Callable, Sequence

from benchmarks import audit, online, proof, runner, schema

BENCHMARKS: dict[str, Callable[[Sequence[str]], int]] = {
    "audit": audit.main,
    "online": online.main,
    "proof": proof.main,
    "runner": runner.main,
    "schema": schema.main,
}


def main() -> int:
    """Run it with the other words; 2 where there is no such benchmark."""
    name, *rest = sys.argv[1:] or [""]
    if name not in BENCHMARKS:
        print(f"usage: scripts/bench {{{','.join(BENCHMARKS)}}} [--help]", file=sys.stderr)
        return 2
    return BENCHMARKS[name](rest)


if __name__ == "__main__":
    sys.exit(main())
