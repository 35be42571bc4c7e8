"""The `replicate` command: a second server that follows, and the switch to it, writers running.

    scripts/replicate upgrade --old postgresql://db16/docs --new postgresql://db18/docs

Knows no schema: what it copies and compares it reads from the catalog. Exit codes: 0 done, 1 it
failed or found a difference, 2 usage. Until `switch` has ended, the old database is the one in use,
and has lost nothing but some milliseconds of its writers' time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psycopg2
from psycopg2 import extensions

from pgproof import replication, rows
from pgproof.binaries import find_clients
from pgproof.database import Database, choose, described, refused, without_password
from pgproof.errors import UserError
from pgproof.replication import Pair, Standing

COMMANDS = {
    "check": "Say what stands in the way of replication; change nothing.",
    "begin": "Copy schema and rows to the new server, and have it follow the old one.",
    "status": "Say how far the new server is.",
    "migrate": "Apply what is pending to both, each migration in the order that loses no row.",
    "verify": "Compare both servers row by row at one moment; writers wait a moment, no longer.",
    "switch": "Stop the writers of the old server for good, once the new one has everything.",
    "end": "Follow no more; the old database is as it was, the new one keeps what it has.",
    "upgrade": "begin, verify and switch; if one fails, end.",
}

UNAPPLIED = ("pending", "interrupted", "out of order")  # states of a migration

_INHERITED_COMMENTS = """
    SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname,
        conrelid::regclass, description)
    FROM pg_constraint JOIN pg_description d ON d.objoid = pg_constraint.oid
    WHERE classoid = 'pg_constraint'::regclass AND coninhcount > 0
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; an expected error is a line or two."""
    parser = argparse.ArgumentParser(prog="replicate", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, does in COMMANDS.items():
        sub = commands.add_parser(
            name, help=does, description=f"{does} Exit codes: 0 done; 1 it failed; 2 usage."
        )
        sub.add_argument("--old", metavar="URL", required=True, help="the database that is left")
        sub.add_argument("--new", metavar="URL", required=True, help="the one that follows")
        sub.add_argument(
            "--reach",
            metavar="URL",
            help="the old one as the new server reaches it (default: --old; kept in its catalog)",
        )
        sub.add_argument("--name", default="pgproof_replica", help="of publication and slot")
        sub.add_argument(
            "--patience", type=float, default=3600.0, metavar="SECONDS", help="for each wait (3600)"
        )
        sub.add_argument("--sql", metavar="FOLDER", help="the migrations (default: of yoyo.ini)")
    arguments = parser.parse_args(argv)
    try:
        with ExitStack() as stack:
            _run(arguments.command, _pair(arguments, stack), arguments.sql)
    except UserError as error:
        print(f"replicate: {error}", file=sys.stderr)
        return error.exit_code
    except psycopg2.Error as error:
        print(f"replicate: {without_password(' '.join(str(error).split()))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("replicate: interrupted; `replicate end` takes back what was begun", file=sys.stderr)
        return 130
    return 0


def _pair(arguments: argparse.Namespace, stack: ExitStack) -> Pair:
    old, new = (
        stack.enter_context(closing(_connected(choose(url, dict))))
        for url in (arguments.old, arguments.new)
    )
    _tell(f"from {described(old)}, PostgreSQL {old.info.parameter_status('server_version')}")
    _tell(f"to   {described(new)}, PostgreSQL {new.info.parameter_status('server_version')}")
    reach = choose(arguments.reach or arguments.old, dict).parameters
    dsn = extensions.make_dsn(**{**reach, "dbname": reach.get("dbname", old.info.dbname)})
    return Pair(old, new, dsn, arguments.name, arguments.patience)


def _connected(database: Database) -> extensions.connection:
    try:
        made: extensions.connection = psycopg2.connect(**database.parameters)  # type: ignore[call-overload]
    except psycopg2.OperationalError as error:
        raise refused(error) from None
    return replication.writable(made)


def _run(command: str, pair: Pair, folder: str | None) -> None:
    if command == "upgrade":
        try:
            for step in (_begin, _verify, _switch):
                step(pair)
        except BaseException:
            with suppress(psycopg2.Error):
                replication.end(pair)
            raise
        return
    if command == "migrate":
        _migrate(pair, folder)
        return
    {
        "check": _check,
        "begin": _begin,
        "status": _status,
        "verify": _verify,
        "switch": _switch,
        "end": _end,
    }[command](pair)


def _check(pair: Pair) -> None:
    if found := replication.obstacles(pair):
        raise UserError("\n".join(found))
    _tell("nothing stands in the way")


def _begin(pair: Pair) -> None:
    _check(pair)
    if not replication.tables(pair.new):
        copy_schema(pair)
        replication.copy_history(pair)
        _tell("schema copied")
    _compare_catalogs(pair)
    for name, (number, _) in rows.digests(pair.new).items():
        if number:
            raise UserError(
                f"{name} of the new database has {number} rows\nName an empty one: "
                "what it holds would clash with what is copied."
            )
    replication.begin(pair)
    replication.wait_until_copied(pair)
    _tell(f"{_standing(replication.standing(pair))}")


def _status(pair: Pair) -> None:
    print(_standing(replication.standing(pair)))


def _standing(now: Standing) -> str:
    behind = "not connected" if now.behind is None else f"{now.behind} bytes behind"
    return f"{now.copied} of {now.tables} tables copied, {behind}, {now.errors} errors"


def _migrate(pair: Pair, folder: str | None) -> None:
    """The old server first, which then writes no row any more that the new schema refuses.

    The new one goes on until it has all, or stands before a row that it cannot hold yet: all that
    was written under the old schema it has by then. So it is held, migrated, and goes on. Cut off
    anywhere, it goes on from there when it is run again.
    """
    from pgproof import migrations, project, runner

    found = project.find(folder)
    files = migrations.read(found.sources)
    sides = [
        runner.open_backend(Database(replication.told(connection), side), found.settings, {})
        for side, connection in (("--old", pair.old), ("--new", pair.new))
    ]
    lacking = [
        {state.id for state in runner.status(side, files) if state.state in UNAPPLIED}
        for side in sides
    ]
    replication.finish_renewal(pair)
    if replication.is_held(pair):
        # With another schema than the old server's it would not find its tables.
        follow = replication.go_on if lacking[0] != lacking[1] else replication.renew
        follow(pair)
        _tell("a run was cut off while it held the new server, which follows again")
    pending = [file.id for file in files if file.id in lacking[0] | lacking[1]]
    for id_ in pending:
        replication.wait_until_copied(pair)
        done = runner.up(sides[0], files, id_, lambda _: None)
        level = replication.wait_until_level_or_stuck(pair)
        replication.hold(pair)
        runner.up(sides[1], files, id_, lambda _: None)
        replication.renew(pair)
        replication.wait_until_copied(pair)
        replication.wait_until_level(pair)
        _tell(
            f"applied {id_} to {'both' if done else 'the new server'}"
            f"{'' if level else ', which waited for it'}"
        )
    if not pending:
        _tell("nothing to apply")


def _verify(pair: Pair) -> None:
    """Read both in snapshots taken while nobody wrote: reading them takes nobody's time."""
    replication.wait_until_copied(pair)
    replication.wait_until_level(pair)
    with ExitStack() as stack:
        sides = []
        for connection in (pair.old, pair.new):
            side = stack.enter_context(closing(replication.again(connection)))
            side.set_session(isolation_level="REPEATABLE READ", readonly=True)
            sides.append(side)
        with pair.paused():
            began = time.monotonic()
            replication.wait_until_level(pair)
            for side in sides:
                side.cursor().execute("SELECT pg_current_snapshot()")
        _tell(f"writers waited {(time.monotonic() - began) * 1000:.0f} ms")
        old, new = map(rows.digests, sides)
    wrong = [
        f"{name}: {number} rows, and {new.get(name, (0, ''))[0]} on the new server"
        for name, (number, digest) in old.items()
        if new.get(name) != (number, digest)
    ]
    if wrong:
        raise UserError("\n".join(["the rows differ:", *wrong]))
    _tell(f"{sum(number for number, _ in old.values())} rows in {len(old)} tables are the same")


def _switch(pair: Pair) -> None:
    replication.wait_until_copied(pair)
    with pair.new.cursor() as cursor:
        cursor.execute("ANALYZE")  # statistics are not replicated
    replication.wait_until_level(pair)
    with pair.paused() as holder:
        began = time.monotonic()
        replication.wait_until_level(pair)
        _compare_catalogs(pair)  # nobody migrates now: history is locked as well
        replication.copy_history(pair)
        try:
            replication.close_old(pair, [holder.connection.info.backend_pid])
            moved = replication.copy_sequences(pair)
            replication.open_new(pair)
        except BaseException:
            replication.reopen_old(pair)
            raise
        waited = time.monotonic() - began
    replication.end(pair)
    _tell(f"switched: writers stood still {waited * 1000:.0f} ms, {moved} sequences go on")
    print(f"the old database is read-only now; the new one is {described(pair.new)}")


def _end(pair: Pair) -> None:
    if replication.end(pair):
        replication.reopen_old(pair)  # a switch that was killed may have closed it
        _tell("ended; the old database is in use as before")
    else:
        _tell("there was no subscription: nothing follows, and what is closed stays closed")


def _compare_catalogs(pair: Pair) -> None:
    if found := replication.catalog_difference(pair):
        raise UserError(
            "\n".join(
                [
                    "the schemas differ (a migration, or a partition made meanwhile?):",
                    *found,
                    "Make the new server's as the old one's, or name an empty database.",
                ]
            )
        )


def copy_schema(pair: Pair) -> None:
    """Make the schema of the old server on the new one, by the newer one's pg_dump.

    Not by the migrations: partitions that a function made from the clock are in no file.
    """
    bindir = find_clients(pair.new.server_version // 10000)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "schema.sql")
        told = ["--schema-only", "--no-publications", "--no-subscriptions", "-f", str(script)]
        _client(bindir / "pg_dump", pair.old, told)
        told = ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-f", str(script)]
        _client(bindir / "psql", pair.new, told)

    # What it leaves out: a comment on a check that a partition has of its parent as well.
    with pair.old.cursor() as source, pair.new.cursor() as target:
        source.execute(_INHERITED_COMMENTS)
        for (statement,) in source.fetchall():
            target.execute(statement)


def _client(program: Path, connection: extensions.connection, words: list[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PGOPTIONS"}
    if password := connection.info.password:
        environment["PGPASSWORD"] = password  # a command line is everybody's to read
    dsn = extensions.make_dsn(
        **{k: v for k, v in connection.get_dsn_parameters().items() if k != "password"}
    )
    done = subprocess.run(
        [program, "-d", dsn, *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{program.name} failed:\n{without_password(done.stderr.strip())}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
