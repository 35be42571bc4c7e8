"""The programs that are compared: how each lays out the same migrations, and how it is called.

    psql              one process, a transaction a file, no history: the floor
    yoyo              stock yoyo
    yoyo on pgproof   yoyo's own command on our backend
    migrate           our command
    Alembic, dbmate   other migration tools; dbmate where npm can install it

Every tool finds the database in libpq's variables, but for dbmate, which takes a URL.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

DBMATE = "2.36.0"

Command = tuple[str, ...]

_ALEMBIC_ENV = """\
from alembic import context
from sqlalchemy import create_engine, pool

with create_engine("postgresql+psycopg2://", poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""

_ALEMBIC_REVISION = """\
from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade():
    op.execute({forward!r})


def downgrade():
    op.execute({rollback!r})
"""


@dataclass(frozen=True)
class Migration:
    """One migration of a workload: its name and the text of its two files."""

    name: str
    forward: str
    rollback: str


@dataclass(frozen=True)
class Tool:
    """A program: the folder of its project, its commands by task, and variables besides libpq's."""

    name: str
    folder: Path
    commands: Mapping[str, Command]
    variables: Mapping[str, str] = field(default_factory=dict)


def psql(bindir: Path, folder: Path, files: Sequence[Migration]) -> Tool:
    """Lay out psql's project: a script that includes each file between BEGIN and COMMIT."""
    _write_sql(folder, files)
    for script, suffix, ordered in (
        ("apply", ".sql", list(files)),
        ("roll back", ".rollback.sql", list(reversed(files))),
    ):
        lines = [f"BEGIN;\n\\i {file.name}{suffix}\nCOMMIT;" for file in ordered]
        (folder / f"{script}.psql").write_text("\n".join(lines))
    start = (str(bindir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1")
    return Tool(
        "psql",
        folder,
        {
            "version": (start[0], "--version"),
            "apply": (*start, "-f", "apply.psql"),
            "no-op": (*start, "-c", "SELECT 1"),
            "status": (*start, "-c", "SELECT 1"),
            "roll back": (*start, "-f", "roll back.psql"),
        },
    )


def yoyo(folder: Path, files: Sequence[Migration], backend: str = "") -> Tool:
    """Lay out the project of stock yoyo, or of yoyo on a backend of another scheme."""
    _write_sql(folder, files)
    program = str(Path(sys.executable).with_name("yoyo"))
    where = ("--no-config-file", "-d", f"postgresql{backend}://", ".")
    return Tool(
        f"yoyo on {backend.strip('+')}" if backend else "yoyo",
        folder,
        {
            "version": (program, "--help"),  # it has no --version
            "apply": (program, "apply", "--batch", *where),
            "no-op": (program, "apply", "--batch", *where),
            "status": (program, "list", *where),
            "roll back": (program, "rollback", "--batch", "--all", *where),
        },
    )


def migrate(folder: Path, files: Sequence[Migration]) -> Tool:
    """Lay out our project, as scripts/migrate starts the command."""
    _write_sql(folder, files)
    start = (sys.executable, "-P", "-m", "pgproof")
    where = ("--sql", ".")
    return Tool(
        "migrate",
        folder,
        {
            "version": (*start, "--version"),
            "apply": (*start, "up", *where),
            "no-op": (*start, "up", *where),
            "status": (*start, "status", *where),
            "roll back": (*start, "down", "--all", "--yes", *where),
        },
    )


def alembic(folder: Path, files: Sequence[Migration]) -> Tool:
    """Lay out Alembic's project: the same SQL in op.execute, a transaction a revision."""
    versions = folder / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (folder / "env.py").write_text(_ALEMBIC_ENV)
    before = None
    for file in files:
        text = _ALEMBIC_REVISION.format(
            revision=file.name,
            before=before,
            forward=_without_binds(file.forward),
            rollback=_without_binds(file.rollback),
        )
        (versions / f"{file.name}.py").write_text(text)
        before = file.name
    program = str(Path(sys.executable).with_name("alembic"))
    return Tool(
        "Alembic",
        folder,
        {
            "version": (program, "--version"),
            "apply": (program, "upgrade", "head"),
            "no-op": (program, "upgrade", "head"),
            "status": (program, "current"),
            "roll back": (program, "downgrade", "base"),
        },
    )


def dbmate(program: Path, folder: Path, files: Sequence[Migration], url: str) -> Tool:
    """Lay out dbmate's project: both halves in one file. It rolls back only one at a time."""
    folder.mkdir(parents=True)
    for file in files:
        text = f"-- migrate:up\n{file.forward}\n-- migrate:down\n{file.rollback}"
        (folder / f"{file.name}.sql").write_text(text)
    start = (str(program), "--no-dump-schema", "--migrations-dir", ".")
    return Tool(
        "dbmate",
        folder,
        {
            "version": (str(program), "--version"),
            "apply": (*start, "migrate"),
            "no-op": (*start, "migrate"),
            "status": (*start, "status"),
        },
        {"DATABASE_URL": url},
    )


def dbmate_url(parameters: Mapping[str, str]) -> str:
    """Return a URL in the form that dbmate reads: a socket's folder goes by a name of its own."""
    socket = quote(parameters["host"], safe="")
    name, port = parameters["dbname"], parameters["port"]
    return f"postgres://{parameters['user']}@:{port}/{name}?socket={socket}&sslmode=disable"


def find_dbmate(cache: Path) -> Path | str:
    """Return dbmate's program, which npm installs into `cache` once; else why there is none."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not here"
    found = sorted(cache.glob("node_modules/@dbmate/*/bin/dbmate*"))
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--prefix", str(cache), f"dbmate@{DBMATE}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return "npm could not install it"
        found = sorted(cache.glob("node_modules/@dbmate/*/bin/dbmate*"))
    return found[0] if found else "npm has no build for this machine"


def _write_sql(folder: Path, files: Sequence[Migration]) -> None:
    folder.mkdir(parents=True)
    for file in files:
        (folder / f"{file.name}.sql").write_text(file.forward)
        (folder / f"{file.name}.rollback.sql").write_text(file.rollback)


def _without_binds(text: str) -> str:
    """Return SQL with each colon that SQLAlchemy would take for a parameter's escaped."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", text)
