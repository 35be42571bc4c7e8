"""What clients feel of each migration and its rollback, and of the obvious way beside it.

    scripts/bench online --output docs/online.md
    scripts/bench online --documents 50000 --seconds 2

On an embedded server with durable settings it makes a database of documents from a seed, lets
readers and writers come at a steady rate, half of what the machine can take, and runs
`migrate up --to` and `migrate down --to` for each migration after the first: forward, rollback,
then forward again, for the next one builds on it. Between them nothing is done for some seconds:
that is what a step is compared with.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions

from benchmarks import corpus, durable, load, online_page, picture
from benchmarks.corpus import Corpus
from benchmarks.obvious import WAYS, Way
from benchmarks.steps import Run, locks
from pgproof import migrations
from pgproof.errors import UserError
from pgproof.server import Server, find_binaries

SQL = Path(__file__).resolve().parents[2] / "sql"
DATABASE = "bench"
CALIBRATION = 10  # seconds; the cache is cold at first, and that is no reason for a low rate
CALIBRATED = 50_000  # documents, or as many as are measured
SHARE = 0.5  # of what the machine can take with every migration applied: they make writes dearer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 0, or 1 where a client erred or a step is above its bound."""
    arguments = _parser().parse_args(argv)
    durable.end_on_sigterm()
    try:
        report = measured(
            Corpus(arguments.documents, arguments.seed),
            arguments.sql,
            seconds=arguments.seconds,
            rate=arguments.rate,
            wanted=arguments.only.split(",") if arguments.only else (),
            home=arguments.home,
        )
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    output: Path | None = arguments.output
    name = output.with_suffix(".svg").name if output else None
    text = online_page.page(report, name)
    print(text)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
        output.with_suffix(".svg").write_text(picture.drawn(report), encoding="utf-8")
    return int(not report.is_reached)


def measured(
    documents: Corpus,
    sql: Path,
    *,
    seconds: float,
    rate: float | None = None,
    wanted: Sequence[str] = (),
    ways: Mapping[str, Sequence[Way]] = WAYS,
    home: Path | None = None,
    calibration: int = CALIBRATION,
) -> online_page.Report:
    """Run every step, and return what was seen.

    `seconds` is how long nothing is done before each step, `rate` the transactions a second of all
    clients together, `wanted` the migrations to measure (by id or number; the others are applied),
    `home` the folder for the server's data. Raises UserError where a server or the clients do not
    start, or a migration cannot be applied at all.
    """
    first, *later = list(migrations.read([sql]))
    ids = [migration.id for migration in later]
    chosen = {migrations.find(name, ids) for name in wanted} or set(ids)
    _tell("the locks of each step, on a scratch database")
    modes = locks([first, *later])
    with _server(home) as server:
        parameters = server.parameters(DATABASE)
        run = Run(parameters, sql, seconds, _tell)
        with _connected(server.parameters()) as connection:
            load.make_logins(connection)
        program = server.bindir / "pgbench"
        given, capacity = rate, None
        if rate is None:
            capacity = _capacity(server, documents, sql, (later or [first])[-1].id, calibration)
            rate = capacity * SHARE
        run.bring_to(first.id)
        corpus.fill(parameters, documents, _tell)
        with _connected(parameters) as connection:
            load.let_in(connection)
        writes = rate / (1 + load.READS_A_WRITE)
        _tell(f"{rate:.0f} transactions a second, {writes:.0f} of them writes")
        with load.running(program, parameters, documents, rate - writes, writes) as clients:
            run.quiet(seconds * 3)
            before = first.id
            for migration in later:
                if migration.id in chosen:
                    run.each_way(migration, before, ways.get(migration.id, ()))
                else:
                    run.bring_to(migration.id)
                before = migration.id
            run.quiet(seconds)
        facts = _machine(server, documents)
    return online_page.reported(
        run.spans,
        clients,
        modes,
        command=_command(documents, seconds, given, wanted),
        facts=facts,
        rate=rate,
        capacity=capacity,
    )


def _capacity(server: Server, documents: Corpus, sql: Path, newest: str, seconds: int) -> float:
    """Return how many transactions a second clients get done on the newest schema."""
    name = f"{DATABASE}_newest"
    some = Corpus(min(documents.documents, CALIBRATED), documents.seed)
    server.create_database(name)
    parameters = server.parameters(name)
    Run(parameters, sql, 0, _tell).bring_to(newest)
    corpus.fill(parameters, some, lambda _: None)
    with _connected(parameters) as connection:
        load.let_in(connection)
    _tell(f"what the machine can take with every migration applied, {seconds} s")
    found = load.capacity(server.bindir / "pgbench", parameters, some, seconds)
    with _connected(server.parameters()) as connection:
        connection.cursor().execute(f"DROP DATABASE {name}")
    return found


@contextmanager
def _connected(parameters: Mapping[str, Any]) -> Iterator[extensions.connection]:
    with closing(psycopg2.connect(**parameters)) as connection:
        connection.autocommit = True
        yield connection


@contextmanager
def _server(home: Path | None) -> Iterator[Server]:
    """Make a server on disk with a database, and remove it at the end."""
    bindir = find_binaries()
    if not (bindir / "pgbench").exists():
        raise UserError(f"no pgbench in {bindir}\nName a PostgreSQL that has it in PGPROOF_BINDIR.")
    with durable.server(home) as server:
        server.create_database(DATABASE)
        yield server


def _machine(server: Server, documents: Corpus) -> list[str]:
    """Return what the figures depend on."""
    with closing(psycopg2.connect(**server.parameters(DATABASE))) as connection:
        cursor = connection.cursor()

        def value(query: str) -> str:
            cursor.execute(query)
            return str(cursor.fetchall()[0][0])

        number = connection.server_version
        size = value("SELECT pg_database_size(current_database())")
        buffers = value("SHOW shared_buffers")
    return [
        f"{os.cpu_count()} cores, for the server and its clients",
        f"PostgreSQL {number // 10000}.{number % 10000}, over a unix socket, durable (fsync, "
        f"synchronous_commit and full_page_writes on), shared_buffers {buffers}",
        f"{documents.documents:,} documents and {documents.documents * 4:,} audit rows of three "
        f"tenants at the start, seed {documents.seed}; {int(size) / 2**30:.1f} GiB at the end",
    ]


def _command(documents: Corpus, seconds: float, rate: float | None, wanted: Sequence[str]) -> str:
    words = [f"scripts/bench online --documents {documents.documents} --seconds {seconds:g}"]
    words += [f"--seed {documents.seed}"] if documents.seed != 1 else []
    words += [f"--rate {rate:g}"] if rate is not None else []
    words += [f"--only {','.join(wanted)}"] if wanted else []
    return " ".join(words)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="scripts/bench online", description=__doc__)
    made.add_argument("--documents", type=int, default=1_000_000, metavar="N", help="(1000000)")
    made.add_argument("--seed", type=int, default=1, metavar="N", help="of the documents (1)")
    made.add_argument(
        "--seconds", type=float, default=6, metavar="S", help="quiet before each step (6)"
    )
    made.add_argument(
        "--rate",
        type=float,
        metavar="N",
        help="transactions a second, two reads a write (half of what the machine can take)",
    )
    made.add_argument("--only", metavar="ID,ID", help="measure these, apply the others")
    made.add_argument("--sql", type=Path, default=SQL, metavar="FOLDER", help="the migrations")
    made.add_argument(
        "--home",
        type=Path,
        metavar="FOLDER",
        help="for the server's data (the folder for temporary files)",
    )
    made.add_argument(
        "--output", type=Path, metavar="FILE", help="write the page there, and the picture beside"
    )
    return made


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
