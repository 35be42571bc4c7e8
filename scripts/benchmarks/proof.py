"""How long `migrate prove` takes, over psql running the files; and a catalog's text, over pg_dump.

    scripts/bench proof --sizes 100,300

The server is one that is thrown away, as `migrate prove` starts it. Every figure is the median of
rounds in which the two take turns.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg2

from benchmarks import measure
from pgproof import catalog, scratch
from pgproof.errors import UserError
from pgproof.server import find_binaries

TABLES = 1000  # of the catalog that is read
_TABLE = """
    CREATE TABLE t{0} (
        id   bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        name text NOT NULL DEFAULT 'x',
        size integer CHECK (size > 0)
    );
    CREATE INDEX ON t{0} (name);
    COMMENT ON TABLE t{0} IS 'Table {0}';
"""
_STEPS = (
    (
        "CREATE TABLE t{0} (id int PRIMARY KEY, name text, size int CHECK (size > 0));\n"
        "INSERT INTO t{0} SELECT n, 'x', n FROM generate_series(1, 5) n;\n",
        "DROP TABLE t{0};\n",
    ),
    ("ALTER TABLE t{0} ADD kind text DEFAULT 'q';\n", "ALTER TABLE t{0} DROP kind;\n"),
    ("CREATE INDEX i{0} ON t{0} (name);\n", "DROP INDEX i{0};\n"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 0, or 1 where a program fails."""
    made = argparse.ArgumentParser(prog="scripts/bench proof", description=__doc__)
    made.add_argument("--rounds", type=int, default=3, metavar="N", help="how many (3)")
    made.add_argument("--sizes", default="100,300", metavar="N,N", help="migrations (100,300)")
    made.add_argument("--output", type=Path, metavar="FILE", help="write the page there, too")
    arguments = made.parse_args(argv)
    sizes = [int(word) for word in arguments.sizes.split(",")]
    try:
        text = "\n".join(_page(arguments.rounds, sizes))
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    print(text)
    if arguments.output:
        arguments.output.write_text(f"{text}\n", encoding="utf-8")
    return 0


def _page(rounds: int, sizes: Sequence[int]) -> list[str]:
    sized = ",".join(map(str, sizes))
    lines = [
        "# Speed of the proof",
        "",
        f"Repeat it with `scripts/bench proof --rounds {rounds} --sizes {sized}`: it prints this.",
        "",
        f"Medians of {rounds} rounds on {os.cpu_count()} cores. psql applies each file, rolls it",
        "back and applies it again, in one process, and compares nothing.",
        "",
        "| migrations | prove, s | each, s | client CPU s | client peak MiB | psql, s | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for size in sizes:
        proved, floor = _proved(rounds, size)
        wall, least = (statistics.median(c.wall for c in costs) for costs in (proved, floor))
        ratio = statistics.median(a.wall / b.wall for a, b in zip(proved, floor, strict=True))
        cpu, peak = (
            statistics.median(v) for v in zip(*((c.cpu, c.peak) for c in proved), strict=True)
        )
        lines.append(
            f"| {size} | {wall:.1f} | {wall / size:.2f} | {cpu:.1f} | {peak:.0f} | {least:.2f} | "
            f"{ratio:.1f} |"
        )
    read, dumped = _catalogs(rounds)
    lines += [
        "",
        f"The catalog of a database of {TABLES:,} tables, in seconds: {read:.2f}; "
        f"`pg_dump --schema-only` of the same: {dumped:.2f}; ratio {read / dumped:.2f}.",
    ]
    return lines


def files(folder: Path, count: int) -> None:
    """Write `count` sound migrations: a table with rows, a column, an index, in turn."""
    for number in range(count):
        for suffix, text in zip((".sql", ".rollback.sql"), _STEPS[number % 3], strict=True):
            (folder / f"{number:04d}_step{suffix}").write_text(text.format(number // 3))


def _proved(rounds: int, size: int) -> tuple[list[measure.Cost], list[measure.Cost]]:
    """Return the costs of proving, and of psql's three runs of each file, in each round."""
    proved: list[measure.Cost] = []
    floor: list[measure.Cost] = []
    with tempfile.TemporaryDirectory() as name, scratch.databases() as made:
        folder = Path(name)
        sql = folder / "sql"
        sql.mkdir()
        files(sql, size)
        every = folder / "every.sql"
        names = [path.with_suffix("") for path in sorted(sql.glob("*_step.sql"))]
        every.write_text(
            "".join(
                f"BEGIN;\n\\i {stem}{half}.sql\nCOMMIT;\n"
                for stem in names
                for half in ("", ".rollback", "")
            )
        )
        psql = str(find_binaries() / "psql")
        prove = (sys.executable, "-m", "pgproof", "prove", "--json", "--sql", str(sql))
        for number in range(rounds):
            print(f"{size} migrations: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            proved.append(measure.run(prove, os.environ, folder))
            database = made.create()
            at = made.parameters(database)
            url = f"host={at['host']} port={at['port']} user={at['user']} dbname={database}"
            floor.append(measure.run((psql, "-X", "-q", "-f", str(every), url), os.environ, folder))
            made.drop(database)
    return proved, floor


def _catalogs(rounds: int) -> tuple[float, float]:
    """Return the median seconds of reading a catalog, and of dumping the same schema."""
    read: list[float] = []
    dumped: list[float] = []
    with tempfile.TemporaryDirectory() as name, scratch.databases() as made:
        at = made.parameters(made.create())
        with closing(psycopg2.connect(**at)) as connection:
            connection.autocommit = True
            connection.cursor().execute("".join(map(_TABLE.format, range(TABLES))))
            connection.cursor().execute("ANALYZE")
        dump = str(find_binaries() / "pg_dump")
        url = f"host={at['host']} port={at['port']} user={at['user']} dbname={at['dbname']}"
        for _ in range(rounds):
            with closing(psycopg2.connect(**at)) as connection:
                started = time.perf_counter()
                catalog.read(connection)
                read.append(time.perf_counter() - started)
            command = (dump, "--schema-only", "-f", os.devnull, url)
            dumped.append(measure.run(command, os.environ, Path(name)).wall)
    return statistics.median(read), statistics.median(dumped)
