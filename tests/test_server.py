"""Laws of the embedded server, each on a real PostgreSQL in a folder of its own."""

import fcntl
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import psycopg2
import pytest

import pgproof
from pgproof import server as server_module
from pgproof.errors import UserError
from pgproof.server import Server, default_home, find_binaries

Make = Callable[..., Server]

# Shared memory in the data folder, because a killed server leaves what it has elsewhere behind.
FAST = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",
}
ROOT = os.geteuid() == 0
NAMELESS = 65533  # a user id without an account, as containers give them
LINUX = Path("/proc/self/cmdline").exists()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A short folder that the account nobody can enter, in memory where there is room."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    folder = Path(tempfile.mkdtemp(prefix="pgproof-", dir=memory if roomy else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make(place: Path) -> Iterator[Make]:
    """Make servers, each in a new folder, and leave none behind."""
    made: list[Server] = []

    def build(name: str = "home", **settings: str) -> Server:
        parent = Path(tempfile.mkdtemp(prefix="s", dir=place))
        parent.chmod(0o755)
        made.append(Server(parent / name, find_binaries(), FAST | settings))
        return made[-1]

    yield build
    for server in made:
        server.stop()
        shutil.rmtree(socket_folder(server), ignore_errors=True)


@pytest.fixture(scope="module")
def shared(place: Path) -> Iterator[Server]:
    """One running server for the laws that only look."""
    server = Server(place / "shared", find_binaries(), FAST)
    server.start()
    yield server
    server.stop()


def ask(server: Server, query: str, *values: object) -> Any:
    """The first column of the first row, committed."""
    with closing(psycopg2.connect(**server.parameters())) as connection, connection:
        cursor = connection.cursor()
        cursor.execute(query, values)
        row = cursor.fetchone()
        return row[0] if row else None


def socket_folder(server: Server) -> Path:
    return Path(server.parameters()["host"])


def data_folder(server: Server) -> Path:
    return server.log().with_suffix("")


def postmaster(server: Server) -> int:
    return int((data_folder(server) / "postmaster.pid").read_text().splitlines()[0])


def kill_all(server: Server) -> None:
    """End every process of a server with SIGKILL, as a machine that runs out of memory does."""
    pids: list[int] = ask(server, "SELECT array_agg(pid) FROM pg_stat_activity")
    for pid in [postmaster(server), *pids]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while server.is_running():
        time.sleep(0.001)


def python(
    code: str,
    *arguments: str,
    program: str = sys.executable,
    env: dict[str, str] | None = None,
    **how: Any,
) -> subprocess.Popen[str]:
    """A Python process that has pgproof at hand; ``how`` goes to Popen."""
    places = [str(Path(pgproof.__file__).parents[1]), *filter(None, sys.path)]
    return subprocess.Popen(
        [program, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": ":".join(places), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **how,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and all that it printed."""
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed


START = """
import sys
from pathlib import Path
from pgproof.server import Server, find_binaries
server = Server(Path(sys.argv[1]), find_binaries(), dict(w.split("=") for w in sys.argv[2:]))
print(server.start())
"""


def start_elsewhere(server: Server) -> subprocess.Popen[str]:
    words = [f"{name}={value}" for name, value in server.settings.items()]
    return python(START, str(server.home), *words)


def test_eight_cold_starts_make_one_server(make: Make) -> None:
    """Eight processes start it at once: one does, all succeed, and one postmaster is there."""
    server = make()
    processes = [start_elsewhere(server) for _ in range(8)]
    assert sorted(map(finish, processes)) == [(0, "False\n")] * 7 + [(0, "True\n")]
    assert server.log().read_text().count("ready to accept connections") == 1
    assert ask(server, "SELECT 1") == 1


def test_the_server_does_not_hold_the_lock_of_who_started_it(make: Make) -> None:
    """A lock that the daemon inherited would stop every later start and stop."""
    server = make()
    assert finish(start_elsewhere(server)) == (0, "True\n")
    with (server.home / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            kill_all(server)  # or the clean-up would wait for ever
            raise
    assert server.stop()


def test_a_server_killed_by_force_starts_again_with_its_data(make: Make) -> None:
    """SIGKILL leaves a stale postmaster.pid and a stale socket; a committed row outlives it."""
    server = make()
    server.start()
    ask(server, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7) RETURNING n")
    kill_all(server)
    assert (data_folder(server) / "postmaster.pid").exists()
    assert server.start()
    assert ask(server, "SELECT n FROM kept") == 7


def test_a_child_that_outlives_its_postmaster_is_waited_for(make: Make) -> None:
    """It may still write to the data: a start before its end would damage them."""
    server = make()
    server.start()
    with closing(psycopg2.connect(**server.parameters())) as client:
        child = client.info.backend_pid
        os.kill(child, signal.SIGSTOP)
        os.kill(postmaster(server), signal.SIGKILL)
        while server.is_running():
            time.sleep(0.001)
        end = Timer(0.5, os.kill, (child, signal.SIGKILL))
        end.start()
        assert server.start()
        assert end.finished.is_set()
    assert "is still in use" in server.log().read_text()


def test_no_stranger_is_killed_through_a_stale_pid(make: Make) -> None:
    """After a crash the recorded pid may be another process: it lives, and the server starts."""
    server = make()
    server.start()
    owner = data_folder(server).stat()
    kill_all(server)
    become: Any = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if ROOT else {}
    stranger = subprocess.Popen(["/bin/sleep", "60"], cwd="/", **become)
    try:
        for path in (data_folder(server), socket_folder(server)):
            (lock,) = [*path.glob("postmaster.pid"), *path.glob(".s.PGSQL.5432.lock")]
            _, *rest = lock.read_text().splitlines(keepends=True)
            lock.write_text("".join([f"{stranger.pid}\n", *rest]))
        assert not server.is_running()
        assert not server.stop()
        assert server.start()
        assert ask(server, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_whose_programs_are_gone_is_started_from_others(make: Make, place: Path) -> None:
    server = make()
    package = server.bindir.parents[1]
    if not (server.bindir.parent / "share").is_dir():
        pytest.skip("only an installation in one folder can be moved: the wheel's")
    copied = place / "environment"
    for folder in (server.bindir.parent, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, copied / folder.relative_to(package.parent), symlinks=True)
    gone = Server(server.home, copied / server.bindir.relative_to(package.parent), FAST)
    gone.start()
    ask(gone, "CREATE TABLE kept (); SELECT 1")
    shutil.rmtree(copied)
    assert server.start()
    assert ask(server, "SET timezone TO 'Europe/Zurich'; SELECT count(*) FROM kept") == 0
    assert not server.start()


def test_a_half_made_data_folder_does_not_poison_the_next_start(make: Make) -> None:
    """The first start is killed in the middle of initdb, which goes on without it for a moment."""
    server = make()
    first = start_elsewhere(server)
    while first.poll() is None and not list(server.home.glob("pg*.new-*/global")):
        time.sleep(0.001)
    first.kill()
    first.communicate()
    assert not data_folder(server).exists()
    assert server.start()
    assert ask(server, "SELECT count(*) > 0 FROM pg_collation")


def test_stop_ends_a_server_with_a_client_and_says_whether_there_was_one(make: Make) -> None:
    """A client in an open transaction does not hold it up; a second stop finds nothing."""
    server = make()
    assert not server.stop()
    assert server.start()
    assert not server.start()
    with closing(psycopg2.connect(**server.parameters())) as client:
        client.cursor().execute("CREATE TABLE held (n int)")
        assert server.stop()
    assert not server.is_running()
    assert not server.stop()


def test_stop_finds_nothing_after_a_kill(make: Make) -> None:
    """A stale postmaster.pid is not a server."""
    server = make()
    server.start()
    kill_all(server)
    assert not server.stop()


def test_stop_ends_a_server_that_does_not_listen(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen postmaster obeys no polite signal: SIGKILL is the last step."""
    steps = ((signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, 5.0))
    monkeypatch.setattr(server_module, "STOP_STEPS", steps)
    server = make()
    server.start()
    os.kill(postmaster(server), signal.SIGSTOP)
    assert server.stop()
    assert not server.is_running()


def test_encoding_and_locale_do_not_follow_the_caller(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UTF8 and C.UTF-8 (or C) whatever LANG says; libpq's variables are for other servers."""
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.setenv(name, "de_DE.ISO8859-1")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("PGPORT", "1")
    server = make()
    server.start()
    probe = "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')"
    here = "C.UTF-8" if finish(python(probe))[0] == 0 else "C"
    assert ask(server, "SHOW server_encoding") == "UTF8"
    of_database = "SELECT datcollate || ' ' || datctype FROM pg_database WHERE datname = %s"
    assert ask(server, of_database, "postgres") == f"{here} {here}"


@pytest.mark.parametrize(
    "name", ['it\'s a "home"', "a,b", "$HOME`x`\\", "é", "x" * 90], ids=str.__repr__
)
def test_any_path_will_do(make: Make, name: str) -> None:
    """Spaces, quotes, commas and great length: the URL and the parameters reach the server."""
    server = make(name)
    server.start()
    assert ask(server, "SHOW data_directory") == str(data_folder(server))
    with closing(psycopg2.connect(server.url())) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("postgres",)
    folder = socket_folder(server)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= 107


def test_a_socket_folder_that_somebody_else_made_is_refused(make: Make) -> None:
    """Whoever may write it could stand in for the server."""
    server = make("x" * 90)
    socket_folder(server).mkdir(mode=0o755)
    with pytest.raises(UserError, match="not a private folder"):
        server.start()
    socket_folder(server).rmdir()
    socket_folder(server).symlink_to(server.home.parent)
    with pytest.raises(UserError, match="not a private folder"):
        server.start()
    socket_folder(server).unlink()


def test_no_permission_of_a_folder_that_was_there_changes(make: Make) -> None:
    """Every folder above the data and above the programs stays as it was."""
    server = make()

    def permissions() -> list[tuple[Path, int, int, int]]:
        stats = [(path, path.stat()) for path in [*server.home.parents, *server.bindir.parents]]
        return [(path, s.st_mode, s.st_uid, s.st_gid) for path, s in stats]

    before = permissions()
    server.start()
    server.stop()
    assert permissions() == before


def test_no_tcp_port_is_listened_on(shared: Server) -> None:
    """A unix socket is all there is."""
    assert ask(shared, "SHOW listen_addresses") == ""
    if not LINUX:
        pytest.skip("which process listens where is asked of /proc")
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.open()]
    tcp = {f"socket:[{row[9]}]" for row in rows}
    opened = {str(link.readlink()) for link in Path(f"/proc/{postmaster(shared)}/fd").iterdir()}
    assert any(name.startswith("socket:") for name in opened)
    assert not opened & tcp


def test_users_get_durable_defaults(place: Path) -> None:
    """Only tests turn fsync off: the server of a user starts with PostgreSQL's own settings."""
    server = Server(place / "durable", find_binaries())
    server.start()
    try:
        assert ask(server, "SHOW fsync") == "on"
        assert ask(server, "SHOW max_connections") == "100"
    finally:
        server.stop()


def test_a_database_is_made_once(shared: Server) -> None:
    """Six at once, under a name that needs quoting: one makes it, nobody fails."""
    name = 'it\'s "one" of Ä'
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(shared.create_database, [name] * 6))
    assert sorted(made) == [False] * 5 + [True]
    with closing(psycopg2.connect(shared.url(name))) as connection:
        assert connection.info.dbname == name


@pytest.mark.skipif(not LINUX, reason="all of 127.0.0.0/8 leads to this machine on Linux alone")
@pytest.mark.parametrize("how", ["PGHOSTADDR", "PGSERVICE"])
def test_libpqs_variables_lead_no_scratch_to_the_live_server(
    make: Make, place: Path, tmp_path: Path, how: str
) -> None:
    """Hostaddr goes before host, and a service fills in what is not given: neither reaches us.

    The live server is on our port, at an address of its own, and lets everybody in as anybody.
    """
    address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    live, home = make(listen_addresses=address), make().home
    live.start()
    made = "CREATE ROLE app LOGIN; CREATE DATABASE docs OWNER app"
    with live.session() as cursor:
        for statement in made.split("; "):
            cursor.execute(statement)
    service = tmp_path / "services"
    service.write_text(f"[live]\nhostaddr={address}\nport=5432\nuser=app\ndbname=docs\n")
    lead = {"PGHOSTADDR": address, "PGUSER": "app", "PGDATABASE": "docs"}
    if how == "PGSERVICE":
        lead = {"PGSERVICE": "live", "PGSERVICEFILE": str(service)}
    environment = {**os.environ, **lead, "PGPROOF_HOME": str(home)}
    folder = tmp_path / "sql"
    folder.mkdir()
    for number, table in enumerate(("apple", "pear"), 1):
        (folder / f"000{number}_{table}.sql").write_text(f"CREATE TABLE {table} (id int);\n")
        (folder / f"000{number}_{table}.rollback.sql").write_text(f"DROP TABLE {table};\n")

    def migrate(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pgproof", *words, "--sql", folder],
            env=environment,
            input="SHOW data_directory",
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def written() -> object:
        """The next transaction's number, which moves with whatever is written."""
        return ask(live, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")

    before = written()
    migrate("baseline", "--to", "2", code=1)
    assert written() == before
    migrate("up", "--to", "1")
    before = written()
    for command in ("drift", "plan", "prove"):
        migrate(command)
        assert written() == before, command
    try:
        assert str(data_folder(Server(home, live.bindir))) in migrate("server", "psql")
        url = migrate("server", "url").strip()
        asked = "import psycopg2, sys; print(psycopg2.connect(sys.argv[1]).info.host)"
        program = [sys.executable, "-c", asked, url]
        host = subprocess.check_output(program, env=environment, text=True).strip()
        assert host == str(socket_folder(Server(home, live.bindir)))
        assert written() == before
    finally:
        migrate("server", "stop")


def test_nothing_is_made_where_another_server_answers(
    make: Make, shared: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second fence, should a way around the first be found."""
    server = make()
    server.start()
    there = shared.parameters()
    monkeypatch.setattr(Server, "parameters", lambda *_: there)
    with pytest.raises(UserError, match="another server answers"):
        server.create_database("never")
    assert ask(shared, "SELECT count(*) FROM pg_database WHERE datname = 'never'") == 0


@pytest.mark.parametrize(
    "variables",
    [
        {"PGREQUIREAUTH": "scram-sha-256", "PGCHANNELBINDING": "require", "PGSSLMODE": "require"},
        {"PGGSSENCMODE": "require", "PGTARGETSESSIONATTRS": "standby", "PGREQUIREPEER": "stranger"},
        {"PGSSLCERTMODE": "require", "PGOPTIONS": "-c default_transaction_read_only=on"},
    ],
    ids=lambda variables: ", ".join(variables),
)
def test_what_libpqs_variables_ask_of_the_live_server_is_not_asked_of_ours(
    shared: Server, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ask(shared, "SHOW default_transaction_read_only") == "off"


def test_create_database_without_a_server_says_so(make: Make) -> None:
    """No traceback of the driver."""
    with pytest.raises(UserError, match="does not answer"):
        make().create_database("anything")


def test_a_failed_start_shows_the_log(make: Make) -> None:
    """The server's own words and the path of its log; mended, the same folder starts."""
    broken = make(work_mem="a lot")
    with pytest.raises(UserError, match="work_mem") as caught:
        broken.start()
    assert str(broken.log()) in str(caught.value)
    assert Server(broken.home, broken.bindir, FAST).start()


def test_a_home_that_cannot_be_written_names_the_variable(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In default_home, and in start for whoever builds a Server of their own."""
    (place / "file").touch()
    monkeypatch.setenv("PGPROOF_HOME", str(place / "file/home"))
    with pytest.raises(UserError, match="not writable:\nset PGPROOF_HOME"):
        default_home()
    with pytest.raises(UserError, match="set PGPROOF_HOME"):
        Server(place / "file/home", find_binaries()).start()


def test_a_wrong_folder_of_programs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An explicit choice is never passed over in silence."""
    monkeypatch.setenv("PGPROOF_BINDIR", "/nonexistent/bin")
    with pytest.raises(UserError, match=r"PGPROOF_BINDIR=/nonexistent/bin does not hold postgres"):
        find_binaries()


ORDINARY = """
import psycopg2
from pgproof.server import Server, UserError
try:
    server = Server.default()
    print(server.home, server.start(), server.create_database("mine"))
    psycopg2.connect(**server.parameters("mine")).close()
    print(server.stop())
except UserError as error:
    print("UserError:", error)
"""


def as_user(user: int, place: Path, **environment: str) -> tuple[Path, str]:
    """What an ordinary user with a HOME of its own sees of ORDINARY; skips if it has no Python."""
    home = Path(tempfile.mkdtemp(prefix="u", dir=place))
    os.chown(home, user, user)
    clean = {"HOME": str(home), "PGPROOF_HOME": "", "XDG_DATA_HOME": "", **environment}
    version = f"assert __import__('sys').version_info[:2] == {sys.version_info[:2]}"
    check = f"{version}; import psycopg2, pgproof.server"
    how: Any = {"user": user, "group": user, "extra_groups": [], "cwd": "/"}
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with suppress(OSError):
            if finish(python(check, program=program, **how))[0] == 0:
                return home, finish(python(ORDINARY, program=program, env=clean, **how))[1]
    pytest.skip(f"user {user} can run no Python {sys.version_info[:2]} with psycopg2")


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
def test_an_ordinary_user_is_served(place: Path) -> None:
    """In its own HOME, under its own name."""
    home, told = as_user(pwd.getpwnam("daemon").pw_uid, place)
    assert told == f"{home}/.local/share/pgproof True True\nTrue\n"


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
def test_a_user_without_an_account_is_served(place: Path) -> None:
    """Initdb wants a name for a user id that has none, as in containers: it is lent one."""
    home, told = as_user(NAMELESS, place)
    if "has no name" in told:
        pytest.skip("this machine allows no user namespaces")
    assert told == f"{home}/.local/share/pgproof True True\nTrue\n"


@pytest.mark.skipif(not ROOT, reason="only root can become another user")
@pytest.mark.parametrize(
    ("environment", "why", "mend"),
    [
        ({"HOME": "/nonexistent"}, "/ is not writable", "set PGPROOF_HOME"),
        ({"HOME": ""}, "HOME is not set", "set PGPROOF_HOME"),
        ({"PATH": ""}, f"user id {NAMELESS} has no name in /etc/passwd", "DATABASE_URL"),
    ],
    ids=["unwritable HOME", "no HOME", "no name to lend"],
)
def test_a_container_is_told_what_to_set(
    place: Path, environment: dict[str, str], why: str, mend: str
) -> None:
    """Two lines, no traceback."""
    _, told = as_user(NAMELESS, place, PGPROOF_BINDIR=str(find_binaries()), **environment)
    first, second = told.splitlines()
    assert first.startswith("UserError:")
    assert why in first
    assert mend in second


@pytest.mark.skipif(not ROOT, reason="an ordinary user runs its own programs")
def test_programs_that_nobody_can_reach_are_copied(make: Make) -> None:
    """Root's own environment is often closed to others, and stays closed."""
    server = make()
    package = server.bindir.parents[1]
    if not (server.bindir.parent / "share").is_dir():
        pytest.skip("only an installation in one folder can be moved: the wheel's")
    closed = server.home.parent / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(server.bindir.parent, closed / package.name / server.bindir.parent.name)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    hidden = closed / package.name / server.bindir.parent.name / "bin"
    before = os.umask(0o077)
    try:
        moved = Server(server.home, hidden, FAST)
        assert moved.start()
    finally:
        os.umask(before)
    assert ask(moved, "SELECT 1") == 1
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not ROOT, reason="about what root may do")
def test_a_home_that_nobody_can_enter_is_refused(make: Make) -> None:
    """It is not ours to open: the message says where else to go."""
    server = make()
    server.home.mkdir(mode=0o700)
    with pytest.raises(UserError, match=r"may not enter .*:\nset PGPROOF_HOME"):
        server.start()
    assert server.home.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not ROOT, reason="about what root may do")
def test_a_root_that_cannot_become_another_user_is_told(make: Make) -> None:
    """Containers drop CAP_SETUID: then only a server of one's own is left."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) takes the capability away")
    setpriv = ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid"]
    places = {**os.environ, "PYTHONPATH": str(Path(pgproof.__file__).parents[1])}
    environment = places | {"PGPROOF_HOME": str(make().home)}
    told = subprocess.run(
        [*setpriv, sys.executable, "-c", ORDINARY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.startswith("UserError: PostgreSQL does not run as root")
    assert "name a server with DATABASE_URL" in told.stdout
