"""Laws of progress: a long statement is told on a terminal as it goes, elsewhere by plain lines."""

import os
import pty
import re
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from database import Database
from pgproof import progress
from pgproof.session import Settings, connect, watched


def on_terminal(db: Database, folder: Path) -> str:
    """Run `migrate up` with its stderr on a terminal, and return all that was written there."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "pgproof", "up", "--sql", str(folder)]
    process = subprocess.Popen(words, env=db.environment, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            written += os.read(ours, 4096)
        except OSError:  # Linux: the other side has closed
            break
    assert process.wait(60) == 0
    os.close(ours)
    return written.decode()


def test_a_terminal_shows_where_a_long_statement_stands(db: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_slow.sql").write_text("SELECT pg_sleep(1.8);\n")
    (tmp_path / "0001_slow.rollback.sql").write_text("SELECT 1;\n")
    written = on_terminal(db, tmp_path)
    assert re.search(r"\r\x1b\[K0001_slow: running, \d s", written)
    assert written.rstrip().endswith("\r\x1b[K") or "\r\x1b[K" in written.split("running")[-1]


def test_an_index_shows_its_phase(db: Database, tmp_path: Path) -> None:
    """It waits for an old transaction, so that its phase holds still to be looked at."""
    db.query("CREATE TABLE public.big (n int)")
    old = db.connect()
    old.autocommit = False
    old.cursor().execute("INSERT INTO public.big VALUES (1)")
    (tmp_path / "0001_index.sql").write_text(
        "-- transactional: false\nCREATE INDEX CONCURRENTLY big_idx ON public.big (n);\n"
    )
    (tmp_path / "0001_index.rollback.sql").write_text("DROP INDEX CONCURRENTLY public.big_idx;\n")
    timer = threading.Timer(3, old.rollback)
    timer.start()
    written = on_terminal(db, tmp_path)
    timer.join()
    assert "0001_index: building an index, waiting for writers before build" in written


@pytest.mark.parametrize(("every", "lines"), [(0.0, 1), (10.0, 0)])
def test_plain_lines_where_nobody_watches(
    every: float, lines: int, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "ON_PAPER", every)
    path = tmp_path / "stderr"
    with path.open("w") as stream:
        session = connect(db.parameters, Settings())
        session.running = "0001_slow"
        session.on_wait = progress.Progress(stream)
        with watched(session):
            session.cursor().execute("SELECT pg_sleep(1.4)")
        session.close()
    written = path.read_text().splitlines()
    assert len(written) >= lines if lines else not written
    assert all(line == "0001_slow: running, 1 s" for line in written)


def test_a_notice_is_shown_while_its_statement_runs(db: Database, tmp_path: Path) -> None:
    """A backfill tells how far it is; at its end nobody needs to know any more."""
    (tmp_path / "0001_tells.sql").write_text(
        "-- transactional: false\n"
        "DO $$ BEGIN RAISE NOTICE 'half of it'; COMMIT;\n"
        "WHILE to_regclass('public.enough') IS NULL LOOP PERFORM pg_sleep(0.05); COMMIT;\n"
        "END LOOP; RAISE NOTICE 'all of it'; END $$;\n"
    )
    (tmp_path / "0001_tells.rollback.sql").write_text("SELECT 1;\n")
    words = [sys.executable, "-m", "pgproof", "up", "--sql", str(tmp_path)]
    with subprocess.Popen(
        words, env=db.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        told = ""
        # It would not end by itself.
        while "half of it" not in told and select.select([process.stderr], [], [], 10)[0]:
            told += os.read(process.stderr.fileno(), 4096).decode()
        db.query("CREATE TABLE public.enough ()")
        assert "half of it" in told
        assert "all of it" not in told
        told += process.stderr.read()
        assert process.wait(30) == 0
    assert told.count("half of it") == told.count("all of it") == 1
