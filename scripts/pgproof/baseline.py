"""A database that has the schema already: compared with what the files produce, then recorded.

    migrate baseline --to 0001

The files are applied to a scratch database of the embedded server; only where its catalog equals
the live one's are they recorded as applied, without being run.
"""

import os
from typing import Any

import psycopg2
from psycopg2 import sql

from pgproof import catalog, runner
from pgproof.backend import PgproofBackend
from pgproof.database import Database
from pgproof.errors import UserError
from pgproof.server import Server


def difference(backend: PgproofBackend, files: Any, to: str, parked: str | None) -> list[str]:
    """Return the unified diff from what the files up to `to` produce to the live catalog.

    Raises UserError if one of them is recorded as applied already.
    """
    chosen = _up_to(files, to)
    records = backend.records()
    if known := [m.id for m in chosen if m.id in records]:
        raise UserError(f"{known[0]} is recorded as applied\nSee migrate status.", exit_code=2)
    server = Server.default()
    server.start()
    name = f"baseline_{os.getpid()}"
    server.create_database(name)
    try:
        target = Database(server.parameters(name), "the embedded server")
        with runner.open_backend(target, {}, {}) as scratch:
            scratch.change(chosen, "apply")
            made = catalog.read(scratch.connection, parked=parked)
    finally:
        _drop(server, name)
    live = catalog.read(backend.connection, parked=parked)
    if catalog.same_but_for_column_order(made, live):
        return []
    return catalog.difference(made, live, f"the files up to {to}", "the live database")


def record(backend: PgproofBackend, files: Any, to: str) -> list[str]:
    """Record the migrations up to `to` as applied, without running them; return their ids."""
    chosen = _up_to(files, to)
    backend.change(chosen, "mark")
    return [migration.id for migration in chosen]


def _up_to(files: Any, to: str) -> list[Any]:
    ids = [migration.id for migration in files]
    return list(files)[: ids.index(to) + 1]


def _drop(server: Server, name: str) -> None:
    connection = psycopg2.connect(**server.parameters("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    connection.close()
