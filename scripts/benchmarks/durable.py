"""A server for one benchmark, with durable settings; it is gone at the end.

with durable.server(None, {"autovacuum": "off"}) as server:
    server.create_database("bench")
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pgproof.server import Server, find_binaries


def settings() -> dict[str, str]:
    """PostgreSQL's own, which are durable, but for memory: a quarter for its buffers."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return {
        "shared_buffers": f"{max(128, min(memory // 4, 8192))}MB",
        "maintenance_work_mem": "256MB",
        "max_wal_size": "8GB",
    }


def end_on_sigterm() -> None:
    """Let SIGTERM end the program by way of every `finally`: a server would go on for ever."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextmanager
def server(home: Path | None, more: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Yield a server that runs; its data are in a new folder of `home`, else of temporary files.

    `more` are settings besides `settings()`. Raises UserError where it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="pgproof-bench-", dir=home))
    folder.chmod(0o755)  # as root, the server runs as another user
    made = Server(folder / "server", find_binaries(), {**settings(), **(more or {})})
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
