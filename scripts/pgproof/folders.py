"""The folders of an embedded server: where they are, and that only those who should can enter.

No folder that was there before is changed: one that does not fit is refused, with the way out.

    PGPROOF_HOME=/srv/pgproof scripts/migrate server start
"""

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from pgproof.binaries import account, account_can
from pgproof.errors import UserError

MEND = "set PGPROOF_HOME to a folder that you can write to, or DATABASE_URL to use another server"


def default_home() -> Path:
    """The folder of the user's embedded server, which its start makes; UserError if it cannot."""
    data = os.environ.get("XDG_DATA_HOME", "")
    if explicit := os.environ.get("PGPROOF_HOME"):
        home = Path(explicit).absolute()
    elif os.geteuid() == 0:
        home = Path("/var/lib/pgproof")
    elif data.startswith("/"):  # its standard says to ignore a relative one
        home = Path(data, "pgproof")
    else:
        home = Path(os.environ.get("HOME") or _passwd_home(), ".local/share/pgproof").absolute()
    nearest = next(path for path in (home, *home.parents) if os.access(path, os.F_OK))
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise UserError(f"cannot keep a server in {home}: {nearest} is not writable:\n{MEND}")
    return home


def _passwd_home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise UserError(f"no place for the embedded server: HOME is not set:\n{MEND}") from None


def make_home(home: Path) -> None:
    """Make ``home`` and the folders above it that are missing; refuse one the server cannot enter.

    Raises OSError where it cannot be made.
    """
    before = os.umask(0o022 if account() else 0o077)  # the account must get through, nobody else
    try:
        home.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)
    if account() and not account_can("/bin/sh", "-c", 'cd "$0"', str(home)):
        raise UserError(
            f"PostgreSQL does not run as root, and the account nobody may not enter {home}:\n"
            "set PGPROOF_HOME to a folder that every user may enter, or DATABASE_URL"
        )


def make_private(folder: Path) -> None:
    """Make a folder that only the server may enter; refuse one that somebody else put there."""
    owner = account() or (os.geteuid(), os.getegid())
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid not in (owner[0], os.geteuid())
        or stat.S_IMODE(found.st_mode) & 0o777 != 0o700
    ):
        raise UserError(f"{folder} is not a private folder of the server's: remove it, or\n{MEND}")
    if found.st_uid != owner[0]:
        os.chown(folder, *owner, follow_symlinks=False)
