"""A second server of a newer PostgreSQL follows by logical replication, and is switched to.

Two servers of their own: the oldest PostgreSQL that is there and the newest (16 and 18 with the
embedded one alone; the one of PGPROOF_BINDIR and the embedded 18 where it is set). Skipped where
there is one version only.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions

from database import MIGRATIONS, ROOT, Database
from pgproof import catalog, database, migrations, replicate, replication, rows, runner
from pgproof.binaries import find_binaries, major_version
from pgproof.errors import UserError
from pgproof.replication import Pair
from pgproof.scratch import UNSAFE_BUT_FAST, scratch_folder
from pgproof.server import Server

NUMBERS = count()
MONTHS = "SELECT to_regproc('docmeta.make_audit_log_months') IS NOT NULL"


class Sides:
    """The two servers, and databases on them; a Database of `old` and one of `new` by name."""

    def __init__(self, old: Server, new: Server) -> None:
        self.servers = {"old": old, "new": new}

    def create(self, side: str, name: str) -> Database:
        server = self.servers[side]
        server.create_database(name)
        return Database.on(server, name)

    def copy_roles(self) -> None:
        """As the message of `replicate check` says."""
        bindir = self.servers["new"].bindir
        dump: list[str | Path] = [
            bindir / "pg_dumpall",
            "--roles-only",
            "-d",
            self.servers["old"].url(),
        ]
        roles = subprocess.run(dump, check=True, capture_output=True).stdout
        psql: list[str | Path] = [bindir / "psql", "-X", "-q", self.servers["new"].url()]
        subprocess.run(psql, input=roles, capture_output=True, check=True)


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    old = find_binaries(16)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PGPROOF_BINDIR", raising=False)
        new = find_binaries()
    if major_version(old) >= major_version(new):
        pytest.skip("there is one version of PostgreSQL only")
    quick = {**UNSAFE_BUT_FAST, "wal_retrieve_retry_interval": "100ms", "wal_writer_delay": "10ms"}
    servers = [
        Server(scratch_folder(), bindir, {**quick, **more})
        for bindir, more in ((old, {"wal_level": "logical"}), (new, {}))
    ]
    try:
        for server in servers:
            server.start()
        yield Sides(*servers)
    finally:
        for server in servers:
            server.stop()
            shutil.rmtree(server.home)


@pytest.fixture
def names() -> str:
    return f"docs_{next(NUMBERS)}"


def grow(db: Database, *, upto: str | None = None) -> None:
    """Apply the migrations one by one, each with its sample rows; then make months."""
    files = migrations.read([ROOT / "sql"])
    backend = runner.open_backend(database.Database(db.parameters, "the test"), {}, {})
    for path in MIGRATIONS:
        runner.up(backend, files, path.stem, lambda _: None)
        sample = ROOT / "tests" / "rows" / path.name
        if sample.exists():
            db.query(sample.read_text(encoding="utf-8") + "; RESET ALL")
        if path.stem == upto:
            break
    else:
        while db.value(MONTHS) and db.query("SELECT * FROM docmeta.make_audit_log_months(3)"):
            pass
    backend.connection.close()


@pytest.fixture(scope="module")
def grown(sides: Sides) -> str:
    """A database to copy: every migration, sample rows, and months."""
    db = sides.create("old", "grown")
    grow(db)
    db.close()
    sides.copy_roles()
    return db.dbname


@pytest.fixture
def old(sides: Sides, grown: str, names: str) -> Iterator[Database]:
    """The database that is left."""
    with closing(psycopg2.connect(sides.servers["old"].url())) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {names} TEMPLATE {grown}")
    db = sides.create("old", names)
    yield db
    db.close()


@pytest.fixture
def new(sides: Sides, names: str) -> Iterator[Database]:
    db = sides.create("new", names)
    yield db
    db.close()


def words(old: Database, new: Database, *more: str) -> list[str]:
    common = ["--old", old.url, "--new", new.url, "--name", f"to_{new.dbname}", "--patience", "20"]
    return [more[0], *common, *more[1:]]


def replicated(old: Database, new: Database, *more: str, code: int = 0) -> None:
    assert replicate.main(words(old, new, *more)) == code


def pair(old: Database, new: Database, patience: float = 20) -> Pair:
    return Pair(old.connect(), new.connect(), old.url, f"to_{new.dbname}", patience)


def schema(db: Database) -> list[str]:
    return catalog.read(db.connect())


class Writers:
    """Clients that import, change and tag documents until they are cut off or told to stop."""

    def __init__(self, db: Database, number: int = 3) -> None:
        self.acknowledged: list[tuple[int, int]] = []  # document, tag
        self.errors: list[Exception] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(db, n)) for n in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _write(self, db: Database, writer: int) -> None:
        with closing(psycopg2.connect(db.url)) as connection, connection.cursor() as cursor:
            for turn in count():
                if self._stop.wait(0.005):
                    return
                try:
                    ids = self._once(cursor, f"{writer}-{turn}")
                    connection.commit()
                except psycopg2.Error as error:
                    self.errors.append(error)
                    return
                self.acknowledged.append(ids)

    @staticmethod
    def _once(cursor: extensions.cursor, name: str) -> tuple[int, int]:
        cursor.execute("SET LOCAL docmeta.tenant_id = '1'")
        cursor.execute(
            "INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256(%s), 1)",
            [name.encode()],
        )
        cursor.execute(
            "INSERT INTO docmeta.documents (content_sha256, filename) "
            "VALUES (sha256(%s), %s) RETURNING id",
            [name.encode(), name],
        )
        ((document,),) = cursor.fetchall()
        cursor.execute("UPDATE docmeta.documents SET title = 'x' WHERE id = %s", [document])
        cursor.execute("INSERT INTO docmeta.tags (name) VALUES (%s) RETURNING id", [name])
        ((tag,),) = cursor.fetchall()
        cursor.execute(
            "INSERT INTO docmeta.document_tags (document_id, tag_id, source) "
            "VALUES (%s, %s, 'import')",
            [document, tag],
        )
        if tag % 3 == 0:
            cursor.execute("DELETE FROM docmeta.document_tags WHERE tag_id = %s", [tag])
        return document, tag


def test_an_upgrade_loses_no_row_and_ids_go_on(old: Database, new: Database) -> None:
    before = schema(old)
    old.connect().cursor().execute("SELECT docmeta.seal_audit_log()")
    writers = Writers(old)
    replicated(old, new, "upgrade")
    writers.stop()

    assert len(writers.acknowledged) > 10
    # Cut off, each of them, and not one by an error of ours before that.
    assert len(writers.errors) == 3
    assert all("terminat" in str(error) for error in writers.errors), writers.errors
    there = {id_ for (id_,) in new.query("SELECT id FROM docmeta.documents")}
    assert {document for document, _ in writers.acknowledged} <= there
    assert rows.digests(old.connect()) == rows.digests(new.connect())
    # The old one did the recording: a second time here would be one audit row too many.
    created = "SELECT count(*) FROM docmeta.audit_log WHERE action = 'insert' AND entity_type = %s"
    assert new.value(created, ["tags"]) == old.value(created, ["tags"])

    assert schema(new) == before
    history = "SELECT migration_id, applied_at_utc FROM _yoyo_migration ORDER BY 1"
    assert new.query(history) == old.query(history)
    assert new.sequences() == old.sequences()
    ((document, _),) = [Writers._once(new.connect().cursor(), "after")]
    assert document > max(there)

    # The chain of seals holds over the change of server, and goes on.
    assert new.query("SELECT * FROM docmeta.verify_audit_log()") == []
    assert new.query("SELECT * FROM docmeta.seal_audit_log()") != []
    assert new.query("SELECT * FROM docmeta.verify_audit_log()") == []

    assert old.query("SELECT * FROM pg_replication_slots") == []
    replicated(old, new, "end")  # comes too late to open the old one again
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        old.connect().cursor().execute("CREATE TABLE t ()")


def test_a_switch_that_fails_leaves_the_old_one_as_it_was(
    old: Database, new: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    before = schema(old)
    writers = Writers(old)
    replicated(old, new, "begin")
    new.query("ALTER TABLE docmeta.tags ADD COLUMN astray integer")
    replicated(old, new, "switch", code=1)
    assert "docmeta.tags.astray" in capfd.readouterr().err
    replicated(old, new, "end")
    at_the_end = len(writers.acknowledged)
    while len(writers.acknowledged) == at_the_end and not writers.errors:
        pass
    writers.stop()
    assert writers.errors == []
    assert schema(old) == before
    assert old.query("SELECT slot_name FROM pg_replication_slots") == []
    old.query("CREATE TABLE public.writable ()")


def test_a_follower_is_read_from_until_the_switch(old: Database, new: Database) -> None:
    """Its database is kept from writers by a setting that replication does not heed."""
    replicated(old, new, "begin")
    new.query(f"ALTER DATABASE {new.dbname} SET default_transaction_read_only = on")
    old.connect().cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('followed')")
    replicated(old, new, "verify")
    reader = new.connect()
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        reader.cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('astray')")
    replicated(old, new, "switch")
    new.connect().cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('new')")


def test_the_switch_waits_for_what_was_written_last(
    old: Database, new: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicated(old, new, "begin")
    pause = Pair.paused

    @contextmanager
    def paused_late(both: Pair) -> Iterator[extensions.cursor]:
        """A last row, which the new server cannot take for a second."""
        keeper = new.connect()
        keeper.cursor().execute("BEGIN; LOCK TABLE docmeta.tags IN SHARE MODE")
        old.connect().cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('late')")
        threading.Timer(1, keeper.close).start()
        with pause(both) as cursor:
            yield cursor

    monkeypatch.setattr(Pair, "paused", paused_late)
    replicated(old, new, "switch")
    assert new.query("SELECT name FROM docmeta.tags WHERE name = 'late'") == [("late",)]


def test_partitions_may_be_made_at_other_times(
    old: Database, new: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is published is the table, so a month that only one side has loses no row."""
    replicated(old, new, "begin")
    assert old.query("SELECT docmeta.make_audit_log_months(6)") != []
    old.query("""
        INSERT INTO docmeta.audit_log (entity_type, entity_id, action, new_row, occurred_at)
        VALUES ('tags', 1, 'insert', '{}', now() + interval '5 months')
    """)
    replicated(old, new, "verify")
    # A difference all the same, of which the switch must tell.
    replicated(old, new, "switch", code=1)
    assert "partition" in capfd.readouterr().err
    replicated(old, new, "end")


def test_rows_that_differ_are_found(
    old: Database, new: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    replicated(old, new, "begin")
    replicated(old, new, "verify")
    assert "tables are the same" in capfd.readouterr().err
    new.query(
        "SET session_replication_role = replica; "
        "UPDATE docmeta.error_log SET message = 'y' WHERE id = 2; RESET ALL"
    )
    replicated(old, new, "verify", code=1)
    assert "docmeta.error_log: 3 rows, and 3 on the new server" in capfd.readouterr().err
    replicated(old, new, "end")


def test_migrations_go_to_both_while_writers_write(sides: Sides, names: str) -> None:
    """From the first one on; those that stop a follower in the wrong order among them."""
    old, new = (sides.create(side, names) for side in ("old", "new"))
    grow(old, upto=MIGRATIONS[0].stem)
    replicated(old, new, "begin")
    writers = Writers(old, 1)
    try:
        replicated(old, new, "migrate", "--sql", str(ROOT / "sql"))
    finally:
        writers.stop()
    assert writers.errors == []
    assert len(writers.acknowledged) > 10
    replicated(old, new, "verify")
    with closing(replication.again(old.connect())) as late, late.cursor() as cursor:
        Writers._once(cursor, "late")
        late.commit()
    replicated(old, new, "verify")
    replicated(old, new, "end")
    for db in (old, new):
        db.close()


# Runs `replicate` until it is about to execute a statement with this word in it, or about to
# migrate the new server; there it is killed.
KILLED = """
import os, signal, sys
from pgproof import replicate, replication, runner

word, *argv = sys.argv[1:]
execute, migrate = replication._do, runner.up

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(connection, statement, values=None):
    word in statement.as_string(connection) and die()
    execute(connection, statement, values)

def migrating(side, *more):
    word == "up" and side.connection.dsn == made[-1].connection.dsn and die()
    return migrate(side, *more)

made, opened = [], runner.open_backend
runner.open_backend = lambda *told: made.append(opened(*told)) or made[-1]
replication._do, runner.up = dying, migrating
sys.exit(replicate.main(argv))
"""


def killed(word: str, told: list[str]) -> None:
    """Run `replicate` and see it killed before its first statement with this word."""
    script = [sys.executable, "-c", KILLED, word, *told]
    done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT / "scripts")
    assert done.returncode == -signal.SIGKILL, (word, done.stderr)


def test_a_migration_of_both_that_is_killed_goes_on(
    sides: Sides, names: str, tmp_path: Path
) -> None:
    """At each step of those that make tables, which are strangers to the subscription."""
    old, new = (sides.create(side, names) for side in ("old", "new"))
    grow(old, upto=MIGRATIONS[0].stem)
    replicated(old, new, "begin")
    told = ["migrate", "--sql", str(tmp_path)]
    steps = ("DISABLE", "up", "CREATE", "origin_advance", "slot_name = NONE", "DROP", "RENAME")
    writers = Writers(old, 1)
    try:
        for path in MIGRATIONS:
            for half in (path, path.with_suffix(".rollback.sql")):
                (tmp_path / half.name).symlink_to(half)
            number = int(path.stem[:4])
            if number in (5, 11):
                for word in (*steps, "ENABLE"):
                    killed(word, words(old, new, *told))
            elif number + 1 in (5, 11):
                replicated(old, new, *told)
        replicated(old, new, *told)
    finally:
        writers.stop()
    assert writers.errors == []
    replicated(old, new, "verify")
    assert replication.catalog_difference(pair(old, new)) == []
    replicated(old, new, "end")
    assert old.query("SELECT slot_name FROM pg_replication_slots") == []
    for db in (old, new):
        db.close()


@pytest.mark.parametrize("word", ["CREATE SUBSCRIPTION", "DROP SUBSCRIPTION"])
def test_what_was_killed_is_taken_back(
    old: Database, new: Database, word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before anything follows, and when it was to follow no more."""
    before = schema(old)
    if word.startswith("CREATE"):
        killed(word, words(old, new, "begin"))
        replicated(old, new, "begin", code=1)
        assert "`replicate end` takes back what was begun" in capfd.readouterr().err
    else:
        replicated(old, new, "begin")
        killed(word, words(old, new, "end"))
        replicated(old, new, "verify", code=1)
        assert "held" in capfd.readouterr().err
    replicated(old, new, "end")
    assert schema(old) == before
    assert old.query("SELECT slot_name FROM pg_replication_slots") == []


@pytest.mark.parametrize("step", ["copy_history", "close_old", "copy_sequences", "open_new", "end"])
def test_a_switch_that_is_killed_is_run_again(old: Database, new: Database, step: str) -> None:
    replicated(old, new, "begin")
    old.connect().cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('last')")
    child = KILLED.replace("sys.exit", f"replication.{step} = lambda *_: die()\nsys.exit")
    told = [sys.executable, "-c", child, "no word", *words(old, new, "switch")]
    done = subprocess.run(told, capture_output=True, text=True, cwd=ROOT / "scripts")
    assert done.returncode == -signal.SIGKILL, done.stderr
    if step == "end":  # clients that found the new one
        new.connect().cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('first')")
    replicated(old, new, "switch")
    new.connect().cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('next')")
    names = [name for (name,) in new.query("SELECT name FROM docmeta.tags ORDER BY id")]
    assert names[-3 if step == "end" else -2] == "last"
    assert old.query("SELECT slot_name FROM pg_replication_slots") == []
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        old.connect().cursor().execute("CREATE TABLE t ()")


def test_the_log_of_a_follower_refuses_to_be_emptied(old: Database, new: Database) -> None:
    """Triggers of statements, ENABLE ALWAYS, fire for a replicated TRUNCATE, and for nothing else.

    That no UPDATE comes is the first server's to see to.
    """
    replicated(old, new, "begin")
    both = pair(old, new)
    before = new.value("SELECT count(*) FROM docmeta.duplicate_log")
    old.query("""
        ALTER TABLE docmeta.duplicate_log DISABLE TRIGGER duplicate_log_append_only;
        UPDATE docmeta.duplicate_log SET reason = 'forged'
    """)
    replication.wait_until_level(both)
    forged = "SELECT count(*) FROM docmeta.duplicate_log WHERE reason = 'forged'"
    assert new.value(forged) == before
    old.query("TRUNCATE docmeta.duplicate_log")
    with pytest.raises(replication.Stuck):
        replication.wait_until_level(both)
    assert new.value("SELECT count(*) FROM docmeta.duplicate_log") == before > 0
    replicated(old, new, "end")


@pytest.mark.parametrize("attribute", ["bypassrls", "nobypassrls"])
def test_a_copy_under_row_security_is_whole_or_fails(
    old: Database, new: Database, attribute: str
) -> None:
    """A role that replicates needs no more than SELECT, and to see the rows of every tenant."""
    role = f"replicator_{attribute}"
    old.query(f"""
        CREATE ROLE {role} LOGIN REPLICATION {attribute};
        GRANT USAGE ON SCHEMA docmeta TO {role};
        GRANT SELECT ON ALL TABLES IN SCHEMA docmeta TO {role}
    """)
    new.query(f"CREATE ROLE {role}")
    reach = old.url.replace("user=postgres", f"user={role}")
    fails = attribute == "nobypassrls"
    try:
        replicated(old, new, "begin", "--reach", reach, code=int(fails))
        if not fails:
            replicated(old, new, "verify", "--reach", reach)
    finally:
        replicated(old, new, "end")
        for db in (old, new):
            db.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_writers_wait_and_readers_do_not(old: Database, new: Database) -> None:
    both = pair(old, new)
    with both.paused():
        old.query("SELECT count(*) FROM docmeta.documents")
        hasty = old.connect(options="-c lock_timeout=100ms -c docmeta.tenant_id=1")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            hasty.cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('hasty')")
    hasty.cursor().execute("INSERT INTO docmeta.tags (name) VALUES ('hasty')")


def test_who_writes_too_long_is_named(old: Database, new: Database) -> None:
    busy = old.connect()
    busy.cursor().execute("BEGIN; INSERT INTO docmeta.tags (name) VALUES ('busy')")
    with pytest.raises(UserError, match=f"process {busy.info.backend_pid} of postgres"):  # noqa: SIM117
        with pair(old, new, patience=0.5).paused():
            pass


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("CREATE TABLE docmeta.keyless (a integer)", "docmeta.keyless"),
        ("CREATE UNLOGGED TABLE docmeta.unlogged (a integer PRIMARY KEY)", "docmeta.unlogged"),
        ("SELECT lo_create(0)", "large objects"),
        ("CREATE ROLE docmeta_only_here", "docmeta_only_here"),
    ],
)
def test_what_would_not_be_replicated_is_refused(
    sides: Sides, names: str, planted: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = (sides.create(side, names) for side in ("old", "new"))
    old.query("CREATE SCHEMA docmeta; CREATE TABLE docmeta.sound (a integer PRIMARY KEY)")
    old.query(planted)
    try:
        replicated(old, new, "check", code=1)
        assert said in capfd.readouterr().err
    finally:
        old.query("DROP ROLE IF EXISTS docmeta_only_here")
        for db in (old, new):
            db.close()


def test_what_a_database_lets_its_roles_do_is_asked_for_before_a_copy(
    old: Database, new: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    """The statements of docs/operations.md, which no pg_dump of a schema carries over."""

    def let(db: Database) -> None:
        db.query(f"""
            REVOKE ALL ON DATABASE {db.dbname} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {db.dbname} TO docmeta_reader;
            ALTER ROLE docmeta_reader IN DATABASE {db.dbname} SET docmeta.tenant_id = '1'
        """)

    let(old)
    replicated(old, new, "begin", code=1)
    told = capfd.readouterr().err
    assert "-database setting docmeta.tenant_id of docmeta_reader: 1" in told
    assert "-privilege database to docmeta_reader: CONNECT" in told
    assert new.query("SELECT nspname FROM pg_namespace WHERE nspname = 'docmeta'") == []
    let(new)
    replicated(old, new, "begin")
    replicated(old, new, "end")


def test_a_server_that_does_not_publish_is_refused(
    sides: Sides, names: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The new one is not set up for it, and is the newer one besides."""
    old, new = (sides.create(side, names) for side in ("new", "old"))
    replicated(old, new, "check", code=1)
    told = capfd.readouterr().err
    assert "ALTER SYSTEM SET wal_level = 'logical', and restart it" in told
    assert "the new server is the older one" in told


def test_every_row_can_be_found_again(docs: Database) -> None:
    """A table without a primary key refuses UPDATE and DELETE as soon as it is published."""
    query = """
        SELECT relname FROM pg_class t WHERE relnamespace = 'docmeta'::regnamespace
            AND relkind IN ('r', 'p') AND (relreplident <> 'd' OR relpersistence <> 'p' OR NOT
                EXISTS (SELECT FROM pg_index WHERE indrelid = t.oid AND indisprimary))
    """
    assert docs.query(query) == []


def test_only_the_logs_have_triggers_that_fire_for_a_follower(docs: Database) -> None:
    """A row that comes by replication is one already recorded and touched."""
    query = """
        SELECT DISTINCT proname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        JOIN pg_proc p ON p.oid = tgfoid
        WHERE relnamespace = 'docmeta'::regnamespace AND NOT tgisinternal AND tgenabled <> 'O'
    """
    assert {name for (name,) in docs.query(query)} <= {"refuse_change"}


@pytest.mark.parametrize("command", replicate.COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        replicate.main([command, "--help"])
    assert ended.value.code == 0
    assert "Exit codes: 0" in " ".join(capsys.readouterr().out.split())


def test_the_launcher_runs_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PGPROOF_VENV": str(Path(sys.executable).parents[1])}
    done = subprocess.run(
        [ROOT / "scripts" / "replicate", "nonsense"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 2
    assert "invalid choice: 'nonsense'" in done.stderr
