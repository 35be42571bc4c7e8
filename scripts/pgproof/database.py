"""Which database a command acts on, the connection to it, and what its errors mean.

    --database URL, else DATABASE_URL, else libpq's own variables, else the embedded server

No text that leaves this module holds a password.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import psycopg2
from psycopg2.extensions import parse_dsn

from pgproof.errors import UserError

SETTINGS = ("schema", "lock_timeout", "lock_retries", "wait")  # of a URL, and not libpq's
LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")

_PASSWORD = re.compile(r"(?<=:)[^:@/\s]*(?=@)|(?<=password=)[^\s&]*")

# What the server or libpq says on connecting, and the mend: these errors carry no SQLSTATE.
_MENDS: tuple[tuple[str, str], ...] = (
    (
        r"password authentication failed|no password supplied",
        "Give the right password in ~/.pgpass or PGPASSWORD.",
    ),
    (r'database "(?P<name>.*)" does not exist', "Make it first: createdb {name}; or name another."),
    (
        r'role "(?P<name>.*)" does not exist',
        "Name the role to log in as: PGUSER, or USER@ in the URL.",
    ),
    (
        r"No such file|refused|could not translate|timeout|unreachable|No route|closed the conn",
        "Start that server, or name another with --database, DATABASE_URL or PGHOST; "
        "without any of these, migrate runs its own.",
    ),
)


@dataclass(frozen=True)
class Database:
    """One database to act on: libpq connection parameters, who named it, and our own settings.

    `settings` are those of SETTINGS that its URL gives, as text.
    """

    parameters: Mapping[str, str]
    named_by: str
    settings: Mapping[str, str] = field(default_factory=dict)


def choose(option: str | None, embedded: Callable[[], Mapping[str, str]]) -> Database:
    """Return the database that the command line and the environment name.

    `option` is the value of --database; `embedded` starts the embedded server and returns the
    parameters of the project's database on it, and is called only when nothing else is named.
    Raises UserError for a URL that libpq cannot read.
    """
    if option:
        return from_url(option, "--database")
    if url := os.environ.get("DATABASE_URL"):
        return from_url(url, "DATABASE_URL")
    if any(os.environ.get(name) for name in LIBPQ_VARIABLES):
        return Database({}, "libpq's variables")
    return Database(embedded(), "the embedded server")


def from_url(url: str, named_by: str) -> Database:
    """Read a URL, with parameters of ours in it; UserError for one that libpq cannot read."""
    scheme, _, rest = url.partition("://")
    is_named = bool(rest and re.fullmatch(r"[\w+.-]+", scheme))  # else it may hold a password
    if not is_named and url.rstrip(":/") not in ("postgresql", "postgres"):
        raise UserError(
            f"{named_by} is not a URL\nWrite it as postgresql://USER@HOST:PORT/NAME.", exit_code=2
        )
    kind = scheme.split("+")[0]
    if kind not in ("postgresql", "postgres"):
        raise UserError(
            f"{named_by} begins with {scheme}://\n"
            "Only PostgreSQL is served: postgresql://USER@HOST:PORT/NAME.",
            exit_code=2,
        )
    # libpq ends the login at the first @ that no / comes before, and quotes what it takes for a
    # host or a port: of a password that it so cuts in two, nothing may get there.
    before, at, after = rest.partition("/")[0].partition("@")
    for is_odd, told, mend in (
        ("#" in rest, "a #, which ends a URL", "it as %23"),
        ("@" in after, "more than one @", "an @ in the password as %40"),
        (at and "?" in before, "a ? before its @", "a ? in the password as %3F"),
        (
            "@" in rest.partition("?")[0].partition("/")[2],
            "an @ after its first /",
            "a / in the password as %2F",
        ),
    ):
        if is_odd:
            raise UserError(
                f"{named_by} has {told}\nWrite {mend}; better, keep the password in ~/.pgpass.", 2
            )
    place, _, query = rest.partition("?")
    settings = {n: v for n, v in parse_qsl(query) if n in SETTINGS}
    # What is not ours goes to libpq letter for letter: it does not read + as a blank.
    query = "&".join(p for p in query.split("&") if p.partition("=")[0] not in SETTINGS)
    try:
        parameters = parse_dsn(f"postgresql://{place}?{query}".rstrip("?"))
    except (psycopg2.ProgrammingError, ValueError) as error:  # the latter where it is not UTF-8
        # libpq quotes what it cannot read, and that may be the password.
        said = "" if "@" in url or "password" in unquote(url) else f": {str(error).strip()}"
        raise UserError(
            f"{named_by} cannot be read{said}\n"
            "Write it as postgresql://USER@HOST:PORT/NAME, odd characters as %XX.",
            exit_code=2,
        ) from None
    if "host" in parameters:
        parameters.setdefault("hostaddr", "")  # or that of PGHOSTADDR would go before it
    return Database(parameters, named_by, settings)


def shown(url: str) -> str:
    """Return a URL that `from_url` has read, without its passwords."""
    place, _, query = url.partition("?")
    told = [
        pair
        for pair in query.split("&")
        if unquote(pair.partition("=")[0]) not in ("password", "sslpassword")
    ]
    shown_place = re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1@", place)
    return f"{shown_place}?{'&'.join(told)}" if any(told) else shown_place


def refused(error: Exception) -> UserError:
    """Turn libpq's error on connecting into two lines: what it said, and the mend."""
    said = without_password(" ".join(str(error).split()))
    for pattern, mend in _MENDS:
        if match := re.search(pattern, said):
            return UserError(f"{said}\n{mend.format(**match.groupdict())}")
    return UserError(
        f"{said}\nThe server is named by --database, else DATABASE_URL, else libpq's variables."
    )


def described(connection: Any) -> str:
    """Return "database NAME on HOST as USER" of a connection, without any secret."""
    info = connection.info
    where = info.host or "the local socket"
    port = "" if where.startswith("/") else f":{info.port}"
    return f"database {info.dbname} on {where}{port} as {info.user}"


def without_password(text: str) -> str:
    """Return `text` with what stands where a URL or a DSN holds its password replaced by ***."""
    return _PASSWORD.sub("***", text)
