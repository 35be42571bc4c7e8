"""The `migrate` command: arguments, printing and exit codes, nothing else.

    migrate up --database postgresql://owner@db.example/docs

Exit codes: 0 done, 1 a difference or a failed migration, or a result that could not be printed,
2 usage. Results go to stdout,
progress and errors to stderr. Each command imports what it needs when it runs, so that
`migrate --version` costs little more than Python itself.
"""

from __future__ import annotations

import io
import os
import sys

from pgproof import __version__
from pgproof.errors import UserError

TYPE_CHECKING = False  # that of `typing`, whose import costs as much as all of these
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TextIO

    from pgproof import fleet
    from pgproof.backend import PgproofBackend
    from pgproof.history import State
    from pgproof.plan import Plan
    from pgproof.project import Project
    from pgproof.runner import Done


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name, sys.argv's by default.

    Returns the exit code; an expected error is printed in a line or two, never as a traceback.
    What changes a database goes on when nobody takes what it prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed: a connection would get its number, and its text
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
            os.set_inheritable(getattr(sys, name).fileno(), True)
    words = sys.argv[1:] if argv is None else argv
    if list(words) == ["--version"]:
        print(f"migrate {__version__}")
        return 0
    import gc

    from pgproof.arguments import parser

    # A thousand files that were read are objects that stay: looking through them again and again
    # takes time, and finds nothing.
    gc.set_threshold(100_000)
    sys.stderr = _Lasting(sys.stderr)
    arguments = parser(words).parse_args(words)
    sys.stdout = output = _Lasting(sys.stdout, arguments.command in READERS)
    try:
        code = COMMANDS[arguments.command](arguments) or 0
        output.flush()
        if output.error:
            _tell(f"migrate: standard output: {output.error.strerror}; all the rest was done")
            return code or 1
        return code
    except UserError as error:
        wiped = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line of progress, if there is one
        print(f"{wiped}migrate: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 1  # the reader (head, less) has gone: what remains to be printed is nobody's loss
    except (OSError, UnicodeError) as error:
        where = "standard output" if error is output.error else getattr(error, "filename", None)
        said = f"{where}: {error.strerror}" if where and isinstance(error, OSError) else error
        print(f"migrate: {said}\nMend that, and run it again.", file=sys.stderr)
        return 1
    except Exception as error:
        if "psycopg2" not in type(error).__module__:
            raise
        print(f"migrate: {' '.join(str(error).split())}", file=sys.stderr)
        if {"OperationalError", "InterfaceError"} & {kind.__name__ for kind in type(error).__mro__}:
            print("The session was lost; migrate status tells what was done.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("migrate: interrupted", file=sys.stderr)
        return 130
    except SystemExit as interrupted:
        print(
            "migrate: interrupted; what ran in a transaction was rolled back\n"
            "Of a file that is not transactional, migrate status tells whether it was.",
            file=sys.stderr,
        )
        return int(str(interrupted.code))


# Commands ------------------------------------------------------------------------------


def _up(arguments: argparse.Namespace) -> int:
    from pgproof import migrations, runner

    if arguments.targets:
        return _fleet(arguments)
    if arguments.jobs or arguments.keep_going:
        raise UserError("--jobs and --keep-going are for --targets\nAdd it.", exit_code=2)
    project, files = _files(arguments)
    to = arguments.to and migrations.find(arguments.to, [m.id for m in files])
    check = _check(arguments.plan) if arguments.plan else None
    backend = _backend(arguments, project)
    done = runner.up(backend, files, to, _teller(arguments, backend), check)
    if not done:
        reach = f" up to {to}" if to else ""
        _say(arguments, f"nothing to apply: {_counted(files)} known, none pending{reach}")
    return _json(arguments, "applied", done)


def _fleet(arguments: argparse.Namespace) -> int:
    """Apply what is pending to every database of a list, and say of each how it ended."""
    from collections import Counter

    from pgproof import fleet, migrations
    from pgproof.progress import step

    if arguments.database:
        raise UserError("--targets names the databases\nLeave --database away.", exit_code=2)
    if arguments.plan:
        raise UserError(
            "a plan is of one database, and --targets names many\nLeave --plan away.", exit_code=2
        )
    project, files = _files(arguments)
    to = arguments.to and migrations.find(arguments.to, [m.id for m in files])
    targets = fleet.read(arguments.targets)
    width = max(len(target.name) for target in targets)
    ended: Counter[str] = Counter()
    with step(sys.stderr) as show:

        def told(outcome: fleet.Outcome) -> None:
            ended[outcome.state] += 1
            show("")
            course = _course(outcome)
            _say(arguments, f"{outcome.state:<12}  {outcome.target:<{width}}  {course}".rstrip())
            failed = f", {ended['failed']} failed" if ended["failed"] else ""
            show(f"{ended.total()} of {len(targets)}{failed}")

        def notify(line: str) -> None:
            show("")
            _tell(line)

        show(f"0 of {len(targets)}")
        found = fleet.up(
            targets,
            fleet.Work(files, to, project.settings, _settings(arguments)),
            jobs=arguments.jobs or 4,
            keep_going=arguments.keep_going,
            told=told,
            notify=notify,
        )
    _json(arguments, "databases", found.outcomes)
    counts = ", ".join(f"{number} {state}" for state, number in ended.items())
    _tell(f"{len(targets)} database{'s' if len(targets) != 1 else ''}: {counts}")
    if found.signal:
        _tell("migrate: interrupted; run it again: what is done is not done twice")
        return 128 + found.signal
    return int(bool(set(ended) - set(fleet.SUCCESS)))


def _course(outcome: fleet.Outcome) -> str:
    """Say in one line what was done to a database, where it stands, and why."""
    words = [f"applied {', '.join(outcome.applied)}"] if outcome.applied else []
    if outcome.state in ("failed", "interrupted"):
        words += [f"stopped at {outcome.stopped_at}"] if outcome.stopped_at else []
        words += [] if outcome.applied or outcome.stopped_at else ["nothing applied"]
        words += [f"is at {outcome.is_at}"] if outcome.is_at else []
    text = ", ".join(words)
    if outcome.error:
        text += f": {' '.join(outcome.error.split())}"
    return f"{text} [{outcome.seconds:.3f} s]".strip() if outcome.seconds is not None else text


def _down(arguments: argparse.Namespace) -> int:
    from pgproof import migrations, runner

    project, files = _files(arguments)
    to = arguments.to and migrations.find(arguments.to, [m.id for m in files])
    steps = None if arguments.all or to else arguments.steps
    backend = _backend(arguments, project)
    chosen = runner.to_roll_back(backend, files, to, steps)
    if len(chosen) > 1 and not arguments.yes:
        _confirm(chosen)
    done = runner.down(backend, files, chosen, _teller(arguments, backend))
    if not done:
        _say(arguments, "nothing to roll back")
    return _json(arguments, "rolled_back", done)


def _redo(arguments: argparse.Namespace) -> int:
    from pgproof import runner

    project, files = _files(arguments)
    backend = _backend(arguments, project)
    if not runner.redo(backend, files, _teller(arguments, backend)):
        print("nothing to redo: no migration is applied")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pgproof import runner

    project, files = _files(arguments)
    states = runner.status(_backend(arguments, project), files)
    width = max((len(state.id) for state in states), default=0)
    for state in states:
        _say(arguments, f"{state.state:<12}  {state.id:<{width}}  {_details(state)}".rstrip())
    _json(arguments, "migrations", states)
    return int(arguments.exit_code and any(state.state != "applied" for state in states))


def _plan(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from pgproof import report_plan

    if arguments.down and arguments.out:
        raise UserError("--out is for a plan of up\nLeave --down or --out away.", exit_code=2)
    made = _planned(arguments, "rollback" if arguments.down else "apply")
    if arguments.out and made.fails:
        _tell(f"{arguments.out} was not written: this cannot be done as planned")
    elif arguments.out:
        try:
            Path(arguments.out).write_text(report_plan.as_json(made), encoding="utf-8")
        except OSError as error:
            raise UserError(f"{arguments.out}: {error.strerror}\nName another --out.", 2) from None
    return int(made.fails)


def _drift(arguments: argparse.Namespace) -> int:
    return int(bool(_planned(arguments, None).drift))


def _planned(arguments: argparse.Namespace, operation: str | None) -> Plan:
    """Make a plan, and print it as asked for."""
    from pgproof import plan, report_plan
    from pgproof.progress import Progress, step

    project, files = _files(arguments)
    parked = arguments.parked or project.parked
    backend = _backend(arguments, project)
    with step(sys.stderr) as show:
        made = plan.make(
            backend,
            files,
            operation,
            parked=parked,
            partitioned=project.partitioned,
            tell=show,
            on_wait=Progress(sys.stderr),
        )
    if arguments.json:
        _put(arguments, report_plan.as_json(made))
    else:
        _put(arguments, (report_plan.markdown if arguments.markdown else report_plan.text)(made))
    return made


def _check(path: str) -> Callable[[PgproofBackend, Any], None]:
    """Return what refuses to apply anything but the plan in a file."""
    from functools import partial
    from pathlib import Path

    from pgproof import plan

    return partial(plan.check, plan.load(Path(path)))


def _history(arguments: argparse.Namespace) -> int:
    from pgproof import runner

    entries = runner.log(_backend(arguments, _project(arguments)))
    for entry in entries:
        _say(
            arguments,
            f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.operation:<8}  {entry.id}"
            f"  by {entry.by} from {entry.host}",
        )
    if not entries:
        _say(arguments, "no history: nothing was ever applied here")
    return _json(arguments, "history", entries)


def _repair(arguments: argparse.Namespace) -> None:
    from pgproof import migrations, runner

    project, files = _files(arguments)
    wanted = [migrations.find(name, [m.id for m in files]) for name in arguments.id]
    adopted = runner.repair(_backend(arguments, project), files, wanted)
    sums = {migration.id: migration.checksums for migration in files if migration.is_raw_sql()}
    for record in adopted:
        print(f"adopted {record.id}, applied {record.applied_at:%Y-%m-%d %H:%M:%S} UTC")
        for half, then in (("forward", record.forward), ("rollback", record.rollback)):
            now = sums[record.id][half]
            if then != now:
                print(f"  {half:<8}  {str(then)[:12]} -> {now[:12]} (SHA-256)")
    if not adopted:
        print("nothing to adopt: no applied file was edited")


def _baseline(arguments: argparse.Namespace) -> int:
    from pgproof import baseline, migrations

    project, files = _files(arguments)
    to = migrations.find(arguments.to, [m.id for m in files])
    backend = _backend(arguments, project)
    parked = arguments.parked or project.parked
    difference, notes = baseline.difference(backend, files, to, parked, project.partitioned)
    for note in notes:
        _tell(note)
    if difference:
        print("\n".join(difference))
        raise UserError(
            f"the schema is not what the files up to {to} produce: see the difference above\n"
            "Mend the schema or the files; nothing was recorded."
        )
    for id_ in baseline.record(backend, files, to):
        print(f"recorded {id_}")
    return 0


def _prove(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from pgproof import database, migrations, proof, report_proof, scratch
    from pgproof.progress import step

    project, files = _files(arguments)
    ids = [migration.id for migration in files]
    wanted = [migrations.find(name, ids) for name in arguments.id]
    server = database.from_url(arguments.on, "--on").parameters if arguments.on else None
    width = max(len(text) for text in ("migration", *(wanted or ids)))
    is_plain = not (arguments.json or arguments.markdown)
    if is_plain:
        print(report_proof.heading(width), flush=True)
    proofs = []
    with scratch.databases(server, options=project.options) as made, step(sys.stderr) as show:
        for found in proof.prove(
            made,
            files,
            samples=Path(arguments.rows) if arguments.rows else project.rows,
            parked=arguments.parked or project.parked,
            wanted=wanted,
            begun=lambda id_: show(f"proving {id_}, {ids.index(id_) + 1} of {len(ids)}"),
        ):
            show("")
            proofs.append(
                proof.held_to(
                    found, order=arguments.strict_order, rows_shown=arguments.require_rows
                )
            )
            if is_plain:
                print(report_proof.line(proofs[-1], width), flush=True)
    if arguments.json:
        _put(arguments, report_proof.as_json(proofs))
    elif arguments.markdown:
        _put(arguments, report_proof.markdown(proofs))
    else:
        _put(arguments, "\n".join(report_proof.details(proofs)))
    return int(any(found.falls_short for found in proofs))


def _docs(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from pgproof import docs, migrations
    from pgproof.progress import step

    project, files = _files(arguments)
    folder = Path(arguments.to) if arguments.to else project.root / docs.FOLDER
    with step(sys.stderr) as show:
        made = docs.make(
            project.name,
            files,
            samples=Path(arguments.rows) if arguments.rows else project.rows,
            parked=arguments.parked or project.parked,
            options=project.options,
            show=show,
        )
    if arguments.check:
        stale = docs.stale(folder, made)
        for name in stale:
            print(f"stale: {migrations.shown(folder / name)}")
        if stale:
            _tell("Write them anew: migrate docs")
        return int(bool(stale))
    for name in docs.write(folder, made):
        print(f"wrote {migrations.shown(folder / name)}")
    return 0


def _unlock(arguments: argparse.Namespace) -> None:
    print(_backend(arguments, _project(arguments)).migration_lock.remove_dead())


def _new(arguments: argparse.Namespace) -> None:
    from pgproof import migrations

    for path in migrations.new(_project(arguments).sources[0], " ".join(arguments.name)):
        print(f"wrote {migrations.shown(path)}")


def _server(arguments: argparse.Namespace) -> int:
    import subprocess

    from pgproof.server import Server

    server = Server.default()
    if arguments.action == "stop":
        print("stopped" if server.stop() else "not running", server.home)
        return 0
    if arguments.action == "status":
        running = server.is_running()
        print("running" if running else "not running", server.home)
        return 0 if running else 1
    started = server.start()
    if arguments.action == "start":
        print("started" if started else "already running", server.home)
        return 0
    name = _project(arguments).database_name()
    server.create_database(name)
    if arguments.action == "url":
        print(server.url(name))
        return 0
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return subprocess.call([server.bindir / "psql", "-X", server.url(name)], env=ours)


# Shared by the commands -------------------------------------------------------------------


def _project(arguments: argparse.Namespace) -> Project:
    from pgproof import project

    return project.find(arguments.sql)


def _files(arguments: argparse.Namespace) -> tuple[Project, Any]:
    from pgproof import migrations

    project = _project(arguments)
    return project, migrations.read(project.sources)


def _backend(arguments: argparse.Namespace, project: Project) -> PgproofBackend:
    """Connect to the database that is named, and say which it is."""
    from pgproof import database, runner

    def embedded() -> dict[str, str]:
        from pgproof.server import Server

        server = Server.default()
        if server.start():
            _tell(f"started the embedded server in {server.home}")
        server.create_database(project.database_name())
        return server.parameters(project.database_name())

    target = database.choose(arguments.database, embedded)
    backend = runner.open_backend(target, project.settings, _settings(arguments))
    backend.notify = _tell
    _tell(f"{database.described(backend.connection)} (named by {target.named_by})")
    return backend


def _settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the settings that the command line gives."""
    from pgproof.project import SETTINGS

    return {name: value for name in SETTINGS if (value := getattr(arguments, name, None))}


def _details(state: State) -> str:
    """Say when, by whom, in what time and from which text a migration was applied."""
    if state.applied_at is None:
        return ""
    words = [f"{state.applied_at:%Y-%m-%d %H:%M:%S} UTC", f"by {state.by}" if state.by else ""]
    words += [f"in {state.seconds:.3f} s"] if state.seconds is not None else []
    words += [f"edited: {' and '.join(state.edited)}"] if state.edited else []
    words += [] if state.checked else ["unchecked: applied by stock yoyo"]
    return "  ".join(word for word in words if word)


def _confirm(chosen: Sequence[str]) -> None:
    """Ask before more than one migration is rolled back, or refuse where nobody can answer."""
    names = f"{len(chosen)} migrations: {', '.join(chosen)}"
    if not sys.stdin.isatty():
        raise UserError(f"this rolls back {names}\nAdd --yes to do so.", exit_code=2)
    print(f"Roll back {names}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing was rolled back", exit_code=1)


def _teller(arguments: argparse.Namespace, backend: PgproofBackend) -> Callable[[Done], None]:
    """Show the progress of what is long, and return what tells of each migration that is done."""
    from pgproof.progress import Progress

    progress = backend.connection.on_wait = Progress(sys.stderr)
    words = {"apply": "applied", "rollback": "rolled back"}

    def note(line: str) -> None:
        progress.clear()
        _tell(line)

    def tell(done: Done) -> None:
        progress.clear()
        _say(arguments, f"{words[done.operation]} {done.id} [{done.seconds * 1000:.1f} ms]")

    backend.notify = note
    return tell


def _counted(files: Any) -> str:
    return f"{len(files)} migration{'s' if len(files) != 1 else ''}"


class _Lasting:
    """A stream that a run outlives: where it cannot be written, the rest goes nowhere.

    `error` is why. With `stops` the error is raised as well.
    """

    def __init__(self, stream: TextIO, stops: bool = False) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name is too odd to be printed
        self._stream = stream
        self._stops = stops
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        self._try(self._stream.write, text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Callable[..., object], *arguments: str) -> None:
        try:
            act(*arguments)
        except OSError as error:
            self.error = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if self._stops:
                raise


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _put(arguments: argparse.Namespace, text: str) -> None:
    """Print a result, or write it to the file of --output."""
    if not arguments.output:
        print(text.rstrip("\n"), flush=True)
        return
    try:
        with open(arguments.output, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text.rstrip("\n") + "\n")
    except OSError as error:
        raise UserError(
            f"{arguments.output}: {error.strerror}\nName another --output.", 2
        ) from None


def _say(arguments: argparse.Namespace, line: str) -> None:
    """Print a line of the result, unless the result is asked for as JSON."""
    if not getattr(arguments, "json", False):
        print(line, flush=True)


def _json(arguments: argparse.Namespace, name: str, rows: Iterable[Any]) -> int:
    """Print the result as one JSON object, where asked for."""
    if arguments.json:
        import json
        from dataclasses import asdict

        print(
            json.dumps(
                {name: [asdict(row) for row in rows]}, default=lambda at: at.isoformat(), indent=2
            )
        )
    return 0


READERS = ("status", "plan", "drift", "history", "prove")  # what changes no database
COMMANDS: dict[str, Callable[[argparse.Namespace], int | None]] = {
    "up": _up,
    "down": _down,
    "redo": _redo,
    "status": _status,
    "plan": _plan,
    "drift": _drift,
    "history": _history,
    "repair": _repair,
    "baseline": _baseline,
    "prove": _prove,
    "docs": _docs,
    "unlock": _unlock,
    "new": _new,
    "server": _server,
}
