"""Row 8 of the fault matrix: a pooler in transaction mode is refused, one in session mode serves.

Needs pgbouncer, of the system's package of that name; skipped where it is not installed.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from database import MIGRATE, Database, Runner
from faults.common import OURS, Outcome
from pgproof.lock import KEY

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

Pool = Callable[..., Database]

# What many set for the sake of other clients; pgbouncer drops the settings that it is told of here.
IGNORING = "ignore_startup_parameters = extra_float_digits, options"

SHARED = (
    "a connection pooler hands this session's transactions to different servers\n"
    "Connect to the server itself, or to a pool in session mode.\n"
)
REFUSING = (
    "a connection pooler refuses the session's settings\n"
    "Connect to the server itself: a migration needs a session of its own.\n"
)


@pytest.fixture
def pool(db: Database) -> Iterator[Pool]:
    """Start pgbouncer before the database, in a mode and with more lines of its configuration."""
    running: list[tuple[subprocess.Popen[bytes], str]] = []

    def begin(mode: str, *lines: str) -> Database:
        home = Path(tempfile.mkdtemp(prefix="pgproof-"))  # short: a socket's path is 107 bytes
        server = " ".join(f"{key}='{value}'" for key, value in db.parameters.items())
        configuration = (
            f"[databases]\n{db.dbname} = {server}\n"
            f"[pgbouncer]\npool_mode = {mode}\nauth_type = any\nlisten_addr =\nlisten_port = 6432\n"
            f"unix_socket_dir = {home}\nlogfile = {home}/log\n" + "\n".join(lines) + "\n"
        )
        (home / "pgbouncer.ini").write_text(configuration)
        nobody = "nobody" if os.geteuid() == 0 else None  # as root it does not run
        if nobody:
            shutil.chown(home, nobody)
            home.chmod(0o755)
        process = subprocess.Popen(
            [str(PROGRAM), "-q", str(home / "pgbouncer.ini")],
            user=nobody,
            extra_groups=[] if nobody else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        running.append((process, str(home)))
        pooled = replace(db, host=str(home), port="6432", _connections=[])
        deadline = time.monotonic() + 20
        while True:
            with suppress(psycopg2.OperationalError):
                psycopg2.connect(**pooled.parameters).close()  # type: ignore[call-overload]
                return pooled
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline, (home / "log").read_text()
            time.sleep(0.02)

    yield begin
    for process, home in running:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        shutil.rmtree(home)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One migration, which tells its lock_timeout, and one that is not transactional."""
    made = tmp_path / "migrations"
    made.mkdir()
    tell = "DO $$ BEGIN RAISE NOTICE 'lock_timeout is %', current_setting('lock_timeout'); END $$;"
    texts = {
        "0001_apple": f"RESET ALL; CREATE TABLE public.apple (id int); {tell}",
        "0002_index": "-- transactional: false\n"
        f"{tell} CREATE INDEX CONCURRENTLY apple_id_idx ON public.apple (id);",
    }
    for name, text in texts.items():
        (made / f"{name}.sql").write_text(text)
        (made / f"{name}.rollback.sql").write_text("SELECT 1;")
    return made


def untouched(db: Database) -> bool:
    """Whether no run has made a table, or holds the migration lock."""
    return not db.advisory_locks(KEY) and db.rows("public") == {}


@OURS
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pool_that_shares_its_servers_is_refused(
    mode: str, runner: Runner, db: Database, folder: Path, pool: Pool, outcome: Outcome
) -> None:
    said = runner.on(folder).up(pool(mode, IGNORING), code=1).stderr
    program = "migrate" if runner.name == MIGRATE.name else "yoyo"
    assert said.endswith(f"{program}: {SHARED}"), said
    assert untouched(db)
    outcome(80, f"{runner.name}, pgbouncer in {mode} mode", "refused")


@OURS
@pytest.mark.parametrize(
    "servers",
    [
        1,
        2,
        3,
    ],
)
def test_it_is_refused_when_it_has_idle_servers_and_takes_turns(
    servers: int, runner: Runner, db: Database, folder: Path, pool: Pool, outcome: Outcome
) -> None:
    pooled = pool("transaction", IGNORING, "server_round_robin = 1")
    others = [pooled.connect() for _ in range(servers)]
    for word in ("BEGIN", "ROLLBACK"):  # each holds a server of its own in between
        for other in others:
            other.cursor().execute(word)
    idle = db.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    assert idle == servers
    done = runner.on(folder).up(pooled, code=None)
    pooled.close()
    assert done.returncode == 1, done.stderr
    assert SHARED in done.stderr
    assert untouched(db)
    outcome(80, f"{runner.name}, {servers} idle servers that take turns", "refused")


@OURS
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pool_that_refuses_the_settings_is_refused(
    mode: str, runner: Runner, db: Database, folder: Path, pool: Pool
) -> None:
    said = runner.on(folder).up(pool(mode), code=1).stderr
    program = "migrate" if runner.name == MIGRATE.name else "yoyo"
    assert said == f"{program}: {REFUSING}"
    assert untouched(db)


@OURS
def test_a_pool_in_session_mode_serves(
    runner: Runner, db: Database, folder: Path, pool: Pool, outcome: Outcome
) -> None:
    runner.on(folder).up(pool("session", IGNORING))
    assert db.query("SELECT migration_id FROM _yoyo_migration ORDER BY 1") == [
        ("0001_apple",),
        ("0002_index",),
    ]
    outcome(80, f"{runner.name}, pgbouncer in session mode", "applied")


@OURS
def test_a_pool_in_session_mode_does_not_lose_the_lock_timeout(
    runner: Runner, db: Database, folder: Path, pool: Pool
) -> None:
    apple = folder / "0001_apple.sql"
    apple.write_text(apple.read_text().removeprefix("RESET ALL; "))
    said = runner.on(folder).up(pool("session", IGNORING)).stderr
    assert said.count("lock_timeout is 200ms\n") == 2, said


@OURS
def test_a_pool_of_one_server_in_session_mode_ends_with_a_message(
    runner: Runner, db: Database, folder: Path, pool: Pool
) -> None:
    pooled = pool("session", IGNORING, "default_pool_size = 1", "query_wait_timeout = 1")
    assert "Traceback" not in runner.on(folder).up(pooled, code=None).stderr
