"""Laws of `migrate up --targets`: every database ends done, or untouched and named; none half done.

A server of its own, that asks ada for a password. The three migrations are planted to fail where
there are two rows alike, and to last as long as a row says.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest

from database import ROOT, run
from faults.common import until
from pgproof import fleet
from pgproof.errors import UserError
from pgproof.lock import KEY
from pgproof.scratch import UNSAFE_BUT_FAST
from pgproof.server import Server, find_binaries

IDS = ["0001_item", "0002_slow", "0003_unique"]
FORWARD = (
    "CREATE TABLE public.item (n int);\n",
    "-- depends: 0001_item\n"
    "CREATE TABLE public.slow ();\n"
    "SELECT pg_sleep(coalesce(max(n), 0)) FROM public.item WHERE n > 10;\n",
    "-- depends: 0002_slow\nALTER TABLE public.item ADD CONSTRAINT item_n_key UNIQUE (n);\n",
)
BACK = (
    "DROP TABLE public.item;\n",
    "DROP TABLE public.slow;\n",
    "ALTER TABLE public.item DROP CONSTRAINT item_n_key;\n",
)
# What of each migration is there, and what history says of it: the two must agree.
STATE = """
    SELECT to_regclass('public.item') IS NOT NULL, to_regclass('public.slow') IS NOT NULL,
        EXISTS (SELECT FROM pg_constraint WHERE conname = 'item_n_key')
"""
SAID = {
    "gone": "refused",
    "password": "password authentication failed",
    "missing": "does not exist",
    "edited": "0001_item was edited since it was applied",
    "held": "the migration lock is held by process",
    "rows": "0003_unique.sql, line 2: could not create unique index",
}
UP = (sys.executable, "-m", "pgproof", "up", "--sql")


@dataclass(frozen=True)
class Ships:
    """A server with databases made for a test, gone at its end; the folder of migrations, a list."""

    server: Server
    folder: Path
    made: list[str] = field(default_factory=list)

    def query(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement in a database, on a connection of its own."""
        with closing(psycopg2.connect(**self.server.parameters(name))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def make(self, *names: str, template: str = "template0") -> None:
        """Make databases by copying one."""
        with closing(psycopg2.connect(**self.server.parameters())) as connection:
            connection.autocommit = True
            for name in names:
                connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE {template}")
                self.made.append(name)

    def hold(self, name: str) -> Any:
        """Return a session that holds a database's migration lock."""
        holder = psycopg2.connect(**self.server.parameters(name))
        holder.autocommit = True
        holder.cursor().execute("SELECT pg_advisory_lock(%s)", [KEY])
        return holder

    def applied(self, name: str) -> list[str]:
        """Return what a database has; its catalog and its history must say the same."""
        known = self.query(name, "SELECT to_regclass('public._yoyo_migration')") != [(None,)]
        rows = self.query(name, "SELECT migration_id FROM _yoyo_migration") if known else []
        ids = sorted(id_ for (id_,) in rows)
        assert self.query(name, STATE) == [tuple(id_ in ids for id_ in IDS)], name
        return ids

    def urls(self, names: Iterable[str]) -> list[str]:
        return [self.server.url(name) for name in names]

    def words(self, lines: Sequence[str], *more: str) -> list[str]:
        """Write the list, and return the command."""
        path = self.folder.parent / "fleet.txt"
        path.write_text("".join(f"{line}\n" for line in lines))
        return [*UP, str(self.folder), "--targets", str(path), *more]

    def up(
        self, lines: Sequence[str], *more: str, code: int, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables}
        done = run(*self.words(lines, *more), environment=environment, code=code)
        assert "Traceback" not in done.stderr
        return done

    def rows(self, lines: Sequence[str], *more: str, code: int) -> list[Any]:
        """Run it for its JSON, which names every database in the list's order."""
        rows: list[Any] = json.loads(self.up(lines, "--json", *more, code=code).stdout)["databases"]
        assert [row["line"] for row in rows] == list(range(1, len(lines) + 1))
        return rows

    def begin(self, lines: Sequence[str], *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(lines, *more),
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def sessions(self, more: str = "true") -> int:
        """Count the sessions of migrate."""
        ((number,),) = self.query(
            "postgres",
            "SELECT count(*) FROM pg_stat_activity "
            f"WHERE application_name = 'migrate' AND {more}",
        )
        return int(number)


@pytest.fixture(scope="module")
def strict_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="pgproof-") as home:
        Path(home).chmod(0o755)
        server = Server(Path(home), find_binaries(), UNSAFE_BUT_FAST)
        server.start()
        with closing(psycopg2.connect(**server.parameters())) as own, own, own.cursor() as cursor:
            cursor.execute("CREATE ROLE ada LOGIN SUPERUSER PASSWORD 'lovelace'")
        (hba,) = Path(home).glob("pg*/pg_hba.conf")
        hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        with closing(psycopg2.connect(**server.parameters())) as own, own.cursor() as cursor:
            cursor.execute("SELECT pg_reload_conf()")
        yield server
        server.stop()


@pytest.fixture
def ships(strict_server: Server, tmp_path: Path) -> Iterator[Ships]:
    folder = tmp_path / "sql"
    folder.mkdir()
    for id_, forward, back in zip(IDS, FORWARD, BACK, strict=True):
        (folder / f"{id_}.sql").write_text(forward)
        (folder / f"{id_}.rollback.sql").write_text(back)
    made = Ships(strict_server, folder)
    yield made
    for name in made.made:
        made.query("postgres", f"DROP DATABASE {name} WITH (FORCE)")


# Two hundred ----------------------------------------------------------------------------------


def test_two_hundred_databases_with_twenty_failures_of_six_kinds(ships: Ships) -> None:
    ships.make("first")
    ships.up(ships.urls(["first"]), "--to", "1", code=0)
    names = [f"ship_{number:03d}" for number in range(200)]
    kinds = [*("gone", "password", "missing", "edited", "held", "rows") * 3, "held", "rows"]
    planted = {names[10 * place + 3]: kind for place, kind in enumerate(kinds)}
    of = {kind: [name for name in planted if planted[name] == kind] for kind in kinds}
    ships.make(*(name for name in names if name not in of["missing"]), template="first")

    def url(name: str, password: str) -> str:
        if name in of["password"]:
            host = quote(ships.server.parameters()["host"], safe="")
            return f"postgresql://ada:{password}@{host}/{name}"
        return ships.server.url(name)

    for name in of["edited"]:
        ships.query(name, "UPDATE _yoyo_log SET comment = translate(comment, '0123', '4567')")
    for name in of["rows"]:
        ships.query(name, "INSERT INTO public.item VALUES (1), (1)")
    holders = [ships.hold(name) for name in of["held"]]
    lines = [
        f"postgresql://postgres@127.0.0.1:1/{name}" if name in of["gone"] else url(name, "byron")
        for name in names
    ]
    options = ("--jobs", "8", "--keep-going", "--wait", "100ms")
    rows = dict(zip(names, ships.rows(lines, *options, code=1), strict=True))
    assert Counter(row["state"] for row in rows.values()) == {"done": 180, "failed": 20}
    for name, row in rows.items():
        if (kind := planted.get(name)) is None:
            assert (row["applied"], row["is_at"], row["error"]) == (IDS[1:], IDS[2], None)
            assert ships.applied(name) == IDS
            continue
        got_on = kind == "rows"
        assert SAID[kind] in row["error"]
        assert row["applied"] == (["0002_slow"] if got_on else [])
        assert row["stopped_at"] == ("0003_unique" if got_on else None)
        if kind in ("edited", "held", "rows"):
            assert row["is_at"] == ("0002_slow" if got_on else "0001_item")
        if kind != "missing":
            assert ships.applied(name) == (IDS[:2] if got_on else IDS[:1])

    # Mended, the same run does the rest, and nothing twice.
    ships.make(*of["missing"], template="first")
    for name in of["edited"]:
        ships.query(name, "UPDATE _yoyo_log SET comment = translate(comment, '4567', '0123')")
    for name in of["rows"]:
        ships.query(name, "TRUNCATE public.item")
    for holder in holders:
        holder.close()
    rows = dict(
        zip(names, ships.rows([url(n, "lovelace") for n in names], *options, code=0), strict=True)
    )
    for name, row in rows.items():
        assert row["state"] == ("done" if name in planted else "already done")
        assert row["is_at"] == "0003_unique"
    assert all(ships.applied(name) == IDS for name in planted)
