"""Runs of `migrate` that halt at a chosen point of their talk with the server, to be disturbed.

A message to the server has three points: `before` it is sent, `sent` but not answered, and `after`
the answer. At the n-th of them a run stops itself, and whoever asked does with it what he likes:
kill it, or end its session. One process that has imported everything forks each run. It reads
requests and writes answers, a line of JSON each.
"""

import json
import os
import signal
import sys
from tempfile import TemporaryFile
from typing import IO, Any

from psycopg2 import extensions

from pgproof import backend, baseline, cli, migrations, project, refusals, runner, server
from pgproof.session import Session

PRELOADED = (backend, baseline, migrations, project, refusals, runner, server)


class Points:
    """Counts the points of a run, notes each in a file, and stops the process at one of them."""

    def __init__(self, halt: int, notes: IO[str]) -> None:
        self.halt = halt
        self.notes = notes
        self.passed = 0
        self.unsent: str | None = None

    def reach(self, when: str, query: str) -> None:
        self.passed += 1
        print(when, " ".join(query.split())[:240], file=self.notes, flush=True)
        if self.passed == self.halt:
            os.kill(os.getpid(), signal.SIGSTOP)

    def watch(self) -> None:
        """Put the points into every session of this process."""
        points = self

        class Watched(extensions.cursor):
            def execute(self, query: Any, vars: Any = None) -> None:
                text = query if isinstance(query, str) else query.as_string(self.connection)
                points.reach("before", text)
                points.unsent = text
                super().execute(query, vars)
                points.reach("after", text)

        def cursor(session: Session, *arguments: Any, **more: Any) -> Any:
            named = {**more, "cursor_factory": Watched}
            return extensions.connection.cursor(session, *arguments, **named)

        def poll(session: Session) -> int:
            # The first poll of a message has sent it.
            state = extensions.connection.poll(session)
            text, points.unsent = points.unsent, None
            if text is not None:
                points.reach("sent", text)
            return state

        Session.cursor = cursor  # type: ignore[method-assign, assignment]
        Session.poll = poll  # type: ignore[method-assign, assignment]


def run(asked: Any, out: IO[str], err: IO[str], notes: IO[str]) -> None:
    """Be the run that was asked for, and end."""
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    Points(asked["point"], notes).watch()
    code = 70  # a traceback's
    try:
        sys.argv = ["migrate", *asked["words"]]
        code = cli.main(asked["words"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def answer(what: Any) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err, TemporaryFile("w+") as notes:
            process = os.fork()
            if not process:
                run(asked, out, err, notes)
            _, status = os.waitpid(process, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                answer({"halted": process})
                if not sys.stdin.readline():  # whoever asked is gone
                    os.kill(process, signal.SIGKILL)
                os.kill(process, signal.SIGCONT)
                _, status = os.waitpid(process, 0)
            for file in (out, err, notes):
                file.seek(0)
            said = {"out": out.read(), "err": err.read(), "points": notes.read().splitlines()}
            answer({"code": os.waitstatus_to_exitcode(status), **said})


if __name__ == "__main__":
    main()
