"""`migrate` run beside a test: as a process that is waited for, or cut off anywhere."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from database import SQL, Database


def at(db: Database, migration: str) -> None:
    """Bring a database to where a migration is the last, up or down."""
    with db.backend() as backend:
        applied = backend.records() if db.value("SELECT to_regclass('_yoyo_log')") else ()
        if migration in applied:
            db.down(backend, migration)
        else:
            db.up(backend, migration)


@contextmanager
def migrating(
    db: Database, *words: str, folder: Path = SQL, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run `migrate` as a process beside the test; it is gone at the end.

    `variables` are more of its environment.
    """
    command = [sys.executable, "-m", "pgproof", *words, "--sql", str(folder)]
    with subprocess.Popen(
        command,
        env={**db.environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(true: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Wait until something holds; return False if the process ended before."""
    deadline = time.monotonic() + 60
    while not true():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return True


def cut_off(db: Database, *words: str, when: Callable[[], object], folder: Path = SQL) -> bool:
    """Run `migrate`, and kill it and its session on the server once `when` holds."""
    with migrating(db, *words, folder=folder) as process:
        if not wait_until(when, process):
            return False
        process.send_signal(signal.SIGKILL)
    db.query("""
        SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE application_name = 'migrate' AND datname = current_database()
    """)
    return True
