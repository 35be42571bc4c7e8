"""A fleet of databases, migrated side by side: which they are, and how each of them ended.

    fleet.up(fleet.read("fleet.txt"), Work(files), jobs=4, told=print)

What is done stands in each database's own history, so nothing else is kept: the same run again
passes over what is done. Each database has a process of its own, for signals and psycopg2's wait
callback (session.py) are a whole process's. It is forked: the files are read once, every database
gets the same text, and no password goes through a command line or an environment.
"""

import multiprocessing
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg2

from pgproof import database, runner
from pgproof.backend import PgproofBackend
from pgproof.errors import UserError
from pgproof.session import Interrupted, Session, Settings, watched

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK = 0.2  # seconds between two looks for a signal
SUCCESS = ("done", "already done")
_FORK = multiprocessing.get_context("fork")
Running = dict[Connection, tuple[int, ForkProcess]]  # the line and the process, by the pipe from it

_COMMENT = re.compile(r"(^|\s)#.*")
_SERVICE = re.compile(r"[^\s:/@=\0]+")
_PLACE = ("service", "host", "hostaddr", "port", "dbname")  # what tells one database from another


@dataclass(frozen=True)
class Target:
    """One database of a list: its name there, without a password, its line, and the way to it."""

    name: str
    line: int
    database: database.Database


@dataclass(frozen=True)
class Outcome:
    """What became of one database.

    `state` is done, already done, failed, interrupted, or untouched: not begun. `applied` are the
    ids of this run, `stopped_at` the one that it did not get through, `is_at` the last one that
    the database has. `seconds` are those of its process.
    """

    target: str
    line: int
    state: str = "untouched"
    applied: tuple[str, ...] = ()
    stopped_at: str | None = None
    is_at: str | None = None
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Work:
    """What is done to each database: `files` up to the id `to`, as the settings say.

    `defaults` and `options` are those of `runner.open_backend`.
    """

    files: Any
    to: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a run ended: an outcome for each database, as listed; the signal, if one came."""

    outcomes: list[Outcome]
    signal: int | None


# The list ---------------------------------------------------------------------------------------


def read(path: str) -> list[Target]:
    """Read a list of databases, of a file or (-) standard input: one a line, a service or a URL.

    Raises UserError, without the line's text, for one that is neither, and for one named twice.
    """
    place = "standard input" if path == "-" else path
    found: dict[tuple[str | None, ...], Target] = {}
    for number, line in enumerate(_text(path, place).split("\n"), 1):
        if word := _COMMENT.sub("", line).strip():
            target = _target(word, number, f"{place}, line {number}")
            first = found.setdefault(_place_of(target), target)
            if first is not target:
                raise UserError(
                    f"{place}, line {number}: {target.name} is on line {first.line} already\n"
                    "Take one out, or write what it was meant to be.",
                    exit_code=2,
                )
    if not found:
        raise UserError(f"{place} names no database\nWrite one a line.", exit_code=2)
    return list(found.values())


def _text(path: str, place: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{place}: {error.strerror}\nName another file.", 2) from None
    except UnicodeDecodeError:
        raise UserError(f"{place} is not UTF-8\nSave it as UTF-8.", 2) from None


def _target(word: str, line: int, named_by: str) -> Target:
    if "://" in word and not re.search(r"[\s\0]", word):
        way = database.from_url(word, named_by)
        Settings.take(dict(way.settings))
        return Target(database.shown(word), line, way)
    if _SERVICE.fullmatch(word):
        return Target(word, line, database.Database({"service": word}, named_by))
    raise UserError(
        f"{named_by}: neither a URL nor the name of a service\n"
        "Write postgresql://USER@HOST:PORT/NAME, or a name of pg_service.conf.",
        exit_code=2,
    )


def _place_of(target: Target) -> tuple[str | None, ...]:
    told = target.database.parameters
    # A database that nobody names is called as its user is.
    name = os.environ.get("PGDATABASE", told.get("user"))
    usual = {"port": os.environ.get("PGPORT", "5432"), "dbname": name}
    return tuple(told.get(part, usual.get(part)) for part in _PLACE)


# The run ----------------------------------------------------------------------------------------


def up(
    targets: Sequence[Target],
    work: Work,
    *,
    jobs: int,
    keep_going: bool = False,
    told: Callable[[Outcome], None],
    notify: Callable[[str], None] = lambda text: None,
) -> Ended:
    """Apply what is pending to each database, `jobs` at a time, and call `told` as each ends.

    After a failure no other is begun, unless `keep_going`; after Ctrl-C or SIGTERM none is, and
    those under way are cancelled. `told` is called with the untouched at the end, `notify` with
    what the servers say.
    """
    Settings.take({**work.defaults, **work.options})
    outcomes = {target.line: Outcome(target.name, target.line) for target in targets}
    waiting = deque(targets)
    running: Running = {}
    stopped = False
    with _signals() as came, _ending(running):
        while running or (waiting and not stopped and not came):
            while waiting and len(running) < jobs and not stopped and not came:
                target = waiting.popleft()
                pipe, process = _start(target, work, running)
                running[pipe] = (target.line, process)
                outcomes[target.line] = replace(outcomes[target.line], state="running")
            for _, process in running.values() if came else ():
                process.terminate()
            for pipe, message in _heard(running):
                line, process = running[pipe]
                if isinstance(message, Outcome):
                    outcomes[line] = message
                elif message is not None:
                    notify(f"{outcomes[line].target}: {message}")
                else:
                    del running[pipe]
                    process.join()
                    outcomes[line] = _final(outcomes[line], process, bool(came))
                    stopped |= outcomes[line].state not in SUCCESS and not keep_going
                    told(outcomes[line])
    for target in waiting:
        told(outcomes[target.line])
    return Ended(list(outcomes.values()), came[0] if came else None)


def _start(target: Target, work: Work, running: Running) -> tuple[Connection, ForkProcess]:
    """Start the process of one database; the pipe from it ends when it does."""
    pipe, theirs = _FORK.Pipe(duplex=False)
    ours = (pipe, *running)
    process = _FORK.Process(target=_migrate, args=(target, work, theirs, ours, os.getpid()))
    # Held back until the process answers them itself: our handlers, copied, would swallow them.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    process.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    theirs.close()
    return pipe, process


def _heard(running: Running) -> list[tuple[Connection, object]]:
    """Return the next message of each that has one, within a moment; None where it has ended."""
    heard: list[tuple[Connection, object]] = []
    ready = wait(list(running), LOOK)
    for pipe in [pipe for pipe in running if pipe in ready]:
        try:
            heard.append((pipe, pipe.recv()))
        except (EOFError, OSError):  # OSError: in the middle of a message
            pipe.close()
            heard.append((pipe, None))
    return heard


def _final(last: Outcome, process: ForkProcess, interrupted: bool) -> Outcome:
    """Return an outcome, also of a process that did not live to tell it."""
    if last.state != "running":
        return last
    if interrupted and process.exitcode in [-number for number in SIGNALS]:
        return replace(last, state="interrupted")  # as it connected: then a signal just ends it
    code = process.exitcode or 0
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    error = f"its process ended {how}\nmigrate status tells what was done."
    return replace(last, state="failed", error=error)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that would end this process."""
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    former = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield came
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def _ending(running: Running) -> Iterator[None]:
    """Leave none behind, should this process itself fail."""
    try:
        yield
    finally:
        for pipe, (_, process) in running.items():
            pipe.close()  # else it might wait for ever for somebody to listen
            process.terminate()
        for _, process in running.values():
            process.join()


# In a process of its own ------------------------------------------------------------------------


def _migrate(
    target: Target, work: Work, pipe: Connection, theirs: Sequence[Connection], parent: int
) -> None:
    """Migrate one database, and send an Outcome after each migration and at the end.

    `theirs` are the ends that the parent alone should have, and a fork copies.
    """
    for end in theirs:
        end.close()  # else a pipe that nobody reads would not break
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # until it is connected, nothing can be half done
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    started = time.monotonic()
    made: list[str] = []
    outcome = Outcome(target.name, target.line, "running")

    def send(message: object) -> None:
        with suppress(OSError):  # nobody listens any more
            pipe.send(message)

    def tell(state: str, **more: Any) -> None:
        seconds = round(time.monotonic() - started, 3)
        send(replace(outcome, state=state, applied=tuple(made), seconds=seconds, **more))

    def done(one: runner.Done) -> None:
        made.append(one.id)
        tell("running", is_at=one.id)

    def mind(session: Session, _seconds: float) -> None:
        if os.getppid() != parent:  # killed: nobody could end this one any more
            session.signal = signal.SIGTERM

    try:
        backend = runner.open_backend(target.database, work.defaults, work.options)
    except (UserError, psycopg2.Error) as error:
        return tell("failed", error=str(error).strip())
    session = backend.connection
    session.on_wait = mind
    backend.notify = send
    with closing(session), watched(session):
        state, reason = "failed", None
        try:
            runner.up(backend, work.files, work.to, done)
            state = "done" if made else "already done"
        except Interrupted:
            state = "interrupted"
        except (UserError, psycopg2.Error) as error:
            reason = str(error).strip()
        reached = session.running if session.running not in ("", *made) else None
        tell(
            state,
            error=reason,
            stopped_at=reached if state in ("failed", "interrupted") else None,
            is_at=_last(backend, work.files) or (made[-1] if made else None),
        )
    return None


def _last(backend: PgproofBackend, files: Any) -> str | None:
    """Return the last migration that a database has; None without any, or if it cannot be asked."""
    with suppress(psycopg2.Error, UserError):
        records = backend.records()
        return next(
            (migration.id for migration in reversed(files) if migration.id in records), None
        )
    return None
