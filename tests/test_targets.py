"""Laws of `migrate up --targets`: every database ends done, or untouched and named; none half done.

A server of its own, that asks ada for a password. The three migrations are planted to fail where
there are two rows alike, and to last as long as a row says.
"""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
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
from pgproof.scratch import UNSAFE_BUT_FAST, scratch_folder
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
    """A server, whose databases go with it; a folder of migrations, and a list beside it."""

    server: Server
    folder: Path
    begun: list[subprocess.Popen[str]] = field(default_factory=list)

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
                connection.cursor().execute(
                    f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
                )

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
        """Begin a run, the first of a group of processes."""
        process = subprocess.Popen(
            self.words(lines, *more),
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.begun.append(process)
        return process

    def sessions(self, more: str = "true") -> int:
        """Count the sessions of migrate."""
        ((number,),) = self.query(
            "postgres",
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'migrate' AND {more}",
        )
        return int(number)


@pytest.fixture(scope="module")
def strict_server() -> Iterator[Server]:
    # On a disk, two hundred databases take longer to remove than to migrate.
    server = Server(scratch_folder(room=4 << 30), find_binaries(), UNSAFE_BUT_FAST)
    server.start()
    (hba,) = server.home.glob("pg*/pg_hba.conf")
    hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
    ships = Ships(server, server.home)
    ships.query("postgres", "CREATE ROLE ada LOGIN SUPERUSER PASSWORD 'lovelace'")
    ships.query("postgres", "SELECT pg_reload_conf()")
    yield server
    server.stop()
    shutil.rmtree(server.home)


@pytest.fixture
def ships(strict_server: Server, tmp_path: Path) -> Iterator[Ships]:
    folder = tmp_path / "sql"
    folder.mkdir()
    for id_, forward, back in zip(IDS, FORWARD, BACK, strict=True):
        (folder / f"{id_}.sql").write_text(forward)
        (folder / f"{id_}.rollback.sql").write_text(back)
    made = Ships(strict_server, folder)
    yield made
    for process in made.begun:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


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
        ships.query(name, "UPDATE _yoyo_log SET comment = translate(comment, '01', '10')")
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
        ships.query(name, "UPDATE _yoyo_log SET comment = translate(comment, '01', '10')")
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


# When one fails ---------------------------------------------------------------------------------


def test_after_a_failure_no_other_is_begun_and_those_under_way_end(ships: Ships) -> None:
    names = [f"stop_{letter}" for letter in "abcde"]
    ships.make(*names)
    ships.up(ships.urls(names), "--to", "1", code=0)
    ships.query("stop_a", "INSERT INTO public.item VALUES (12)")  # sleeps
    ships.query("stop_b", "INSERT INTO public.item VALUES (1), (1)")
    with_sleep = ships.folder / "0002_slow.sql"
    with_sleep.write_text(with_sleep.read_text().replace("max(n)", "max(n) / 12"))
    done = ships.up(ships.urls(names), "--jobs", "2", code=1)
    lines = [
        re.sub(r" \[[\d.]+ s\]", "", re.sub(r" +", " ", line)) for line in done.stdout.splitlines()
    ]
    a, b, *rest = ships.urls(names)
    assert sorted(lines[:2]) == [
        f"done {a} applied 0002_slow, 0003_unique",
        f"failed {b} applied 0002_slow, stopped at 0003_unique, is at 0002_slow: "
        f"{ships.folder}/0003_unique.sql, line 2: "
        'could not create unique index "item_n_key" (Key (n)=(1) is duplicated.) '
        "Nothing of 0003_unique was kept; mend the cause, and run again.",
    ]
    assert lines[2:] == [f"untouched {url}" for url in rest]
    assert done.stderr == "5 databases: 1 failed, 1 done, 3 untouched\n"
    assert [ships.applied(name) for name in names] == [IDS, IDS[:2], *[IDS[:1]] * 3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("whole_group", [False, True], ids=["the parent", "the group"])
def test_a_signal_cancels_what_runs_and_names_each(
    number: signal.Signals, whole_group: bool, ships: Ships
) -> None:
    names = [f"{number.name.lower()}_{'group' if whole_group else 'one'}_{n}" for n in "abcd"]
    ships.make(*names)
    ships.up(ships.urls(names), "--to", "1", code=0)
    for name in names:
        ships.query(name, "INSERT INTO public.item VALUES (60)")
    process = ships.begin(ships.urls(names), "--jobs", "2", "--json")
    until(lambda: ships.sessions("wait_event = 'PgSleep'") == 2)
    began = time.monotonic()
    (os.killpg if whole_group else os.kill)(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + number
    rows = json.loads(stdout)["databases"]
    assert [(row["state"], row["applied"], row["stopped_at"], row["is_at"]) for row in rows] == [
        *[("interrupted", [], "0002_slow", "0001_item")] * 2,
        *[("untouched", [], None, None)] * 2,
    ]
    assert "Traceback" not in stderr
    assert ships.sessions() == 0
    assert all(ships.applied(name) == IDS[:1] for name in names)


def test_a_signal_ends_what_still_connects(ships: Ships) -> None:
    """A server that takes a connection and says nothing keeps libpq inside connect()."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        url = f"postgresql://ada@127.0.0.1:{port}/mute"
        process = ships.begin([url], "--json")
        with mute.accept()[0]:
            process.terminate()
            stdout, _ = process.communicate(timeout=20)
    assert process.returncode == 143
    assert [row["state"] for row in json.loads(stdout)["databases"]] == ["interrupted"]


def test_a_reader_that_goes_away_does_not_stop_the_run(ships: Ships) -> None:
    names = [f"unheard_{letter}" for letter in "abcdefgh"]
    ships.make(*names)
    # Each has more to say than a pipe holds.
    loud = f"DO $$ BEGIN RAISE NOTICE '%', repeat('x', {1 << 20}); END $$;\n"
    path = ships.folder / "0003_unique.sql"
    path.write_text(path.read_text() + loud)
    process = ships.begin(ships.urls(names), "--jobs", "3")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 1
    assert all(ships.applied(name) == IDS for name in names)


# When the run itself is killed --------------------------------------------------------------------


def test_after_kill_9_nothing_is_half_done_and_the_next_run_converges(ships: Ships) -> None:
    names = [f"kill_{number:02d}" for number in range(16)]
    ships.make(*names)
    seen = set()
    for ended in (2, 6, 11):
        process = ships.begin(ships.urls(names), "--jobs", "4")
        assert process.stdout
        for _ in range(ended):
            process.stdout.readline()
        process.kill()
        process.communicate(timeout=60)
        until(lambda: ships.sessions() == 0)
        seen.add(sum(ships.applied(name) == IDS for name in names))
        assert all(ships.applied(name) in (IDS[:n] for n in range(4)) for name in names)
    assert max(seen) < len(names), "all was done before the run was killed"
    rows = ships.rows(ships.urls(names), code=0)
    assert {row["state"] for row in rows} == {"done", "already done"}
    assert all(ships.applied(name) == IDS for name in names)


def test_what_a_killed_run_left_under_way_ends_by_itself(ships: Ships) -> None:
    names = ["orphan_a", "orphan_b", "orphan_c"]
    ships.make(*names)
    ships.up(ships.urls(names), "--to", "1", code=0)
    for name in names:
        ships.query(name, "INSERT INTO public.item VALUES (60)")
    process = ships.begin(ships.urls(names), "--jobs", "2")
    until(lambda: ships.sessions("wait_event = 'PgSleep'") == 2)
    process.kill()
    until(lambda: ships.sessions() == 0, within=5)
    process.communicate(timeout=60)
    assert all(ships.applied(name) == IDS[:1] for name in names)


def test_a_process_that_dies_is_a_failure_and_named(ships: Ships) -> None:
    ships.make("dies")
    ships.up(ships.urls(["dies"]), "--to", "1", code=0)
    ships.query("dies", "INSERT INTO public.item VALUES (60)")
    process = ships.begin(ships.urls(["dies"]), "--json")
    until(lambda: ships.sessions("wait_event = 'PgSleep'") == 1)
    (child,) = children(process.pid)
    os.kill(child, signal.SIGKILL)
    stdout, _ = process.communicate(timeout=60)
    (row,) = json.loads(stdout)["databases"]
    assert (process.returncode, row["state"]) == (1, "failed")
    assert row["error"] == "its process ended by signal 9\nmigrate status tells what was done."


def children(pid: int) -> list[int]:
    listed = run("ps", "-A", "-o", "ppid=,pid=", environment=dict(os.environ)).stdout
    pairs = [line.split() for line in listed.splitlines()]
    return [int(child) for parent, child in pairs if int(parent) == pid]


# The list and the options -------------------------------------------------------------------------


def test_services_comments_and_standard_input(ships: Ships, tmp_path: Path) -> None:
    ships.make("by_service", "by_url")
    host = ships.server.parameters()["host"]
    services = tmp_path / "services"
    services.write_text(f"[harbour]\nhost={host}\nuser=postgres\ndbname=by_service\n")
    text = f"\ufeff# the fleet\r\n\r\nharbour  # the first\r\n  {ships.server.url('by_url')}"
    done = subprocess.run(
        [*UP, ships.folder, "--targets", "-", "--to", "2"],
        cwd=ROOT,
        env={**os.environ, "PGSERVICEFILE": str(services), "DATABASE_URL": "nonsense"},
        input=text.encode(),
        capture_output=True,
        check=True,
    )
    assert re.search(rb"^done +harbour +applied 0001_item, 0002_slow \[", done.stdout, re.M)
    assert [ships.applied(name) for name in ("by_service", "by_url")] == [IDS[:2], IDS[:2]]


def test_a_database_under_two_names_is_migrated_once(ships: Ships, tmp_path: Path) -> None:
    ships.make("twice")
    host = ships.server.parameters()["host"]
    services = tmp_path / "services"
    services.write_text(f"[other]\nhost={host}\nuser=postgres\ndbname=twice\n")
    done = ships.up(["other", *ships.urls(["twice"])], code=0, PGSERVICEFILE=str(services))
    assert sorted(line.split("  ")[0] for line in done.stdout.splitlines()) == [
        "already done",
        "done",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no database"),
        ("# nothing\n\n", "names no database"),
        ("alpha\nbeta\nalpha\n", "line 3: alpha is on line 1 already"),
        (
            "postgresql://a:hunter2@h/db\npostgresql://b@h:5432/db\n",
            "line 2: postgresql://b@h:5432/db is on line 1",
        ),
        (
            "alpha\npostgresql:///?service=alpha\n",
            "line 2: postgresql:///?service=alpha is on line 1",
        ),
        ("alpha\nbob:hunter2@host\n", "line 2: neither a URL nor the name of a service"),
        ("host=h password=hunter2\n", "line 1: neither a URL nor"),
        ("postgresql://h/db hunter2\n", "line 1: neither a URL nor"),
        ("mysql://bob:hunter2@h/db\n", "line 1 begins with mysql://"),
        ("postgresql://bob:hun/ter2@h/db\n", "line 1 has an @ after its first /"),
        ("postgresql://bob:12#hunter2@h/db\n", "line 1 has a #"),
        ("postgresql://bob:12@hunter2@h/db\n", "line 1 has more than one @"),
        ("postgresql://bob:12?hunter2@h/db\n", "line 1 has a ? before its @"),
        ("postgresql://bob:hunter2\0@h/db\n", "line 1: neither a URL nor"),
        ("al\0pha\n", "line 1: neither a URL nor"),
        ("postgresql://h/db?wait=hunter2\n", "is not a duration"),
        (b"\xff\n", "is not UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_a_list_that_is_wrong_is_refused_whole(
    text: str | bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.txt"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        fleet.read(str(path))
    assert message in str(caught.value)
    assert caught.value.exit_code == 2
    if "wait=" not in str(text):
        assert "hunter2" not in str(caught.value)
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://bob:a:b%40@h:1/db", "postgresql://bob@h:1/db"),
        ("postgresql://bob:a[b\uff1a]@[::1]/db?user=a@b", "postgresql://bob@[::1]/db?user=a@b"),
        ("postgresql:///db?host=/tmp&password=x", "postgresql:///db?host=/tmp"),
        ("postgres://bob:x@/db?pass%77ord=x", "postgres://bob@/db"),
        (
            "postgresql://:x@h/db?sslpassword=x&sslmode=require",
            "postgresql://@h/db?sslmode=require",
        ),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "fleet.txt").write_text(url)
    (target,) = fleet.read(str(tmp_path / "fleet.txt"))
    assert target.name == shown


def test_a_database_that_is_not_named_is_its_users(tmp_path: Path) -> None:
    path = tmp_path / "fleet.txt"
    path.write_text("postgresql://alice@h\npostgresql://bob@h\n")
    assert len(fleet.read(str(path))) == 2
    path.write_text("postgresql://alice@h\npostgresql://bob@h/alice\n")
    with pytest.raises(UserError, match="is on line 1 already"):
        fleet.read(str(path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--database", "postgresql:///x"], "Leave --database away"),
        (["--plan", "plan.json"], "Leave --plan away"),
        (["--to", "4711"], "no migration '4711'"),
        (["--wait", "soon"], "wait=soon is not a duration"),
        (["--jobs", "0"], "must be 1 or more"),
    ],
)
def test_options_that_are_wrong_are_usage(words: list[str], message: str, ships: Ships) -> None:
    assert message in ships.up(["nowhere"], *words, code=2).stderr


def test_jobs_and_keep_going_want_targets(ships: Ships) -> None:
    for word in (["--jobs", "2"], ["--keep-going"]):
        done = run(*UP, ships.folder, *word, environment=dict(os.environ), code=2)
        assert "are for --targets" in done.stderr


def test_files_that_cannot_be_read_touch_no_database(ships: Ships) -> None:
    ships.make("unread")
    (ships.folder / "0004_bad.sql").write_bytes(b"-- \xe9\n")
    assert "not UTF-8" in ships.up(ships.urls(["unread"]), code=1).stderr
    assert ships.applied("unread") == []


def test_a_terminal_shows_how_many_have_ended(ships: Ships) -> None:
    ships.make("shown_a", "shown_b")
    ours, theirs = pty.openpty()
    words = ships.words([*ships.urls(["shown_a", "shown_b"]), "nowhere"], "--jobs", "1")
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, timeout=60)
    written = os.read(ours, 65536).decode()
    assert done.returncode == 1
    for shown in ("0 of 3", "1 of 3", "2 of 3", "3 of 3, 1 failed"):
        assert f"\r\x1b[K{shown}" in written
    assert "\r\x1b[K3 databases: 2 done, 1 failed" in written.replace("\r\n", "\n")
    os.close(ours)
    os.close(theirs)
