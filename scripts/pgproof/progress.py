"""What a long statement is doing: its phase and per cent on a terminal, a plain line elsewhere.

    backend.connection.on_wait = progress.Progress(sys.stderr)

Told by the server's own views of progress (an index, a copy, a rewrite, a vacuum); where it has
none for a statement (VALIDATE, a big UPDATE), by the time that has passed, or by what it waits for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TextIO

import psycopg2

from pgproof.session import Session

ON_TERMINAL = 0.5  # seconds between two looks
FIRST = 1.0  # seconds before the first one: what is quick needs none
ON_PAPER = 10.0  # seconds between two lines where nobody watches

_PHASE = """
    SELECT 'building an index, ' || phase, 100.0 * blocks_done / nullif(blocks_total, 0)
    FROM pg_stat_progress_create_index WHERE pid = %(pid)s
    UNION ALL
    SELECT lower(command) || ', ' || phase, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
    FROM pg_stat_progress_cluster WHERE pid = %(pid)s
    UNION ALL
    SELECT 'copying', 100.0 * bytes_processed / nullif(bytes_total, 0)
    FROM pg_stat_progress_copy WHERE pid = %(pid)s
    UNION ALL
    SELECT 'vacuum, ' || phase, 100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
    FROM pg_stat_progress_vacuum WHERE pid = %(pid)s
    UNION ALL
    SELECT CASE wait_event_type WHEN 'Lock' THEN 'waiting for a lock' ELSE 'running' END, NULL
    FROM pg_stat_activity WHERE pid = %(pid)s
    LIMIT 1
"""


@contextmanager
def step(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Yield what shows, on a terminal alone, the step that is under way; "" takes it off again."""
    watched = stream.isatty()

    def show(text: str) -> None:
        if watched:
            stream.write(f"\r\x1b[K{text}")
            stream.flush()

    try:
        yield show
    finally:
        show("")


@dataclass
class Progress:
    """Called while a statement runs, with its seconds so far; writes to `stream`."""

    stream: TextIO
    _last: float = 0.0
    _shown: bool = False

    def __call__(self, session: Session, seconds: float) -> None:
        """Write where the statement stands, if it is time to."""
        watched = self.stream.isatty()
        if seconds < self._last:  # another statement
            self._last = 0.0
        since = seconds - self._last
        if since < (ON_TERMINAL if watched else ON_PAPER) or seconds < FIRST:
            return
        self._last = seconds
        line = f"{session.running}: {self._phase(session)}, {seconds:.0f} s"
        if watched:
            self.stream.write(f"\r\x1b[K{line}")
            self._shown = True
        else:
            self.stream.write(f"{line}\n")
        self.stream.flush()

    def clear(self) -> None:
        """Take the line off the terminal, before something else is written there."""
        if self._shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self._shown = False

    def _phase(self, session: Session) -> str:
        with suppress(psycopg2.Error):
            for phase, share in session.ask_aside(_PHASE, {"pid": session.info.backend_pid}):
                return phase if share is None else f"{phase} {share:.0f}%"
        return "running"
