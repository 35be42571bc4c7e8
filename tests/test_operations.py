"""Laws of docs/operations.md: its logins can what it says and no more, its files can be deployed.

The SQL and the units are run as they stand there, on a server of PostgreSQL 15 and of 18 each.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml
from psycopg2.errors import InsufficientPrivilege

from database import IDS, MIGRATE, ROOT, Database, run
from pgproof.errors import UserError
from pgproof.scratch import UNSAFE_BUT_FAST, scratch_folder
from pgproof.server import Server, find_binaries, major_version

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
NOBODY = 10001  # the user of the Dockerfile, who has no name here either
MIGRATING, CLIENTS = "A login that may migrate and nothing else", "Logins of the clients"
COMES = "A document comes in"
GROUPS = [f"docmeta_{name}" for name in ("ingest", "app", "reader", "auditor", "retention")]


def section(heading: str) -> str:
    """Return what stands under a heading of the page, up to the next one."""
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGE, re.M | re.S)
    assert found, heading
    return found[1]


def sql_under(heading: str) -> str:
    """Return the statements that the page gives there."""
    (found,) = re.findall(r"^```sql\n(.*?)^```$", section(heading), re.M | re.S)
    return str(found)


def test_every_block_of_sql_is_run() -> None:
    assert [sql_under(heading)[:15] for heading in (MIGRATING, CLIENTS, COMES)] == [
        block[:15] for block in re.findall(r"^```sql\n(.*?)^```$", PAGE, re.M | re.S)
    ]


@pytest.fixture(scope="module", params=[15, 18])
def cluster(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A server of its own, for roles are the cluster's, with the empty database `docs`."""
    try:
        bindir = find_binaries(request.param)
    except UserError:
        pytest.skip(f"no PostgreSQL {request.param}")
    if major_version(bindir) != request.param:
        pytest.skip(f"no PostgreSQL {request.param}")
    server = Server(scratch_folder(), bindir, UNSAFE_BUT_FAST)
    server.start()
    try:
        made = Database.on(server)
        Path(made.host).chmod(0o711)  # for the user of the Dockerfile
        made.query("CREATE DATABASE docs")
        made.close()
        made = replace(made, dbname="docs", _connections=[])
        made.query(sql_under(MIGRATING))
        yield made
        made.close()
    finally:
        server.stop()
        shutil.rmtree(server.home)


def login(db: Database, user: str) -> Database:
    return replace(db, user=user, _connections=[])


# Roles -----------------------------------------------------------------------------------------


def test_the_migrating_login_can_migrate_and_nothing_else(cluster: Database) -> None:
    migrating = login(cluster, "docs_migrate")

    def migrate(*words: str) -> str:
        command = (sys.executable, "-m", "pgproof", *words)
        return run(*command, environment=migrating.environment).stdout

    MIGRATE.up(migrating)
    cluster.query("REVOKE CREATE ON SCHEMA public FROM docs_migrate")  # as the page says
    assert migrate("status", "--exit-code").count("applied") == len(IDS)
    assert f"{len(IDS)} applied, 0 pending; no drift." in migrate("plan")
    MIGRATE.down(migrating)
    assert cluster.query("SELECT 1 FROM pg_namespace WHERE nspname ~ 'docmeta'") == []
    cluster.query("CREATE SCHEMA other; CREATE TABLE other.secrets (); CREATE ROLE other_owner")
    for forbidden in (
        "CREATE DATABASE more",
        "DROP DATABASE postgres",
        "CREATE ROLE more",
        "ALTER ROLE docs_migrate SUPERUSER",
        "SET ROLE postgres",
        "GRANT other_owner TO docs_migrate",
        "ALTER DATABASE docs SET work_mem = '1GB'",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SELECT 1 FROM other.secrets",
        "DROP SCHEMA other CASCADE",
        "CREATE TABLE public.more ()",
        "SELECT 1 FROM pg_authid",
        "COPY (SELECT) TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
        "SET session_replication_role = replica",
    ):
        with pytest.raises(psycopg2.Error) as refused:
            migrating.query(forbidden)
        assert isinstance(refused.value, InsufficientPrivilege) or "owner" in str(refused.value)
    migrating.close()


@pytest.fixture(scope="module")
def clients(cluster: Database) -> Database:
    """The same server with the migrations applied and the logins of the clients."""
    MIGRATE.up(login(cluster, "docs_migrate"))
    cluster.query(sql_under(CLIENTS))
    return cluster


WORK = {
    "docs_pipeline": (
        "INSERT INTO docmeta.import_batches (source_kind) VALUES ('upload')",
        "DELETE FROM docmeta.documents",
    ),
    "docs_app": (
        "UPDATE docmeta.documents SET title = 'x'",
        "UPDATE docmeta.documents SET content_sha256 = ''",
    ),
    "docs_reports": (
        "SELECT count(*) FROM docmeta.documents",
        "SELECT old_row FROM docmeta.audit_log",
    ),
    "docs_auditor": ("SELECT old_row FROM docmeta.audit_log", "SELECT 1 FROM docmeta.documents"),
    "docs_retention": (
        "SELECT docmeta.purge_documents('1 day', 1)",
        "SELECT 1 FROM docmeta.audit_log",
    ),
}


@pytest.mark.parametrize("user", WORK)
def test_a_client_can_its_work_and_no_more(user: str, clients: Database) -> None:
    may, may_not = WORK[user]
    client = login(clients, user)
    if user != "docs_reports":  # who serves one tenant, by the page
        client.query("SET docmeta.tenant_id = '1'")
    client.query(may)
    for forbidden in (may_not, "SET ROLE docmeta_owner"):
        with pytest.raises(InsufficientPrivilege):
            client.query(forbidden)
    client.close()


def test_a_content_is_claimed_once_and_again_when_it_is_abandoned(clients: Database) -> None:
    importer = login(clients, "docs_pipeline")
    importer.query("SET docmeta.tenant_id = '1'")
    importer.query(sql_under(COMES))
    digest = b"claimed once".ljust(32)

    def bring() -> list[tuple[Any, ...]]:
        return importer.query("EXECUTE bring (%s, 7, 'a.pdf')", [digest])

    assert (len(bring()), len(bring())) == (1, 0)
    importer.query("UPDATE docmeta.hash_index SET orphaned_at = now() WHERE sha256 = %s", [digest])
    assert (len(bring()), len(bring())) == (1, 0)
    named = "SELECT orphaned_at FROM docmeta.hash_index WHERE sha256 = %s"
    assert importer.query(named, [digest]) == [(None,)]
    importer.close()
    clients.query("DELETE FROM docmeta.documents")


RIGHTS = """
    SELECT relname, rolname, string_agg(CASE
        WHEN has_table_privilege(rolname, c.oid, privilege) THEN letter
        WHEN privilege <> 'DELETE' AND has_any_column_privilege(rolname, c.oid, privilege)
            THEN lower(letter) END, ' ' ORDER BY nr)
    FROM pg_class c, pg_roles, (VALUES
        (1, 'SELECT', 'R'), (2, 'INSERT', 'A'), (3, 'UPDATE', 'U'), (4, 'DELETE', 'D')
    ) AS known (nr, privilege, letter)
    WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND rolname = ANY (%s)
    GROUP BY 1, 2
    UNION ALL
    SELECT proname || '()', rolname,
        CASE WHEN has_function_privilege(rolname, p.oid, 'EXECUTE') THEN 'X' END
    FROM pg_proc p, pg_roles
    WHERE pronamespace = 'docmeta'::regnamespace AND rolname = ANY (%s)
"""


def rights(db: Database) -> list[str]:
    """Return the rows of a table of who may what, tables first."""
    found: dict[str, dict[str, str]] = {}
    for name, role, letters in db.query(RIGHTS, [GROUPS, GROUPS]):
        found.setdefault(name, {})[role] = letters or ""
    return [
        f"| `{name}` | " + " | ".join(of[role] for role in GROUPS) + " |"
        for name, of in sorted(found.items(), key=lambda pair: (")" in pair[0], pair[0]))
        if any(of.values())
    ]


def test_the_page_tells_the_rights_of_each_group(docs: Database) -> None:
    found = re.search(r"<!-- rights: .*? -->\n((?:\|.*\n)+)", PAGE)
    assert found
    head, _, *rows = found[1].splitlines()
    assert head == "| | " + " | ".join(f"`{role}`" for role in GROUPS) + " |"
    assert [re.sub(r" +", " ", row) for row in rows] == [
        re.sub(r" +", " ", row) for row in rights(docs)
    ]


# What is deployed -----------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    pairs = (line.split(" ", 1) for line in text.splitlines() if line and line[0] != "#")
    return [(word, rest) for word, rest in pairs]


def python_for_all() -> str:
    """Return an interpreter that every user may run: root's own may lie where only root goes."""
    for found in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        open_to_all = all(folder.stat().st_mode & 1 for folder in Path(found).parents)
        check = (found, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))")
        if (
            open_to_all
            and Path(found).exists()
            and not subprocess.run(check, check=False).returncode
        ):
            return found
    pytest.skip("no Python 3.11 that every user may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the user of the Dockerfile")
@pytest.mark.parametrize("cluster", [18], indirect=True)
def test_the_image_can_migrate_without_a_name_a_home_or_a_place_to_write(
    cluster: Database,
) -> None:
    """The steps of the Dockerfile, with an environment in place of the image."""
    image = scratch_folder()
    try:
        root = image / "docmeta"
        pip = (sys.executable, "-m", "pip", "--python", str(image / "venv/bin/python"))
        make = (python_for_all(), "-m", "venv", "--without-pip", image / "venv")
        run(*make, environment={**os.environ})
        root.mkdir()
        entry: list[str] = []
        for word, rest in instructions():
            match word:
                case "FROM":
                    assert re.fullmatch(r"python:3\.1[1-9]-slim", rest)
                case "WORKDIR":
                    assert rest == "/docmeta"
                case "COPY":
                    *sources, target = rest.split()
                    for source in sources:
                        to = root / target if (ROOT / source).is_dir() else root / source
                        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                        copy(ROOT / source, to)
                case "RUN":
                    program, *words = shlex.split(rest)
                    assert program == "pip"
                    run(*pip, *words, environment={**os.environ}, cwd=root)
                case "USER":
                    assert rest == f"{NOBODY}:{NOBODY}"
                case "ENTRYPOINT":
                    entry = json.loads(rest)
                case "CMD":
                    assert json.loads(rest) == ["status"]
                case _:
                    pytest.fail(f"untried: {word} {rest}")
        run("chmod", "-R", "a=rX", root, environment={**os.environ})
        db = login(cluster, "docs_migrate")
        done = subprocess.run(
            [image / "venv/bin" / entry[0], "up"],
            cwd=root,
            env={k: v for k, v in db.environment.items() if k in (*libpq(db), "LANG")},
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "docs_migrate" in done.stderr
    finally:
        shutil.rmtree(image)


def libpq(db: Database) -> set[str]:
    return {name for name in db.environment if name.startswith("PG") and "PROOF" not in name}


def test_what_is_copied_is_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {word for kind, rest in instructions() if kind == "COPY" for word in rest.split()[:-1]}
    assert copied == kept


def no_password(told: Any) -> None:
    """Fail where a value that is called a password is written down."""
    if isinstance(told, dict):
        for name, value in told.items():
            if re.search("password", str(name), re.I) and isinstance(value, str):
                assert re.match(r"\$\{\w+:\?", value) or name == "key", name
            assert told.get("name") != "PGPASSWORD" or set(told) == {"name", "valueFrom"}
            no_password(value)
    elif isinstance(told, list):
        for value in told:
            no_password(value)


def test_the_composition_holds_together() -> None:
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    no_password(told)
    migrating, server = told["services"]["migrate"], told["services"]["postgres"]
    assert (DEPLOY / migrating["build"]["context"]).resolve() == ROOT
    assert (ROOT / migrating["build"]["dockerfile"]).is_file()
    assert migrating["read_only"] is True
    assert set(migrating["depends_on"]) == {"postgres"}
    assert migrating["environment"]["PGHOST"] == "postgres"
    assert migrating["environment"]["PGDATABASE"] == server["environment"]["POSTGRES_DB"]
    assert {volume.split(":")[0] for volume in server["volumes"]} == set(told["volumes"])
    if docker := shutil.which("docker"):
        there = run(docker, "compose", "version", environment={**os.environ}, code=None)
        command = (docker, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet")
        if there.returncode == 0:
            run(*command, environment={**os.environ, "PGPASSWORD": "x"})


def missing(part: Any, whole: Any, at: str = "") -> list[str]:
    """Return what of one document is not in another."""
    if isinstance(part, dict):
        return [
            lacking
            for name, value in part.items()
            for lacking in (
                missing(value, whole[name], f"{at}.{name}")
                if isinstance(whole, dict) and name in whole
                else [f"{at}.{name}"]
            )
        ]
    if isinstance(part, list):
        same = isinstance(whole, list) and len(whole) == len(part)
        pairs = zip(part, whole, strict=True) if same else ()
        return [x for a, b in pairs for x in missing(a, b, f"{at}[]")] if same else [at]
    return [] if part == whole else [at]


def known_to_kubernetes(text: str) -> Any:
    """Return what kubectl makes of a manifest: a field that its types do not know is gone."""
    done = subprocess.run(
        ["kubectl", "set", "env", "--local", "-f", "-", "-o", "json", "TRIED=yes"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    (container,) = told["spec"]["template"]["spec"]["containers"]
    assert container["env"].pop() == {"name": "TRIED", "value": "yes"}
    return told


def test_the_job_is_one_that_runs_without_rights() -> None:
    text = (DEPLOY / "job.yaml").read_text()
    told = yaml.safe_load(text)
    no_password(told)
    assert (told["apiVersion"], told["kind"]) == ("batch/v1", "Job")
    pod = told["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["args"] == ["up"]
    assert {variable["name"] for variable in container["env"]} >= {"PGHOST", "PGUSER", "PGDATABASE"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    if shutil.which("kubectl"):
        assert missing(told, known_to_kubernetes(text)) == []
        misspelt = text.replace("backoffLimit", "backOffLimit")
        assert missing(yaml.safe_load(misspelt), known_to_kubernetes(misspelt)) == [
            ".spec.backOffLimit"
        ]


def unit(path: Path) -> dict[str, list[str]]:
    """Return the settings of a unit, each with its values in order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(encoding="utf-8"), re.M):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_units_are_such(tmp_path: Path) -> None:
    names = []
    for path in UNITS:
        name = path.name.replace("@", "@1")
        program = re.sub(r"(?<=^ExecStart=)\S+", "/bin/true", path.read_text(), flags=re.M)
        (tmp_path / name).write_text(program)
        names.append(tmp_path / name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_units_are_hardened_and_hold_no_password() -> None:
    for path in UNITS:
        told = unit(path)
        assert not re.search(r"PASSWORD|password", path.read_text())
        if path.suffix == ".service":
            assert told["User"] == ["docmeta"]
            assert told["NoNewPrivileges"] == told["ProtectHome"] == ["yes"]
            assert told["EnvironmentFile"][0].startswith("/etc/docmeta/")
        else:
            assert path.with_suffix(".service").is_file()


def test_the_units_do_their_work(clients: Database) -> None:
    """Each command as systemd would split it, on a trash of three; one is purged at a time."""
    clients.query("""
        INSERT INTO docmeta.hash_index (sha256, size_bytes)
            SELECT sha256(n::text::bytea), 1 FROM generate_series(1, 3) AS n;
        INSERT INTO docmeta.documents
            (content_sha256, filename, deleted_at, deleted_by, delete_reason)
            SELECT sha256, 'old', now() - interval '40 days', 'ada', 'expired'
            FROM docmeta.hash_index;
    """)
    retention = login(clients, "docs_retention").environment
    retention["PATH"] = os.pathsep.join([str(find_binaries(18)), retention["PATH"]])
    said = ""
    for path in (DEPLOY / "docmeta-retention.service", DEPLOY / "docmeta-purge@.service"):
        for setting in unit(path).get("Environment", []):
            name, _, value = shlex.split(setting)[0].partition("=")
            retention[name] = value.replace("%i", "1")
        for command in unit(path)["ExecStart"]:
            words = shlex.split(command.replace(", 1000)", ", 1)"))
            said += run(*words, environment=retention).stdout
    assert "is to end at" in said
    assert re.search(r"^1\|1\|[0-9a-f]{64}$", said, re.M)
    assert clients.value("SELECT count(*) FROM docmeta.documents") == 0


def test_the_example_of_ci_runs_what_there_is() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", section("CI"), re.M | re.S)
    steps = yaml.safe_load(text)["jobs"]["migrations"]["steps"]
    commands = [line for step in steps for line in step.get("run", "").splitlines()]
    assert [line.split()[:2] for line in commands] == [
        ["scripts/migrate", name] for name in ("prove", "docs", "up", "drift")
    ]
