"""How fast migrations run: ours, psql as the floor, stock yoyo, Alembic and dbmate, side by side.

    scripts/bench runner --output docs/speed.md
    scripts/bench runner --growth

Every figure is the median of rounds in which the programs take turns, each on a database of its
own, on one embedded server with PostgreSQL's own settings, which flushes its log to disk.
"""

import argparse
import json
import math
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import psycopg2
from psycopg2 import sql

from benchmarks import measure, tools
from benchmarks.measure import Cost, Figure
from benchmarks.pages import Report, page
from benchmarks.tools import Migration, Tool
from pgproof.errors import UserError
from pgproof.server import Server, find_binaries

REALISTIC = Path(__file__).resolve().parents[2] / "sql" / "0001_initial_schema.sql"
TASKS = ("apply", "no-op", "status", "roll back")
GROWTH = (1000, 10000)
STARTS_A_ROUND = 4  # a start-up is short, and so measured more often
DATABASE = "bench"
VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}


@dataclass(frozen=True)
class Bench:
    """The server, the folder, and the rounds of one run of the benchmark."""

    server: Server
    folder: Path
    rounds: int
    dbmate: Path | str

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every program; compiled Python is kept, as where it is installed."""
        kept = {k: v for k, v in os.environ.items() if not re.match("PG|PYTHON|DATABASE_URL", k)}
        found = self.server.parameters(DATABASE)
        named = {variable: str(found[name]) for name, variable in VARIABLES.items()}
        return {**kept, **named, "PYTHONPYCACHEPREFIX": str(self.folder / "compiled")}

    def fresh(self) -> None:
        """Make the database anew, and leave the server nothing to do besides."""
        name = sql.Identifier(DATABASE)
        with closing(psycopg2.connect(**self.server.parameters())) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
            cursor.execute("CHECKPOINT")

    def lay_out(self, name: str, files: Sequence[Migration]) -> list[Tool]:
        """Write the project of each tool for these files; psql, the floor, comes first."""
        folder = self.folder / name.replace(" ", "-")
        made = [
            tools.psql(self.server.bindir, folder / "psql", files),
            tools.migrate(folder / "migrate", files),
            tools.yoyo(folder / "yoyo-on-pgproof", files, "+pgproof"),
            tools.yoyo(folder / "yoyo", files),
            tools.alembic(folder / "alembic", files),
        ]
        if isinstance(self.dbmate, Path):
            url = tools.dbmate_url(self.server.parameters(DATABASE))
            made.append(tools.dbmate(self.dbmate, folder / "dbmate", files, url))
        return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 0, or 1 where a program fails."""
    arguments = _parser().parse_args(argv)
    try:
        with _bench(arguments.rounds) as bench:
            report = _growth(bench) if arguments.growth else _comparison(bench, arguments.sizes)
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    text = page(report)
    print(json.dumps(asdict(report), indent=2) if arguments.json else text)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
    return 0


def small(count: int) -> list[Migration]:
    """Return `count` migrations as most are: a table or so, an index, a comment."""
    files: list[Migration] = []
    for number in range(1, count + 1):
        table = f"item_{number:05d}"
        depends = f"-- depends: {files[-1].name}\n" if files else ""
        forward = (
            f"-- Items of kind {number}.\n{depends}\n"
            f"CREATE TABLE {table} (\n    id   bigint PRIMARY KEY,\n    name text NOT NULL\n);\n\n"
            f"CREATE INDEX {table}_name_idx ON {table} (name);\n\n"
            f"COMMENT ON TABLE {table} IS 'Items of kind {number}';\n"
        )
        files.append(Migration(f"{number:05d}_add_{table}", forward, f"DROP TABLE {table};\n"))
    return files


def _comparison(bench: Bench, sizes: Sequence[int]) -> Report:
    realistic = Migration(
        REALISTIC.stem,
        REALISTIC.read_text(encoding="utf-8"),
        REALISTIC.with_suffix(".rollback.sql").read_text(encoding="utf-8"),
    )
    workloads = {f"1 realistic migration, {REALISTIC.name}": [realistic]}
    workloads |= {f"{size:,} small migrations": small(size) for size in sizes}
    starts: dict[str, Figure] = {}
    tables: dict[str, dict[str, dict[str, Figure]]] = {}
    for number, (name, files) in enumerate(workloads.items()):
        laid_out = bench.lay_out(str(number), files)
        if not starts:
            _costs(replace(bench, rounds=1), "warming up", laid_out)  # Python compiles once
            starts = _starts(bench, laid_out)
        tables[name] = _table(bench, name, laid_out)
    absent = {"dbmate": bench.dbmate} if isinstance(bench.dbmate, str) else {}
    sized = ",".join(map(str, sizes))
    command = f"scripts/bench runner --rounds {bench.rounds} --sizes {sized}"
    return Report(command, bench.rounds, _machine(bench), starts, tables, absent=absent)


def _growth(bench: Bench) -> Report:
    seconds: dict[str, dict[int, float]] = defaultdict(dict)
    for count in GROWTH:
        tool = tools.migrate(bench.folder / str(count), small(count))
        costs = _costs(bench, f"{count:,} small migrations", [tool])
        for task in TASKS:
            seconds[task][count] = statistics.median(cost.wall for cost in costs[tool.name][task])
    few, many = GROWTH
    exponents = {
        task: math.log(found[many] / found[few]) / math.log(many / few)
        for task, found in seconds.items()
    }
    command = f"scripts/bench runner --growth --rounds {bench.rounds}"
    return Report(command, bench.rounds, _machine(bench), growth=seconds, exponents=exponents)


def _starts(bench: Bench, laid_out: Sequence[Tool]) -> dict[str, Figure]:
    """Measure `--version` of each program, over a Python that does nothing."""
    commands: dict[str, tools.Command] = {"python -c pass": (sys.executable, "-c", "pass")}
    for tool in laid_out:
        commands[tool.name] = tool.commands["version"]
    commands["migrate, the script"] = (str(Path(sys.executable).with_name("migrate")), "--version")
    del commands["yoyo on pgproof"]
    _tell("start-up")
    costs: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(bench.rounds * STARTS_A_ROUND):
        for name, command in commands.items():
            costs[name].append(measure.run(command, bench.environment, bench.folder))
    return {name: measure.figure(found, costs["python -c pass"]) for name, found in costs.items()}


def _table(bench: Bench, name: str, laid_out: Sequence[Tool]) -> dict[str, dict[str, Figure]]:
    costs = _costs(bench, name, laid_out)
    floor = costs[laid_out[0].name]
    return {
        tool: {task: measure.figure(found, floor[task]) for task, found in tasks.items()}
        for tool, tasks in costs.items()
    }


def _costs(bench: Bench, name: str, laid_out: Sequence[Tool]) -> dict[str, dict[str, list[Cost]]]:
    """Run every task of every tool in each round, and return the costs by tool and task."""
    costs: dict[str, dict[str, list[Cost]]] = {t.name: defaultdict(list) for t in laid_out}
    for number in range(bench.rounds):
        turn = number % len(laid_out)
        for tool in (*laid_out[turn:], *laid_out[:turn]):
            _tell(f"{name}: round {number + 1} of {bench.rounds}, {tool.name}")
            bench.fresh()
            environment = {**bench.environment, **tool.variables}
            for task in TASKS:
                if task in tool.commands:
                    cost = measure.run(tool.commands[task], environment, tool.folder)
                    costs[tool.name][task].append(cost)
    return costs


def _machine(bench: Bench) -> list[str]:
    """Return what the figures depend on."""
    with closing(psycopg2.connect(**bench.server.parameters())) as connection:
        number = connection.server_version
    return [
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        f"PostgreSQL {number // 10000}.{number % 10000}, over a unix socket",
        f"Python {platform.python_version()}, yoyo {version('yoyo-migrations')}, "
        f"psycopg2 {version('psycopg2-binary')}, Alembic {version('alembic')}, "
        f"dbmate {tools.DBMATE}",
    ]


@contextmanager
def _bench(rounds: int) -> Iterator[Bench]:
    """Make a server and a folder for one run, and remove both at its end."""
    home = Path(tempfile.mkdtemp(prefix="pgproof-bench-"))
    home.chmod(0o755)  # as root, the server runs as another user
    server = Server(home / "server", find_binaries())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        server.start()
        yield Bench(server, home, rounds, tools.find_dbmate(cache / "pgproof-bench"))
    finally:
        server.stop()
        shutil.rmtree(home)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="scripts/bench runner", description=__doc__)
    made.add_argument("--json", action="store_true", help="print JSON, not Markdown")
    made.add_argument("--rounds", type=int, default=5, metavar="N", help="how many (5)")
    made.add_argument(
        "--sizes", type=_counts, default=(100, 1000), metavar="N,N", help="small ones (100,1000)"
    )
    made.add_argument("--growth", action="store_true", help="measure growth from 1,000 to 10,000")
    made.add_argument("--output", type=Path, metavar="FILE", help="write the page there, too")
    return made


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
