"""What is measured of each schema once it holds so many documents, and what is checked meanwhile.

    found = Found()
    schema_tasks.purge(stores, meter, found, Effort())

The schemas take turns at everything, so that another load on the machine meets them all alike.
"""

import hashlib
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg2
from psycopg2 import errors, extensions

from benchmarks.corpus import UNTIL, Corpus
from benchmarks.store import TAGS, TENANT, Cost, Meter, Store, executed

WORKERS = 8
_AT_ONCE = 50  # documents of one turn at ingest one by one, and of one batch of an importer
_IN_A_TURN = 20  # look-ups or pages
CHANGED = 100  # documents that one statement changes


@dataclass(frozen=True)
class Effort:
    """How often things are done: for a page, or for a test in seconds.

    `budget` ends the tries of a schema that reads every document: seconds a task and schema.
    """

    tries: int = 300
    budget: float = 2.0
    singles: int = 300
    contents: int = 400
    taken: int = 400
    batch: int = 1000
    changes: int = 10
    purges: int = 5
    purged: int = 40


@dataclass
class Found:
    """Figures by task and subject, and the checks: by task and subject, what was counted."""

    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    checks: dict[str, dict[str, Mapping[str, int]]] = field(default_factory=dict)
    sizes: dict[str, dict[str, float]] = field(default_factory=dict)

    def put(self, task: str, store: Store, figure: float) -> None:
        """Keep a figure."""
        self.figures.setdefault(task, {})[store.subject.name] = figure

    def put_costs(self, task: str, store: Store, costs: Sequence[tuple[int, Cost]]) -> None:
        """Keep the rate, the CPU and the WAL of work in several turns, each of so many items."""
        items = sum(count for count, _ in costs)
        whole = sum((cost for _, cost in costs), Cost())
        self.put(task, store, statistics.median(count / cost.wall for count, cost in costs))
        self.put(f"{task}, CPU", store, whole.cpu / items * 1e6)
        self.put(f"{task}, WAL", store, whole.wal / items)


@dataclass(frozen=True)
class Sample:
    """A document as one store knows it, and a place in its lists."""

    digest: bytes
    id: Any
    share: float  # of the documents that are there, those that came before it
    at: datetime


def samples(store: Store, documents: Corpus, count: int, loaded: int) -> list[Sample]:
    """Return documents drawn from the `loaded` first ones, the same for every store."""
    draw = random.Random(1)  # noqa: S311 - no secret
    last = datetime.fromisoformat(f"{UNTIL}:00")
    found = []
    for _ in range(count):
        number = draw.randint(1, loaded)
        content = hashlib.sha256(f"{documents.seed}:{TENANT}:{number}".encode()).digest()
        ((key, *_),) = store.ask("pick", digest=content, n=number) or [(None,)]
        if key is not None:
            at = last - timedelta(days=730) * (1 - number / documents.documents)
            found.append(Sample(content, key, number / loaded, at))
    return found


def look(stores: Mapping[Store, tuple[Found, Sequence[Sample]]], effort: Effort) -> None:
    """Measure every look-up and page, in microseconds of the client.

    The stores are of all sizes: each has what is found of it, and documents to ask for. They take
    turns by some questions, each asked twice, and the second answer counts: the first one waits
    for pages and caches that another store has driven out.
    """
    questions: dict[str, Callable[[Store, Sample, random.Random], Sequence[object]]] = {
        "look_up": lambda store, sample, _: [sample.digest],
        "live_page": _live,
        "trash_page": _trash,
        "search": _words,
        "tag_filter": lambda store, sample, draw: [_tag(draw), sample.id],
        "history": lambda store, sample, _: [sample.id],
    }
    for name, question in questions.items():
        took: dict[Store, list[float]] = {store: [] for store in stores if store.does(name)}
        for first in range(0, effort.tries, _IN_A_TURN):
            for store, log in took.items():
                _, drawn = stores[store]
                for number in range(first, min(first + _IN_A_TURN, effort.tries)):
                    if sum(log) > effort.budget and len(log) >= 3:
                        break
                    draw = random.Random(number)  # noqa: S311 - no secret
                    arguments = question(store, drawn[number % len(drawn)], draw)
                    store.execute(name, *arguments)
                    started = time.perf_counter()
                    store.execute(name, *arguments)
                    log.append(time.perf_counter() - started)
        for store, log in took.items():
            stores[store][0].put(name, store, statistics.median(log) * 1e6)


def _tag(draw: random.Random) -> int:
    return 1 + int(TAGS * draw.random() ** 2)


def _live(store: Store, sample: Sample, _: random.Random) -> Sequence[object]:
    # A page's number counts from the newest; the size is that of the draw, near enough.
    place = int((1 - sample.share) * _rows(store))
    return store.ask("live_from", id=sample.id, place=place)[0]


def _trash(store: Store, sample: Sample, _: random.Random) -> Sequence[object]:
    return store.ask("trash_from", at=sample.at, place=int(sample.share * _rows(store)))[0]


def _rows(store: Store) -> int:
    cursor = store.connection.cursor()
    cursor.execute("SELECT reltuples FROM pg_class WHERE relname ~ '^documents(_document)?$'")
    return int(cursor.fetchall()[0][0])


def _words(store: Store, sample: Sample, draw: random.Random) -> Sequence[object]:
    # The second word of nearly every filename is a number of its own.
    kind = draw.choice(("Invoice", "Contract", "Letter", "Report"))
    return [f"{kind} {draw.randint(1, max(_rows(store), 1))}"]


def change(
    stores: Sequence[Store],
    meter: Meter,
    found: Found,
    effort: Effort,
    drawn: Mapping[Store, Sequence[Sample]],
) -> None:
    """Measure changes, each of which appends an entry to the audit: entries a second."""
    costs: dict[str, list[tuple[int, Cost]]] = {store.subject.name: [] for store in stores}
    for number in range(effort.changes):
        for store in stores:
            if not store.does("change"):
                continue
            keys = {sample.id for sample in drawn[store]}
            some = sorted(keys, key=str)[number :: effort.changes][:CHANGED]
            with meter.of(store.pid) as cost:
                store.execute("change", f"{{{','.join(map(str, some))}}}", 100 + number)
            costs[store.subject.name].append((len(some), cost))
    for store in stores:
        if costs[store.subject.name]:
            found.put_costs("change", store, costs[store.subject.name])


def ingest_one_by_one(
    stores: Sequence[Store], meter: Meter, found: Found, rows: Sequence[Sequence[str | None]]
) -> None:
    """Measure documents that come alone, a transaction each."""
    costs: dict[str, list[tuple[int, Cost]]] = {store.subject.name: [] for store in stores}
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        for store in stores:
            with meter.of(store.pid) as cost:
                for row in some:
                    cursor = store.connection.cursor()
                    cursor.execute(f"EXECUTE ingest_one ({_places(row)})", row)
            costs[store.subject.name].append((len(some), cost))
    for store in stores:
        found.put_costs("one by one", store, costs[store.subject.name])


def _places(row: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(row))


def reimport(store: Store, found: Found, rows: Sequence[Sequence[str | None]]) -> None:
    """Let importers bring the same contents at once, each in an order of its own; count what came.

    A transaction brings a batch; the importer whom the database refuses brings its batch again,
    document by document. Doubled and lost are counted by content at the end.
    """
    counts: Counter[str] = Counter()

    def work(number: int, connection: extensions.connection) -> None:
        mine = list(rows)
        random.Random(number).shuffle(mine)  # noqa: S311 - no secret
        for first in range(0, len(mine), _AT_ONCE):
            batch = mine[first : first + _AT_ONCE]
            if not _brought(connection, store, batch, counts):
                for row in batch:
                    _brought(connection, store, [row], counts)

    found.put("reimport", store, len(rows) * WORKERS / _all_at_once(store, work))
    digests = [row[0] for row in rows]
    copies = {bytes(digest): many for digest, many in store.ask("copies", digests=digests)}
    found.checks.setdefault("reimport", {})[store.subject.name] = {
        "doubled": sum(many - 1 for many in copies.values()),
        "lost": len(set(digests)) - len(copies),
        "deadlocks": counts["deadlocks"],
        "refused": counts["refused"],
    }


def _brought(
    connection: extensions.connection,
    store: Store,
    rows: Sequence[Sequence[str | None]],
    counts: Counter[str],
) -> bool:
    """Bring documents in a transaction; False where the database refused it."""
    cursor = connection.cursor()
    cursor.execute("TRUNCATE arrived")
    arriving = f"INSERT INTO arrived VALUES ({_places(rows[0])})"  # noqa: S608 - of %s
    cursor.execute("; ".join(cursor.mogrify(arriving, row).decode() for row in rows))
    try:
        cursor.execute(store.subject.parts["ingest"].sql)
    except errors.DeadlockDetected:
        counts["deadlocks"] += 1
        return False
    except errors.UniqueViolation:
        counts["refused"] += 1
        return False
    return True


def take(store: Store, found: Found, effort: Effort) -> None:
    """Let workers take what is due, until there is enough or no more; count what came twice."""
    taken: list[Any] = []

    def work(_: int, connection: extensions.connection) -> None:
        while len(taken) < effort.taken and (some := executed(connection, "take", [])):
            taken.extend(key for (key,) in some)

    seconds = _all_at_once(store, work)
    if taken:
        found.put("take", store, len(taken) / seconds)
    twice = len(taken) - len(set(taken))
    found.checks.setdefault("take", {})[store.subject.name] = {"taken": len(taken), "twice": twice}


def purge(stores: Sequence[Store], meter: Meter, found: Found, effort: Effort) -> None:
    """Measure the emptying of the trash, the longest deleted first: documents a second."""
    costs: dict[str, list[tuple[int, Cost]]] = {store.subject.name: [] for store in stores}
    for _ in range(effort.purges):
        for store in stores:
            if not store.does("purge"):
                continue
            with meter.of(store.pid) as cost:
                ((gone,),) = store.execute("purge", effort.purged)
            if gone:
                costs[store.subject.name].append((gone, cost))
    for store in stores:
        if costs[store.subject.name]:
            found.put_costs("purge", store, costs[store.subject.name])


def _all_at_once(store: Store, work: Callable[[int, extensions.connection], None]) -> float:
    """Let workers, each in a session, begin at the same moment; return the seconds of them all.

    Raises what the first raises that fails.
    """
    start = threading.Barrier(WORKERS + 1)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with closing(store.session()) as connection:
                start.wait()
                work(number, connection)
        except (psycopg2.Error, threading.BrokenBarrierError) as error:
            failures.append(error)
            start.abort()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):
        start.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - started
