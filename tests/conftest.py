"""The server that the tests run on, and a database of its own for each test.

    scripts/test                                                     # the embedded PostgreSQL
    PGPROOF_BINDIR=/usr/lib/postgresql/15/bin scripts/test           # an installed one
    TEST_DATABASE_URL=postgresql://postgres@localhost scripts/test   # a server that runs

Each database is a clone of a template that pytest-postgresql makes once: `db` is empty, `docs`
has the migrations applied, `filled` has rows in every table besides.
"""

import os
import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest
from psycopg2.extensions import parse_dsn
from pytest_postgresql.factories import postgresql, postgresql_noproc

from database import Database, apply_all, fill
from pgproof.scratch import UNSAFE_BUT_FAST, scratch_folder
from pgproof.server import Server, find_binaries

OWN_SERVER = pytest.StashKey[Server]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-expected",
        action="store_true",
        help="rewrite tests/expected/ with what the migrations make",
    )
    parser.addoption(
        "--faults",
        action="store_true",
        help="run the whole fault matrix, and rewrite its table in docs/operations.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start one server for the run, unless one is named; the workers of xdist inherit its URL."""
    config.pluginmanager.import_plugin("faults.table")
    for name in [name for name in os.environ if re.match("PG(?!PROOF_)", name)]:
        del os.environ[name]  # a test names its database itself
    os.environ.pop("DATABASE_URL", None)
    if "TEST_DATABASE_URL" not in os.environ:
        server = Server(scratch_folder(), find_binaries(), UNSAFE_BUT_FAST)
        server.start()
        config.stash[OWN_SERVER] = server
        os.environ["TEST_DATABASE_URL"] = server.url()


def pytest_unconfigure(config: pytest.Config) -> None:
    if OWN_SERVER in config.stash:
        server = config.stash[OWN_SERVER]
        server.stop()
        shutil.rmtree(server.home)


@pytest.fixture(scope="session")
def server() -> SimpleNamespace:
    """The server's connection parameters, in the form that pytest-postgresql asks for."""
    named = parse_dsn(os.environ["TEST_DATABASE_URL"])
    return SimpleNamespace(
        host=named.get("host", ""),
        port=named.get("port", "5432"),
        user=named.get("user", "postgres"),
        password=named.get("password"),
        options="",
        maintenance_dbname=named.get("dbname", "postgres"),
        template_dbname="template0",
    )


# The process id keeps the names of two runs, or of two workers, apart on one server.
_empty = postgresql_noproc(depends_on="server", dbname=f"empty_{os.getpid()}")
_migrated = postgresql_noproc(
    depends_on="server", dbname=f"migrated_{os.getpid()}", load=[apply_all]
)
_filled = postgresql_noproc(depends_on="server", dbname=f"filled_{os.getpid()}", load=[fill])
_empty_clone = postgresql("_empty")
_migrated_clone = postgresql("_migrated")
_filled_clone = postgresql("_filled")


@pytest.fixture
def db(_empty_clone: psycopg.Connection) -> Iterator[Database]:
    """An empty database."""
    yield from _opened(_empty_clone)


@pytest.fixture
def docs(_migrated_clone: psycopg.Connection) -> Iterator[Database]:
    """A database with every migration applied, and no rows."""
    yield from _opened(_migrated_clone)


@pytest.fixture
def filled(_filled_clone: psycopg.Connection) -> Iterator[Database]:
    """A database with every migration applied, and the sample rows of tests/rows/."""
    yield from _opened(_filled_clone)


def _opened(clone: psycopg.Connection) -> Iterator[Database]:
    database = Database(
        host=clone.info.host,
        port=str(clone.info.port),
        user=clone.info.user,
        password=clone.info.password,
        dbname=clone.info.dbname,
    )
    clone.close()
    yield database
    database.close()
