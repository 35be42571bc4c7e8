"""How fast docmeta is at what a pipeline asks of it, beside three other schemas.

    scripts/bench schema --output docs/speed_of_schema.md
    scripts/bench schema --sizes 2000,10000

On an embedded server with durable settings the same documents come to each schema, once for each
size; look-ups and pages are asked of all sizes in turn, at the end. The exit code is 1 where a
target is missed or a check failed.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks import durable, schema_page, schema_tasks, schemas
from benchmarks.corpus import Corpus
from benchmarks.schema_page import Report
from benchmarks.schema_tasks import Effort, Found, Sample
from benchmarks.schemas import Subject
from benchmarks.store import TAGS, Arrivals, Cost, Meter, Store
from pgproof import database, migrations, runner
from pgproof.errors import UserError
from pgproof.server import Server

SQL = Path(__file__).resolve().parents[2] / "sql"
MEASURED = 0.1  # of a size: its last batches, for before the store was smaller
MEASURED_WITHOUT = 0.5  # where one part is missing; the difference is small, and wants more of them
WITHOUT = 100_000  # documents that come to 0001 without each of its parts
# No autovacuum: it would fall on whose turn it is. Each size is vacuumed before it is measured.
SETTINGS = {"autovacuum": "off", "checkpoint_timeout": "1h"}

_CLIENT = """
    DO $$
    BEGIN
        IF to_regrole('bench_client') IS NULL THEN
            CREATE ROLE bench_client;
        END IF;
    END
    $$;
    GRANT docmeta_ingest, docmeta_app, docmeta_retention TO bench_client
"""
_SIZES = """
    SELECT c.oid::regclass::text, pg_table_size(c.oid)::float8
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'docmeta') AND relkind IN ('r', 'i')
        AND relname !~ 'yoyo'
    ORDER BY coalesce((SELECT indrelid FROM pg_index WHERE indexrelid = c.oid), c.oid)::regclass
        ::text, relkind DESC, relname
"""
# The documents and their contents, with all indexes; another schema's, too.
_ROOM = """
    SELECT sum(pg_total_relation_size(c.oid))::float8
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'docmeta')
        AND relname IN ('documents', 'hash_index', 'documents_document')
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 0, or 1 where a target is missed."""
    arguments = _parser().parse_args(argv)
    durable.end_on_sigterm()
    try:
        with durable.server(arguments.home, SETTINGS) as server:
            report = measured(
                server,
                arguments.sizes,
                arguments.seed,
                subjects=arguments.only,
                without=arguments.without,
            )
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    text = schema_page.page(report)
    print(text)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
    return int(not report.is_reached)


def measured(
    server: Server,
    sizes: Sequence[int],
    seed: int = 1,
    effort: Effort | None = None,
    subjects: Sequence[Subject] = schemas.SUBJECTS,
    without: int = 0,
) -> Report:
    """Load each subject to each of the sizes, and return what was measured there.

    `without` is how many documents come to 0001 without each of its parts; none by default.
    """
    effort = effort or Effort()
    documents = Corpus(max(sizes), seed)
    with ExitStack() as stack:
        server.create_database("arrivals")
        arrivals = Arrivals(server.parameters("arrivals"), documents)
        stack.enter_context(closing(arrivals))
        meter = stack.enter_context(closing(Meter(server.parameters())))

        def empty(of: Sequence[Subject], size: int) -> _Filled:
            stores = [_store(server, subject, size, arrivals.runs) for subject in of]
            for store in stores:
                stack.callback(store.connection.close)
            return _Filled(stores, arrivals, meter, documents, effort)

        found: dict[int, Found] = {}
        looked: dict[Store, tuple[Found, Sequence[Sample]]] = {}
        for size in sorted(set(sizes)):
            filled = empty(subjects, size)
            found[size] = filled.measured(size)
            looked |= {store: (found[size], drawn) for store, drawn in filled.drawn(size).items()}
        _tell("look-ups and pages")
        schema_tasks.look(looked, effort)
        parts = None
        if without:
            _tell("0001 without each of its parts")
            whole_and_less = empty((schemas.WHOLE, *schemas.WITHOUT, schemas.LIMIT), without)
            parts = whole_and_less.load(without, MEASURED_WITHOUT)
        facts = _facts(server, documents)
    return Report(_command(sizes, seed, subjects, without), facts, found, subjects, parts)


class _Filled:
    """Stores of one size; `_came` documents have come to each of them."""

    def __init__(
        self,
        stores: Sequence[Store],
        arrivals: Arrivals,
        meter: Meter,
        documents: Corpus,
        effort: Effort,
    ) -> None:
        self._stores = stores
        self._arrivals = arrivals
        self._meter = meter
        self._documents = documents
        self._effort = effort
        self._came = 0
        self._analyzed = 0

    def measured(self, size: int) -> Found:
        """Load so many documents, and measure everything but look-ups and pages."""
        found = self.load(size, MEASURED)
        effort, meter = self._effort, self._meter
        _tell(f"{size:,} documents: changes, importers, workers, purges")
        schema_tasks.change(self._stores, meter, found, effort, self.drawn(size))
        schema_tasks.ingest_one_by_one(self._stores, meter, found, self._next(effort.singles))
        schema_tasks.purge(self._stores, meter, found, effort)
        known = self._arrivals.rows(1, effort.contents // 2)
        again = [*known, *self._next(effort.contents - len(known))]
        for store in self._stores:
            if store.does("copies"):
                schema_tasks.reimport(store, found, again)
            if store.does("take"):
                schema_tasks.take(store, found, effort)
        return found

    def drawn(self, size: int) -> dict[Store, Sequence[Sample]]:
        """Return some of the documents that are there, by store."""
        count = max(self._effort.tries, self._effort.changes * schema_tasks.CHANGED)
        return {
            store: schema_tasks.samples(store, self._documents, count, size)
            for store in self._stores
        }

    def load(self, size: int, share: float) -> Found:
        """Load so many documents; measure the last `share` of the batches, and the room of all."""
        found = Found()
        costs: dict[str, list[tuple[int, Cost, float]]] = {s.subject.name: [] for s in self._stores}
        begun = self._came
        step = self._effort.batch
        parts = [(n + 1, min(n + step, size)) for n in range(begun, size, step)]
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._arrivals.batch, *parts[0])
            for (first, last), after in zip_longest(parts, parts[1:]):
                batch = coming.result()
                if after:
                    coming = ahead.submit(self._arrivals.batch, *after)
                count = last - first + 1
                # Each is the first of a round as often as the others: it finds cold caches.
                for number in range(len(self._stores)):
                    store = self._stores[(number + last // step) % len(self._stores)]
                    costs[store.subject.name].append((count, *self._brought(store, batch, count)))
                self._came = last
                self._analyze()
                if last % (100 * step) == 0 or last == size:
                    _tell(f"{last:,} of {size:,} documents")
        least = max(10, round((size - begun) / self._effort.batch * share))
        for store in self._stores:
            late = costs[store.subject.name][-least:]
            found.put_costs("batches", store, [(count, cost) for count, cost, _ in late])
            found.put("transport", store, sum(took for *_, took in late) / len(late))
            _settle(store, found, size)
        return found

    def _brought(self, store: Store, batch: bytes, count: int) -> tuple[Cost, float]:
        """Return what it cost to bring a batch, and the microseconds a document took to arrive."""
        with self._meter.of(store.pid) as cost:
            started = time.perf_counter()
            store.arrive(batch)
            arriving = time.perf_counter() - started
            store.ingest()
        store.fill()
        return cost, arriving / count * 1e6

    def _analyze(self) -> None:
        """Tell the planner what there is each time that it has doubled, as autovacuum would."""
        if self._came >= 2 * self._analyzed:
            self._analyzed = self._came
            for store in self._stores:
                store.maintain("ANALYZE")

    def _next(self, count: int) -> list[tuple[str | None, ...]]:
        rows = self._arrivals.rows(self._came + 1, self._came + count)
        self._came += count
        return rows


def _store(server: Server, subject: Subject, size: int, runs: int) -> Store:
    """Make the database of a subject, with what must be there before a document."""
    name = f"{subject.word}_{size}"
    server.create_database(name)
    parameters = server.parameters(name)
    if subject.migrations:
        _migrate(parameters, subject.migrations)
    with closing(psycopg2.connect(**parameters)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        if "tables" in subject.parts:
            cursor.execute(subject.parts["tables"].sql)
        if subject.without:
            cursor.execute(subject.without)
        if "first" in subject.parts:
            cursor.execute(subject.parts["first"].sql, {"batches": runs, "tags": TAGS})
        if subject.migrations == "all":
            cursor.execute(_CLIENT)
    return Store(subject, parameters)


def _migrate(parameters: Mapping[str, Any], upto: str) -> None:
    backend = runner.open_backend(database.Database(parameters, "the benchmark"), {}, {})
    runner.up(backend, migrations.read([SQL]), None if upto == "all" else upto, lambda _: None)
    backend.connection.close()


def _settle(store: Store, found: Found, documents: int) -> None:
    """Vacuum, and measure the room."""
    store.maintain("VACUUM (ANALYZE)")
    store.maintain("CHECKPOINT")
    cursor = store.connection.cursor()
    cursor.execute(_SIZES)
    found.sizes[store.subject.name] = {name: room / documents for name, room in cursor.fetchall()}
    cursor.execute(_ROOM)
    ((room,),) = cursor.fetchall()
    found.put("bytes", store, room / documents)


def _facts(server: Server, documents: Corpus) -> list[str]:
    """Return what the figures depend on."""
    with closing(psycopg2.connect(**server.parameters())) as connection:
        number = connection.server_version
        cursor = connection.cursor()
        cursor.execute("SHOW shared_buffers")
        ((buffers,),) = cursor.fetchall()
    return [
        f"{os.cpu_count()} cores, for the server and its clients",
        f"PostgreSQL {number // 10000}.{number % 10000}, over a unix socket, durable (fsync, "
        f"synchronous_commit and full_page_writes on), shared_buffers {buffers}",
        f"seed {documents.seed}; a batch is a COPY into a temporary table and a statement of the "
        "schema's own, in transactions of their own; CPU is that of the server process",
    ]


def _command(sizes: Sequence[int], seed: int, subjects: Sequence[Subject], without: int) -> str:
    words = [f"scripts/bench schema --sizes {','.join(map(str, sizes))}"]
    words += [f"--seed {seed}"] if seed != 1 else []
    if tuple(subjects) != schemas.SUBJECTS:
        words += [f"--only {','.join(subject.word for subject in subjects)}"]
    words += [f"--without {without}"] if without != WITHOUT else []
    return " ".join(words)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="scripts/bench schema", description=__doc__)
    made.add_argument(
        "--sizes",
        type=_counts,
        default=(100_000, 1_000_000),
        metavar="N,N",
        help="documents (100000,1000000)",
    )
    made.add_argument("--seed", type=int, default=1, metavar="N", help="of the documents (1)")
    made.add_argument(
        "--only",
        type=_subjects,
        default=schemas.SUBJECTS,
        metavar="NAME,NAME",
        help=f"which schemas ({','.join(subject.word for subject in schemas.SUBJECTS)})",
    )
    made.add_argument(
        "--without",
        type=int,
        default=WITHOUT,
        metavar="N",
        help=f"documents that come to 0001 without each of its parts; 0: none ({WITHOUT})",
    )
    made.add_argument(
        "--home",
        type=Path,
        metavar="FOLDER",
        help="for the server's data (the folder for temporary files)",
    )
    made.add_argument("--output", type=Path, metavar="FILE", help="write the page there, too")
    return made


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _subjects(text: str) -> tuple[Subject, ...]:
    known = {subject.word: subject for subject in schemas.SUBJECTS}
    if unknown := set(text.split(",")) - known.keys():
        raise argparse.ArgumentTypeError(f"no such schema: {', '.join(sorted(unknown))}")
    return tuple(known[word] for word in text.split(","))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
