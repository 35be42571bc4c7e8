"""The words of the `migrate` command: each command, what it changes, its options, an example.

words = ["up", "--to", "3"]
arguments.parser(words).parse_args(words)
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pgproof import __version__

EXIT_CODES = "exit codes: 0 done; 1 a difference or a failed migration; 2 usage"

Options = dict[str, dict[str, Any]]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _given(text: str) -> str:
    """Refuse what a variable that is not set leaves: it would be taken for an option not given."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


JSON: Options = {"--json": {"action": "store_true", "help": "print the result as JSON"}}
OUTPUT: Options = {
    **JSON,
    "--markdown": {"action": "store_true", "help": "print the result as Markdown"},
    "--output": {"metavar": "FILE", "help": "write the result there"},
}
SQL: Options = {
    "--sql": {"metavar": "FOLDER", "help": "the migrations (default: of yoyo.ini)"},
}
DATABASE: Options = {
    "--database -d": {
        "metavar": "URL",
        "help": "the database (default: DATABASE_URL, else PGHOST and libpq's other variables, "
        "else the embedded server); keep passwords in ~/.pgpass",
    }
}
WAITING: Options = {
    "--lock-timeout": {
        "metavar": "TIME",
        "help": "how long a statement waits for the lock of a table (200ms; a file's own goes "
        "first)",
    },
    "--lock-retries": {
        "metavar": "N",
        "help": "how often a migration tries again to get that lock (20)",
    },
    "--wait": {"metavar": "TIME", "help": "how long to wait for another run to end (30s)"},
}
ROWS: Options = {
    "--rows": {
        "metavar": "FOLDER",
        "help": "sample rows, one file a migration, ID.sql (default: tests/rows)",
    },
}
FLEET: Options = {
    "--targets": {
        "metavar": "FILE",
        "help": "do so for each database that FILE (- for standard input) names: one a line, a URL "
        "or a service of pg_service.conf; a run again passes over what is done",
    },
    "--jobs": {"metavar": "N", "type": _positive, "help": "how many of them at a time (4)"},
    "--keep-going": {
        "action": "store_true",
        "help": "begin the others, too, after one has failed",
    },
}
PARKED: Options = {
    "--parked": {
        "metavar": "SCHEMA",
        "help": "a schema of parked rows, not compared (default: of pyproject.toml)",
    },
}


@dataclass(frozen=True)
class Command:
    """One command: what it does, what it changes, an example, and its options by their names.

    Options under a name of `either` exclude each other.
    """

    name: str
    does: str
    changes: str
    example: str
    options: Options = field(default_factory=dict)
    either: Options = field(default_factory=dict)


COMMANDS = (
    Command(
        "up",
        "Apply what is pending, in order.",
        "the schema and yoyo's history",
        "migrate up --to 0003",
        {**JSON, **DATABASE, **FLEET, **WAITING},
        {
            "--to": {"metavar": "ID", "help": "stop after this migration (id or number)"},
            "--plan": {
                "metavar": "FILE",
                "help": "apply exactly what `migrate plan --out FILE` saw, or nothing",
            },
        },
    ),
    Command(
        "down",
        "Roll back, the last applied first: one by default.",
        "the schema and yoyo's history; rows are parked, not lost",
        "migrate down --steps 2 --yes",
        {
            "--yes": {"action": "store_true", "help": "do not ask before more than one"},
            **JSON,
            **DATABASE,
            **WAITING,
        },
        {
            "--to": {"metavar": "ID", "help": "roll back all that came after this migration"},
            "--steps": {"metavar": "N", "type": _positive, "default": 1, "help": "how many (1)"},
            "--all": {"action": "store_true", "help": "roll back everything"},
        },
    ),
    Command(
        "redo",
        "Roll the last migration back and apply it again.",
        "the schema and yoyo's history",
        "migrate redo",
        {**DATABASE, **WAITING},
    ),
    Command(
        "status",
        "Show which migrations are applied, pending, edited, missing or out of order.",
        "nothing; it takes no lock, and needs the right to SELECT alone",
        "migrate status --exit-code",
        {
            "--exit-code": {"action": "store_true", "help": "exit 1 unless all is applied"},
            **JSON,
            **DATABASE,
        },
    ),
    Command(
        "plan",
        "Try what is pending in a throw-away database, and say what it would do to this one.",
        "nothing; it takes no lock, and needs the right to SELECT yoyo's history alone",
        "migrate plan --out plan.json && migrate up --plan plan.json",
        {
            "--down": {"action": "store_true", "help": "plan the next rollback instead"},
            "--out": {"metavar": "FILE", "help": "write the plan for up --plan, unless it fails"},
            **PARKED,
            **OUTPUT,
            **DATABASE,
        },
    ),
    Command(
        "drift",
        "Compare the database with what its applied files make in a throw-away one.",
        "nothing; it takes no lock, and needs the right to SELECT yoyo's history alone",
        "migrate drift --markdown",
        {**PARKED, **OUTPUT, **DATABASE},
    ),
    Command(
        "history",
        "Show yoyo's log, the oldest entry first.",
        "nothing",
        "migrate history --json",
        {**JSON, **DATABASE},
    ),
    Command(
        "repair",
        "Adopt applied files that were edited since, as they are now.",
        "yoyo's log alone: who adopted them, and when; nothing is run",
        "migrate repair 0003",
        {
            "id": {"nargs": "*", "metavar": "ID", "help": "which (default: all that are edited)"},
            **DATABASE,
            **WAITING,
        },
    ),
    Command(
        "baseline",
        "Record migrations as applied on a database that has their schema already.",
        "yoyo's history alone, and only if the schema is what the files produce",
        "migrate baseline --to 0001",
        {
            "--to": {"metavar": "ID", "required": True, "help": "the last one that it has"},
            "--parked": {"metavar": "SCHEMA", "help": "a schema of parked rows, not compared"},
            **DATABASE,
            **WAITING,
        },
    ),
    Command(
        "prove",
        "Show that each rollback restores the schema and keeps the rows, on scratch databases.",
        "nothing; all that it makes is dropped again",
        "migrate prove 0004",
        {
            "id": {"nargs": "*", "metavar": "ID", "help": "which (default: all)"},
            "--on": {
                "metavar": "URL",
                "help": "make the scratch databases on this server (default: on one of its own)",
            },
            **ROWS,
            "--parked": {"metavar": "SCHEMA", "help": "where rollbacks park rows"},
            "--strict-order": {
                "action": "store_true",
                "help": "the order of columns must be restored, too",
            },
            "--require-rows": {
                "action": "store_true",
                "help": "every table and column that comes or goes must hold a sample value",
            },
            **OUTPUT,
        },
    ),
    Command(
        "docs",
        "Write what the files tell by themselves: the schema, its diagram, the migrations.",
        "schema.md, schema.svg, schema.html and migrations.md in the folder of documents",
        "migrate docs --check",
        {
            "--check": {
                "action": "store_true",
                "help": "write nothing; exit 1 and name what is not up to date",
            },
            "--to": {"metavar": "FOLDER", "help": "the folder (default: docs)"},
            **ROWS,
            **PARKED,
        },
    ),
    Command(
        "unlock",
        "Say who holds the migration lock, and remove it if that run is dead.",
        "the row of a dead run in yoyo_lock; a live run keeps its lock",
        "migrate unlock",
        DATABASE,
    ),
    Command(
        "new",
        "Write the two files of a new migration.",
        "adds two files to the folder of migrations",
        "migrate new add document status",
        {"name": {"nargs": "+", "metavar": "NAME", "help": "words: verb, object"}},
    ),
    Command(
        "server",
        "Run the embedded PostgreSQL.",
        "start, url and psql start it; stop stops it",
        "migrate server psql",
        {"action": {"choices": ("start", "stop", "status", "url", "psql")}},
    ),
)


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser; what it parses has `command`, and the options by their names.

    Where `words`, which it is to parse, begin with a command, it knows that one alone: to make
    the others takes longer than to parse.
    """
    made = argparse.ArgumentParser(
        prog="migrate",
        description="Apply, roll back and inspect a folder of plain-SQL migrations with yoyo.",
        epilog=f"{EXIT_CODES}. Each command: migrate COMMAND --help",
    )
    made.add_argument("--version", action="version", version=f"migrate {__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for command in [c for c in COMMANDS if [c.name] == [*words[:1]]] or COMMANDS:
        sub = commands.add_parser(
            command.name,
            help=command.does,
            description=f"{command.does} Changes: {command.changes}.",
            epilog=f"{EXIT_CODES}. Example: {command.example}",
        )
        either = sub.add_mutually_exclusive_group() if command.either else sub
        for place, options in ((sub, command.options), (either, command.either), (sub, SQL)):
            for names, how in options.items():
                typed = how if "action" in how else {"type": _given, **how}
                place.add_argument(*names.split(), **typed)
    return made
