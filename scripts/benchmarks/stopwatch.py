"""Runs one program, and writes what it cost to a file: seconds, CPU seconds, peak memory in KiB.

    python -I -S stopwatch.py cost.txt psql --version

A process of its own, and a small one: Linux counts the memory of the process that starts a program
as that program's own peak, and the benchmark itself is larger than psql.
"""

import os
import sys
import time


def main() -> int:
    """Run the program, and return its exit code."""
    started = time.perf_counter()
    pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    with open(sys.argv[1], "w") as file:  # noqa: PTH123 - pathlib would double our own memory
        file.write(f"{wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss}")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
