"""Which database a command acts on, the connection to it, and what its errors mean.

    --database URL, else DATABASE_URL, else libpq's own variables, else the embedded server

No text that leaves this module holds a password.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn

from pgproof.errors import UserError

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
    """One database to act on: libpq connection parameters, and who named it."""

    parameters: Mapping[str, str]
    named_by: str
    schema: str | None = None


def choose(option: str | None, embedded: Callable[[], Mapping[str, str]]) -> Database:
    """Return the database that the command line and the environment name.

    `option` is the value of --database; `embedded` starts the embedded server and returns the
    parameters of the project's database on it, and is called only when nothing else is named.
    Raises UserError for a URL that libpq cannot read.
    """
    if option:
        return _from_url(option, "--database")
    if url := os.environ.get("DATABASE_URL"):
        return _from_url(url, "DATABASE_URL")
    if any(os.environ.get(name) for name in LIBPQ_VARIABLES):
        return Database({}, "libpq's variables")
    return Database(embedded(), "the embedded server")


def _from_url(url: str, named_by: str) -> Database:
    """Read a URL, with yoyo's own parameter `schema` in it."""
    scheme, _, rest = url.partition("://")
    if not rest and url.rstrip(":/") not in ("postgresql", "postgres"):
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
    parts = urlsplit(f"postgresql://{rest}")
    if "@" in parts.path:
        # libpq would take a part of the password for the port, and print it.
        raise UserError(
            f"{named_by} has an @ after its first /\n"
            "Write a / in the password as %2F; better, keep the password in ~/.pgpass.",
            exit_code=2,
        )
    query = parse_qsl(parts.query, keep_blank_values=True)
    schema = dict(query).get("schema")
    query = [(name, value) for name, value in query if name != "schema"]
    try:
        parameters = parse_dsn(
            f"postgresql://{parts.netloc}{parts.path}?{urlencode(query)}".rstrip("?")
        )
    except psycopg2.ProgrammingError as error:
        # libpq quotes what it cannot read, and that may be the password.
        said = "" if "@" in url or "password" in url else f": {str(error).strip()}"
        raise UserError(
            f"{named_by} cannot be read{said}\n"
            "Write it as postgresql://USER@HOST:PORT/NAME, odd characters as %XX.",
            exit_code=2,
        ) from None
    return Database(parameters, named_by, schema)


def connect(database: Database) -> Any:
    """Return an autocommit psycopg2 connection, or raise UserError that says how to mend it."""
    try:
        # An empty DSN makes psycopg2 refuse; a name for the session makes libpq decide the rest.
        parameters: dict[str, Any] = {"application_name": "migrate", **database.parameters}
        connection = psycopg2.connect(**parameters)
    except psycopg2.OperationalError as error:
        raise refused(error, database) from None
    connection.autocommit = True
    return connection


def refused(error: Exception, database: Database) -> UserError:
    """Turn libpq's error on connecting into two lines: what it said, and the mend."""
    said = without_password(" ".join(str(error).split()))
    for pattern, mend in _MENDS:
        if match := re.search(pattern, said):
            return UserError(f"{said}\n{mend.format(**match.groupdict())}")
    return UserError(f"{said}\nThe server was named by {database.named_by}.")


def described(connection: Any) -> str:
    """Return "database NAME on HOST as USER" of a connection, without any secret."""
    info = connection.info
    where = info.host or "the local socket"
    port = "" if where.startswith("/") else f":{info.port}"
    return f"database {info.dbname} on {where}{port} as {info.user}"


def refuse_read_only(connection: Any, schema: str | None) -> None:
    """Raise UserError where nothing could be migrated: a standby, a read-only session, no rights.

    Asked before anything is touched, because yoyo takes each of these for a held lock.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pg_is_in_recovery(),
                current_setting('transaction_read_only')::boolean,
                quote_ident(coalesce(%(schema)s, current_schema())),
                coalesce(has_schema_privilege(
                    to_regnamespace(quote_ident(coalesce(%(schema)s, current_schema())))::oid,
                    'CREATE'), false),
                to_regclass('_yoyo_migration') IS NOT NULL,
                coalesce(
                    has_table_privilege(to_regclass('_yoyo_migration'), 'SELECT')
                    AND has_table_privilege(to_regclass('_yoyo_migration'), 'INSERT')
                    AND has_table_privilege(to_regclass('_yoyo_migration'), 'DELETE'), false),
                quote_ident(current_user)
            """,
            {"schema": schema},
        )
        standby, read_only, home, may_create, history, may_write, user = cursor.fetchone()
    if standby:
        raise UserError(
            "the server is a standby in recovery: it takes no change\n"
            "Name its primary with --database, DATABASE_URL or PGHOST."
        )
    if read_only:
        raise UserError(
            "the session is read-only (default_transaction_read_only is on): it takes no change\n"
            "Run with PGOPTIONS='-c default_transaction_read_only=off', or mend it on the server."
        )
    if home is None:
        raise UserError(
            "no schema of the search_path exists: there is no place for yoyo's history\n"
            "Create one (CREATE SCHEMA public), or name one with ?schema= in the URL."
        )
    if not history and not may_create:
        raise UserError(
            f"role {user} may not create yoyo's history tables in schema {home}\n"
            f"As its owner, run: GRANT CREATE, USAGE ON SCHEMA {home} TO {user}"
        )
    if history and not may_write:
        raise UserError(
            f"role {user} may not write yoyo's history (table _yoyo_migration)\n"
            f"As its owner, run: GRANT SELECT, INSERT, DELETE ON _yoyo_migration TO {user}, and "
            "the same on _yoyo_log and yoyo_lock."
        )


def without_password(text: str) -> str:
    """Return `text` with what stands where a URL or a DSN holds its password replaced by ***."""
    return _PASSWORD.sub("***", text)
