"""What is refused before anything is touched, and what is said when something fails all the same.

Each refusal is one line of reason and one of mend. The session first (a pooler, a standby, a role
without rights), then the files (edited, missing, out of order, empty, or ending the transaction).
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2 import errorcodes

from pgproof import concurrently, history, migrations
from pgproof.errors import UserError
from pgproof.session import Session
from pgproof.statements import Statement

_SESSION = """
    SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
        current_setting('server_encoding'),
        quote_ident(%(schema)s), quote_ident(current_user),
        to_regnamespace(quote_ident(%(schema)s)) IS NOT NULL,
        coalesce(
            has_schema_privilege(to_regnamespace(quote_ident(%(schema)s))::oid, 'CREATE'), false),
        (SELECT count(*) FROM unnest(%(tables)s) AS name
            WHERE to_regclass(quote_ident(%(schema)s) || '.' || name) IS NULL) AS absent,
        (SELECT string_agg(name, ', ') FROM unnest(%(tables)s) AS name
            CROSS JOIN LATERAL to_regclass(quote_ident(%(schema)s) || '.' || name) AS found
            WHERE found IS NOT NULL AND NOT (has_table_privilege(found, 'SELECT')
                AND has_table_privilege(found, 'INSERT') AND has_table_privilege(found, 'DELETE')
                AND (name <> 'yoyo_lock' OR has_table_privilege(found, 'UPDATE')))) AS forbidden
"""

_HISTORIES = """
    SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relname = '_yoyo_migration' AND relkind = 'r' AND nspname !~ '^pg_' ORDER BY nspname
"""

_TRANSACTION = re.compile(
    r"(BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK(?! TO\b| (WORK|TRANSACTION) TO\b)|ABORT"
    r"|PREPARE TRANSACTION)\b"
)
_LETS_GO = re.compile(r"DISCARD ALL\b|.*\bPG_ADVISORY_UNLOCK_ALL\b")
# A statement that these rules, or that of a nameless index, can strike begins with the one or holds
# the other: to work out the words of every statement takes longer than to read the files.
_SUSPECT_START = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE", "DISCARD")
_SUSPECT_WORDS = ("PG_ADVISORY_UNLOCK_ALL", "CONCURRENTLY")


def pooled() -> UserError:
    """The error for a pooler in transaction mode."""
    return UserError(
        "a connection pooler hands this session's transactions to different servers\n"
        "Connect to the server itself, or to a pool in session mode."
    )


def one_history(session: Session, home: str) -> None:
    """Refuse a database with history in a schema other than `home`."""
    with session.cursor() as cursor:
        cursor.execute(_HISTORIES)
        found = [schema for (schema,) in cursor.fetchall()]
    others = [schema for schema in found if schema != home]
    if len(found) > 1:
        raise UserError(
            f"two histories in one database: tables _yoyo_migration in {', '.join(found)}\n"
            "Decide which is true, and drop the four yoyo tables of the other."
        )
    if others:
        raise UserError(
            f"yoyo's history is in schema {others[0]}, not in {home}\n"
            f"Add ?schema={others[0]} to the URL; or move the four yoyo tables to {home}."
        )


def unfit_session(session: Session, home: str) -> None:
    """Refuse a session on which no migration can run, or on which the lock would not hold."""
    one_history(session, home)
    with session.cursor() as cursor:
        cursor.execute(_SESSION, {"schema": home, "tables": list(history.TABLES)})
        (row,) = cursor.fetchall()
    pid, standby, read_only, encoding, *rights = row
    schema, user, exists, may_create, absent, forbidden = rights
    if pid != session.info.backend_pid and _is_shared(session, pid):
        raise pooled()
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
    if encoding != "UTF8":
        raise UserError(
            f"the database's encoding is {encoding}, and the files are UTF-8\n"
            "Make the database anew with ENCODING 'UTF8', and move the data there."
        )
    if not exists:
        raise UserError(
            f"schema {schema}, where yoyo's history goes, does not exist\n"
            f"Create it (CREATE SCHEMA {schema}), or name another with ?schema= in the URL."
        )
    if absent and not may_create:
        raise UserError(
            f"role {user} may not create yoyo's history tables in schema {schema}\n"
            f"As its owner, run: GRANT CREATE, USAGE ON SCHEMA {schema} TO {user}"
        )
    if forbidden:
        raise UserError(
            f"role {user} may not write yoyo's history: {forbidden} in schema {schema}\n"
            f"As the owner, run: GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}._yoyo_migration, "
            f"{schema}._yoyo_log, {schema}._yoyo_version, {schema}.yoyo_lock TO {user}"
        )


def _is_shared(session: Session, pid: int) -> bool:
    """Whether a pooler in transaction mode is between: another gets our server, or we another.

    Asked once between, then twice, then thrice: a pool that hands its servers out in turn would
    need one server alone to give us the same each time. `execution` looks again in each
    transaction.
    """
    try:
        other = session.beside()
        try:
            for times in (1, 2, 3):
                if any(_pid(other) == pid for _ in range(times)) or _pid(session) != pid:
                    return True
        finally:
            other.close()
    except psycopg2.Error as error:
        raise UserError(
            "a connection pooler is in between, and gives no second connection to see its mode: "
            f"{' '.join(str(error).split())}\nConnect to the server itself."
        ) from None
    return False


def _pid(connection: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def some_file(found: Sequence[Any]) -> None:
    """Refuse to work on no migration at all: the folder is wrong, or empty."""
    if not found and not getattr(found, "post_apply", None):
        raise UserError(
            "no migration found: the folder of `sources` is empty or missing, or nothing matches\n"
            "Look at sources in yoyo.ini."
        )


def force(wanted: bool) -> None:
    """Refuse yoyo's --force, which records as done what failed."""
    if wanted:
        raise UserError(
            "--force would record a migration whose statements failed\nMend the file instead."
        )


def unfit_files(
    files: Sequence[Any],
    wanted: Sequence[Any],
    records: Mapping[str, history.Record],
    begun: Collection[str],
    operation: str,
) -> None:
    """Refuse what history and the files do not agree on, and files that cannot be run safely.

    `files` are all migrations, `wanted` those to be changed now, `records` what is applied,
    `begun` what began outside a transaction and did not end.
    """
    for id_ in begun:
        way, back = ("down", "apply") if id_ in records else ("up", "rollback")
        if operation == back:
            raise UserError(
                f"{id_} was interrupted half-way {way}, and is not transactional\n"
                f"End that first: migrate {way}"
            )
    states = history.states(files, dict(records), set())
    moves = {migration.id for migration in wanted}
    for state in states:
        if state.state == "missing":
            raise UserError(
                f"{state.id} is applied, but its file is gone or renamed\n"
                "Put the file back under that name."
            )
        if state.edited and operation in ("apply", "rollback"):
            halves = " and ".join(state.edited)
            raise UserError(
                f"{state.id} was edited since it was applied: its {halves} file\n"
                f"Put back what it was; or, if the change is right, run: migrate repair {state.id}"
            )
        if state.state == "out of order" and state.id in moves and operation in ("apply", "mark"):
            raise UserError(
                f"{state.id} comes before a migration that is applied already\n"
                "Give it the next number, and run again."
            )
    _dependencies(files, wanted, records, operation)
    for migration in filter(lambda wish: wish.is_raw_sql(), wanted):
        if operation in ("apply", "rollback"):
            _unfit_file(migration, operation)
        elif operation == "hook":
            unfit_statements(migration)


def _dependencies(
    files: Sequence[Any], wanted: Sequence[Any], records: Mapping[str, Any], operation: str
) -> None:
    """Refuse a selection that skips what another one depends on."""
    applied = set(records)
    dependants: dict[str, list[str]] = {}
    for migration in files:
        for needed in migration.depends:
            dependants.setdefault(needed.id, []).append(migration.id)
    for migration in wanted:
        if operation in ("apply", "mark"):
            lacking = sorted(d.id for d in migration.depends if d.id not in applied)
            if lacking:
                raise UserError(
                    f"{migration.id} depends on {lacking[0]}, which is not applied\n"
                    "Apply that one first."
                )
            applied.add(migration.id)
        else:
            applied.discard(migration.id)
            needing = [id_ for id_ in dependants.get(migration.id, ()) if id_ in applied]
            if needing:
                raise UserError(
                    f"{needing[0]} depends on {migration.id}, and is applied\n"
                    "Roll that one back first."
                )


def _unfit_file(migration: Any, operation: str) -> None:
    rollback = migrations.rollback_path(migration)
    if operation == "apply" and not migration.forward:
        raise UserError(
            f"{migrations.shown(migration.path)} has no statement: it would change nothing\n"
            "Write what it is to do, or remove both its files."
        )
    if migration.checksums["rollback"] == "none":
        raise UserError(f"{migration.id} has no rollback file\nWrite {migrations.shown(rollback)}.")
    if not migration.rollback:
        raise UserError(
            f"{migrations.shown(rollback)} has no statement: it would roll nothing back\n"
            "Write what undoes the forward file, or RAISE an exception that says why nothing can."
        )
    unfit_statements(migration)


def unfit_statements(migration: Any) -> None:
    """Refuse a migration with a statement that would end its transaction, or let go of the lock."""
    rollback = migrations.rollback_path(migration)
    for path, statements in ((migration.path, migration.forward), (rollback, migration.rollback)):
        for statement in filter(_is_suspect, statements):
            if _TRANSACTION.match(statement.words):
                word = statement.words.split()[0]
                raise UserError(
                    f"{_place(path, statement)}: {word} at the top level would end the migration's "
                    "own transaction\n"
                    "Take it out; a file that must commit by itself says -- transactional: false."
                )
            if _LETS_GO.match(statement.words):
                raise UserError(
                    f"{_place(path, statement)}: this would let go of the migration lock\n"
                    "Take it out."
                )
            if concurrently.is_nameless(statement):
                raise UserError(
                    f"{_place(path, statement)}: an index built CONCURRENTLY needs a plain name\n"
                    "Name it, and its table, without U&: the next run is to know it again if this "
                    "one is cut off."
                )
            if concurrently.rebuilds(statement):
                raise UserError(
                    f"{_place(path, statement)}: REINDEX CONCURRENTLY, cut off, would leave an "
                    "INVALID index\n"
                    "Build another index CONCURRENTLY and drop the old one; or run it by hand."
                )


def _is_suspect(statement: Statement) -> bool:
    text = statement.text.upper()
    return text.startswith(_SUSPECT_START) or any(word in text for word in _SUSPECT_WORDS)


def _place(path: str, statement: Statement) -> str:
    return f"{migrations.shown(path)}, line {statement.line}"


def told(error: psycopg2.Error) -> str:
    """Return in one line what an error without a statement says."""
    return " ".join(str(error).split()) or "the server has gone"


def failure(
    error: psycopg2.Error,
    migration: Any,
    operation: str,
    statement: Statement | None,
    before: int,
    session: Session,
) -> str:
    """Return two lines on a failed statement: place and what the server said; what is left.

    `before` counts the characters that were sent before the statement, in the same message.
    """
    place = migrations.shown(migrations.path_of(migration, operation))
    if statement is not None:
        offset = max(0, int(error.diag.statement_position or 1) - 1 - before)
        place += f", line {statement.line + statement.text.count(chr(10), 0, offset)}"
    said = error.diag.message_primary or told(error)
    for more in (error.diag.message_detail, error.diag.message_hint):
        said += f" ({more})" if more else ""
    if error.pgcode == errorcodes.INSUFFICIENT_PRIVILEGE and not session.closed:
        said += f" (the migrating role is {session.info.user})"
    if error.pgcode == errorcodes.LOCK_NOT_AVAILABLE and session.blockers:
        said += f"; in the way: {'; '.join(session.blockers)}"
    return f"{place}: {said}\n{_left(migration, operation, statement, session)}"


def _left(migration: Any, operation: str, statement: Statement | None, session: Session) -> str:
    if session.closed and statement is None:
        return (
            f"The session was lost as {migration.id} committed: migrate status tells the outcome."
        )
    again = "mend the cause, and run again."
    if operation == "hook":  # no run that applies nothing comes to it
        again = "the migrations stay. Mend it, and run it by hand or with the next migration."
    if migration.use_transactions:
        return f"Nothing of {migration.id} was kept; {again}"
    half = migration.rollback if operation == "rollback" else migration.forward
    number = half.index(statement) if statement in half else len(half)
    left = f"{migration.id} is not transactional: {number} of its {len(half)} statements are done"
    if statement is not None and not session.closed:
        with session.cursor() as cursor:
            index = concurrently.find(cursor, statement)
        if index is not None and not index.is_valid:
            left += f"; index {index.name} is INVALID, and the next run builds it anew"
    return f"{left}. {again[0].upper()}{again[1:]}"
