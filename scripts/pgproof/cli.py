"""The `migrate` command: arguments, printing and exit codes, nothing else.

    migrate up --database postgresql://owner@db.example/docs

Exit codes: 0 done, 1 a difference or a failed migration, 2 usage. Results go to stdout,
progress and errors to stderr. Each command imports what it needs when it runs, so that
`migrate --version` and `--help` cost little more than Python itself.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pgproof import __version__
from pgproof.errors import UserError

if TYPE_CHECKING:
    from pgproof.project import Project
    from pgproof.runner import Done

EXIT_CODES = "exit codes: 0 done; 1 a difference or a failed migration; 2 usage"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; `argv` without the program's name, sys.argv's by default.

    Returns the exit code; an expected error is printed in a line or two, never as a traceback.
    """
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except UserError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("migrate: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone: what remains to be printed is nobody's loss.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


# Commands ------------------------------------------------------------------------------


def _up(arguments: argparse.Namespace) -> int:
    from pgproof import migrations, runner

    project, files = _files(arguments)
    to = arguments.to and migrations.find(arguments.to, [m.id for m in files])
    backend = _backend(arguments, project)
    done = runner.up(backend, files, to, _teller(arguments))
    if not done:
        _say(arguments, f"nothing to apply: {_counted(files)} known, none pending")
    return _json(arguments, "applied", done)


def _down(arguments: argparse.Namespace) -> int:
    from pgproof import migrations, runner

    project, files = _files(arguments)
    to = arguments.to and migrations.find(arguments.to, [m.id for m in files])
    steps = None if arguments.all or to else arguments.steps
    backend = _backend(arguments, project)
    chosen = runner.to_roll_back(backend, files, to, steps)
    if len(chosen) > 1 and not arguments.yes:
        _confirm(chosen)
    done = runner.down(backend, files, chosen, _teller(arguments)) if chosen else []
    if not done:
        _say(arguments, "nothing to roll back")
    return _json(arguments, "rolled_back", done)


def _redo(arguments: argparse.Namespace) -> int:
    from pgproof import runner

    project, files = _files(arguments)
    if not runner.redo(_backend(arguments, project), files, _teller(arguments)):
        print("nothing to redo: no migration is applied")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from pgproof import runner

    project, files = _files(arguments)
    states = runner.status(_backend(arguments, project), files)
    width = max(len(state.id) for state in states)
    for state in states:
        when = f"{state.applied_at:%Y-%m-%d %H:%M:%S} UTC" if state.applied_at else ""
        _say(arguments, f"{state.state:<8}  {state.id:<{width}}  {when}".rstrip())
    _json(arguments, "migrations", states)
    return int(arguments.exit_code and any(state.state != "applied" for state in states))


def _history(arguments: argparse.Namespace) -> int:
    from pgproof import runner

    entries = runner.history(_backend(arguments, _project(arguments)))
    for entry in entries:
        _say(
            arguments,
            f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.operation:<8}  {entry.id}"
            f"  by {entry.user} from {entry.host}",
        )
    if not entries:
        _say(arguments, "no history: nothing was ever applied here")
    return _json(arguments, "history", entries)


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
    return subprocess.call([server.bindir / "psql", "-X", server.url(name)])


# Shared by the commands -------------------------------------------------------------------


def _project(arguments: argparse.Namespace) -> "Project":
    from pgproof import project

    return project.find(arguments.sql)


def _files(arguments: argparse.Namespace) -> tuple["Project", Any]:
    from pgproof import migrations

    project = _project(arguments)
    return project, migrations.read(project.sources)


def _backend(arguments: argparse.Namespace, project: "Project") -> Any:
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
    backend = runner.open_backend(target)
    _tell(f"{database.described(backend.connection)} (named by {target.named_by})")
    return backend


def _confirm(chosen: Sequence[str]) -> None:
    """Ask before more than one migration is rolled back, or refuse where nobody can answer."""
    names = f"{len(chosen)} migrations: {', '.join(chosen)}"
    if not sys.stdin.isatty():
        raise UserError(f"this rolls back {names}\nAdd --yes to do so.", exit_code=2)
    print(f"Roll back {names}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing was rolled back", exit_code=1)


def _teller(arguments: argparse.Namespace) -> Callable[["Done"], None]:
    words = {"apply": "applied", "rollback": "rolled back"}

    def tell(done: "Done") -> None:
        _say(arguments, f"{words[done.operation]} {done.id} [{done.seconds * 1000:.1f} ms]")

    return tell


def _counted(files: Any) -> str:
    return f"{len(files)} migration{'s' if len(files) != 1 else ''}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say(arguments: argparse.Namespace, line: str) -> None:
    """Print a line of the result, unless the result is asked for as JSON."""
    if not getattr(arguments, "json", False):
        print(line, flush=True)


def _json(arguments: argparse.Namespace, name: str, rows: Iterable[Any]) -> int:
    """Print the result as one JSON object, where asked for."""
    if arguments.json:
        from dataclasses import asdict

        print(
            json.dumps(
                {name: [asdict(row) for row in rows]}, default=lambda at: at.isoformat(), indent=2
            )
        )
    return 0


# Arguments --------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="migrate",
        description="Apply, roll back and inspect a folder of plain-SQL migrations with yoyo.",
        epilog=f"{EXIT_CODES}. Each command: migrate COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=f"migrate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = _command(
        commands,
        "up",
        _up,
        "Apply what is pending, in order.",
        "the schema and yoyo's history",
        "migrate up --to 0003",
    )
    up.add_argument("--to", metavar="ID", help="stop after this migration (id or number)")
    _add_json(up)

    down = _command(
        commands,
        "down",
        _down,
        "Roll back, the last applied first: one by default.",
        "the schema and yoyo's history; rows are parked, not lost",
        "migrate down --steps 2 --yes",
    )
    reach = down.add_mutually_exclusive_group()
    reach.add_argument("--to", metavar="ID", help="roll back all that came after this migration")
    reach.add_argument("--steps", metavar="N", type=_positive, default=1, help="how many (1)")
    reach.add_argument("--all", action="store_true", help="roll back everything")
    down.add_argument("--yes", action="store_true", help="do not ask before more than one")
    _add_json(down)

    _command(
        commands,
        "redo",
        _redo,
        "Roll the last migration back and apply it again.",
        "the schema and yoyo's history",
        "migrate redo",
    )

    status = _command(
        commands,
        "status",
        _status,
        "Show what is applied and what is pending.",
        "nothing",
        "migrate status --exit-code",
    )
    status.add_argument("--exit-code", action="store_true", help="exit 1 when something is pending")
    _add_json(status)

    history = _command(
        commands,
        "history",
        _history,
        "Show yoyo's log, the oldest entry first.",
        "nothing",
        "migrate history --json",
    )
    _add_json(history)

    new = _command(
        commands,
        "new",
        _new,
        "Write the two files of a new migration.",
        "adds two files to the folder of migrations",
        "migrate new add document status",
        database=False,
    )
    new.add_argument("name", nargs="+", metavar="NAME", help="words: verb, object")

    server = _command(
        commands,
        "server",
        _server,
        "Run the embedded PostgreSQL.",
        "start, url and psql start it; stop stops it",
        "migrate server psql",
        database=False,
    )
    server.add_argument("action", choices=("start", "stop", "status", "url", "psql"))
    return parser


def _command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    does: str,
    changes: str,
    example: str,
    *,
    database: bool = True,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=does,
        description=f"{does} Changes: {changes}.",
        epilog=f"{EXIT_CODES}. Example: {example}",
    )
    command.set_defaults(run=run)
    command.add_argument("--sql", metavar="FOLDER", help="the migrations (default: of yoyo.ini)")
    if database:
        command.add_argument(
            "--database",
            "-d",
            metavar="URL",
            help="the database (default: DATABASE_URL, else PGHOST and libpq's other variables, "
            "else the embedded server); keep passwords in ~/.pgpass",
        )
    return command


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
