"""The catalog's text before its judges: pg_dump for what changes, the server for what there is.

Whatever two dumps tell apart our text must, and no catalog of the server may be forgotten.
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from types import SimpleNamespace

import psycopg2
import pytest
from psycopg2.extensions import connection

from catalog_changes import BASE, CASES, ROLE, SERVER, SUBSCRIPTION, THIS
from database import Database, run
from pgproof import catalog
from pgproof.binaries import find_binaries
from pgproof.errors import UserError
from test_catalog import changed, execute

# Cases that pg_dump cannot judge, each with the reason; ours are to see them all the same.
BLIND = {
    "identity sequence's type": "of the sequence of an identity column it says no type",
    "foreign key not enforced": "it leaves out the triggers that the server made",
    "inherited constraint validated": "what is inherited it leaves to the parent",
    "foreign key of a partition validated": "what is of the partitioned table it leaves to that",
    "index left behind invalid": "it leaves invalid indexes out",
    "partition being detached": "it asks only whose partition it is",
    "materialized view filled": "that is of the rows, not of the schema",
    "grant on built-in language": "it lists procedural languages alone, and SQL is none",
    "subscription enabled": "one that is restored is to be enabled by hand",
    "extension's version": "it asks for whatever version the next server has",
}

# What pg_dump tells and ours does not, on purpose: the version that brought it, what is set up,
# the change, and the reason.
UNSEEN: dict[str, tuple[int, str, str, str]] = {
    "subscription's connection": (
        0,
        SUBSCRIPTION,
        "ALTER SUBSCRIPTION target_sub CONNECTION 'host=elsewhere'",
        "it may hold a password, and only a superuser may read it",
    ),
    "user mapping's password": (
        0,
        SERVER + "CREATE USER MAPPING FOR PUBLIC SERVER target_s OPTIONS (password 'a')",
        "ALTER USER MAPPING FOR PUBLIC SERVER target_s OPTIONS (SET password 'b')",
        "nobody's password belongs into a text that is committed",
    ),
    "name of a not null": (
        18,
        "",
        "ALTER TABLE s.target RENAME CONSTRAINT target_n_not_null TO m_not_null",
        "a column or table that is renamed leaves such a name behind, and 15 has none",
    ),
    "inherited not null made local": (
        18,
        "CREATE TABLE s.target_kid () INHERITS (s.target)",
        "ALTER TABLE s.target_kid ALTER n SET NOT NULL",
        "to 15 a column that is not null has nothing more to say",
    ),
    "owner of the database": (
        0,
        "",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO catalog_target',"
        " current_database()); END $$",
        "one schema may be in databases of different owners",
    ),
    "connections to the database": (
        0,
        "",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 99',"
        " current_database()); END $$",
        "how a database is run, not what is in it",
    ),
}

# What of pg_catalog the query leaves out: why, and which tables, or columns of those it reads.
EXCUSED = {
    "every database of the cluster has it": """
        pg_auth_members pg_authid pg_parameter_acl pg_replication_origin
        pg_tablespace.spcowner pg_tablespace.spcacl pg_tablespace.spcoptions
    """,
    "of the database as a whole: of its making, or of how it is run": """
        pg_database.encoding pg_database.datlocprovider pg_database.datistemplate
        pg_database.datallowconn pg_database.datconnlimit pg_database.dattablespace
        pg_database.datcollate pg_database.datctype pg_database.daticulocale
        pg_database.datlocale pg_database.daticurules
    """,
    "rows, not the schema": """
        pg_largeobject pg_largeobject_metadata pg_class.relpages pg_class.reltuples
        pg_class.relallvisible pg_class.relallfrozen pg_class.relfilenode pg_class.relrewrite
        pg_class.relfrozenxid pg_class.relminmxid pg_attribute.atthasmissing
        pg_attribute.attmissingval pg_index.indcheckxmin pg_database.datfrozenxid
        pg_database.datminmxid
    """,
    "statistics, which ANALYZE makes": "pg_statistic pg_statistic_ext_data",
    "how far replication is": "pg_subscription_rel pg_subscription.subskiplsn",
    "who needs what is known where it is needed": "pg_shdepend",
    "a connection string may hold a password": "pg_subscription.subconninfo",
    "which library the machine has": "pg_collation.collversion pg_database.datcollversion",
    "counted or remembered from what is read": """
        pg_class.relhasindex pg_class.relchecks pg_class.relhasrules pg_class.relhastriggers
        pg_class.relhassubclass pg_class.relnatts pg_class.relisshared pg_class.reltype
        pg_attribute.atthasdef pg_attribute.attinhcount pg_attribute.attcacheoff
        pg_constraint.coninhcount pg_database.dathasloginevt pg_type.typisdefined
        pg_index.indisready pg_index.indislive
    """,
    "a copy of the type's": "pg_attribute.attlen pg_attribute.attbyval pg_attribute.attalign",
    "the server does not heed it": "pg_attribute.attndims pg_type.typndims pg_language.lanispl",
    "of the encoding that the collation is for, always the database's": "pg_collation.collencoding",
    "an extension has no owner to be changed, and its files say the rest": """
        pg_extension.extowner pg_extension.extrelocatable pg_extension.extconfig
        pg_extension.extcondition
    """,
    "whether initdb or an extension granted it is all the same": "pg_init_privs.privtype",
    "pg_get_partkeydef() tells it": "pg_partitioned_table",
    "pg_get_statisticsobjdef_expressions() tells it": "pg_statistic_ext.stxexprs",
    "pg_get_indexdef() tells it, or the constraint's definition": """
        pg_index.indnatts pg_index.indnkeyatts pg_index.indisunique pg_index.indnullsnotdistinct
        pg_index.indisprimary pg_index.indisexclusion pg_index.indimmediate pg_index.indkey
        pg_index.indcollation pg_index.indclass pg_index.indoption pg_index.indexprs
        pg_index.indpred
    """,
    "pg_get_constraintdef() tells it": """
        pg_constraint.condeferrable pg_constraint.condeferred pg_constraint.conenforced
        pg_constraint.confrelid pg_constraint.confupdtype pg_constraint.confdeltype
        pg_constraint.confmatchtype pg_constraint.conperiod pg_constraint.conkey
        pg_constraint.confkey pg_constraint.conpfeqop pg_constraint.conppeqop
        pg_constraint.conffeqop pg_constraint.confdelsetcols pg_constraint.conexclop
        pg_constraint.conbin
    """,
    "pg_get_triggerdef() tells it": """
        pg_trigger.tgfoid pg_trigger.tgtype pg_trigger.tgconstrrelid pg_trigger.tgconstrindid
        pg_trigger.tgdeferrable pg_trigger.tginitdeferred pg_trigger.tgnargs pg_trigger.tgattr
        pg_trigger.tgargs pg_trigger.tgqual pg_trigger.tgoldtable pg_trigger.tgnewtable
    """,
    "pg_get_ruledef() and pg_get_viewdef() tell it": """
        pg_rewrite.ev_type pg_rewrite.is_instead pg_rewrite.ev_qual pg_rewrite.ev_action
    """,
    "pg_get_functiondef() tells it, or of an aggregate its arguments": """
        pg_proc.proname pg_proc.prolang pg_proc.procost pg_proc.prorows pg_proc.provariadic
        pg_proc.prosupport pg_proc.prosecdef pg_proc.proleakproof pg_proc.proisstrict
        pg_proc.proretset pg_proc.provolatile pg_proc.pronargs pg_proc.pronargdefaults
        pg_proc.prorettype pg_proc.proargtypes pg_proc.proallargtypes pg_proc.proargmodes
        pg_proc.proargnames pg_proc.proargdefaults pg_proc.protrftypes pg_proc.prosrc
        pg_proc.probin pg_proc.prosqlbody pg_proc.proconfig pg_aggregate.aggnumdirectargs
    """,
    "regoperator, regconfig or regdictionary tells it": """
        pg_operator.oprname pg_operator.oprkind pg_operator.oprleft pg_operator.oprright
        pg_ts_config.cfgname pg_ts_dict.dictname
    """,
    "that of its function": "pg_operator.oprresult",
    "those of its operator": "pg_amop.amoplefttype pg_amop.amoprighttype",
    "that of its family": "pg_amop.amopmethod",
    "one for order by is one with a family for it": "pg_amop.amoppurpose",
    "the view pg_user_mappings, which all may read, joins by it": "pg_user_mapping.umserver",
}
REASONS = {name: reason for reason, names in EXCUSED.items() for name in names.split()}

# Of those excused, what not all of PostgreSQL 15 to 18 have.
NOT_EVERYWHERE = {
    "pg_attribute.attcacheoff",
    "pg_class.relallfrozen",
    "pg_constraint.conenforced",
    "pg_constraint.conperiod",
    "pg_database.daticulocale",
    "pg_database.datlocale",
    "pg_database.daticurules",
    "pg_database.dathasloginevt",
}

Dump = Callable[[Database], str]


@pytest.fixture(scope="module")
def dump(server: SimpleNamespace) -> Dump:
    """Return what gives a dump of a database; no server newer than pg_dump can be dumped."""
    with psycopg2.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname=server.maintenance_dbname,
    ) as on:
        major = on.server_version // 10000
    try:
        program = find_binaries() / "pg_dump"
        told = subprocess.check_output([program, "--version"], text=True)
        offered = subprocess.check_output([program, "--help"], text=True)
    except (UserError, OSError) as error:
        pytest.skip(f"no pg_dump: {error}")
    version = int(re.findall(r"\d+", told)[0])
    if version < major:
        pytest.skip(f"the server is PostgreSQL {major}, and the pg_dump at hand is {version}")
    # Where it has this option, it would otherwise put another word into each dump.
    key = ["--restrict-key=x"] if "--restrict-key" in offered else []

    def dumped(db: Database) -> str:
        done = run(program, "--schema-only", "--create", *key, environment=db.environment)
        return done.stdout

    return dumped


@dataclass(frozen=True)
class Judge:
    """Two views of a database: what pg_dump says of it, and our text; `known` for each setup."""

    dump: Dump
    known: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def view(self, db: Database, on: connection) -> tuple[str, list[str]]:
        return self.dump(db).replace(db.dbname, "the database"), catalog.read(on)

    def differences(
        self, db: Database, since: int, setup: str, change: str
    ) -> tuple[bool, list[str]]:
        """Return whether pg_dump tells before from after, and the lines in which our text does."""
        on = db.connect()
        if on.server_version < since * 10000:
            pytest.skip(f"PostgreSQL {since} brought it")
        execute(on, ROLE + BASE + setup)
        if setup not in self.known:
            self.known[setup] = self.view(db, on)
        dump, text = self.known[setup]
        try:
            execute(on, change)
            dump_after, text_after = self.view(db, on)
        finally:
            # A database with a subscription cannot be dropped.
            execute(on, "DELETE FROM pg_subscription WHERE subdbid = " + THIS)
        return dump != dump_after, changed(text, text_after)


@pytest.fixture(scope="module")
def judge(dump: Dump) -> Judge:
    return Judge(dump)


@pytest.mark.parametrize("name", CASES)
def test_every_change_is_seen(db: Database, judge: Judge, name: str) -> None:
    """A change shows in a dump, or it is known why not; and in our text, under its name."""
    dumped, lines = judge.differences(db, *CASES[name])
    if name in BLIND:
        assert not dumped, f"pg_dump does see it: strike {name!r} out of BLIND"
    else:
        assert dumped, f"pg_dump does not see it: is {name!r} a change? If so, say why in BLIND"
    assert any("target" in line for line in lines), "unseen:\n" + "\n".join(lines)


@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_left_to_pg_dump_is_known(db: Database, judge: Judge, name: str) -> None:
    """What our text leaves out on purpose is seen by pg_dump, and still left out."""
    since, setup, change, reason = UNSEEN[name]
    dumped, lines = judge.differences(db, since, setup, change)
    assert dumped, f"pg_dump does not see it: strike {name!r} out of UNSEEN"
    assert not lines, f"no more true that {reason}: strike {name!r} out of UNSEEN"


def test_only_cases_are_excused() -> None:
    """A reason stands for a case that there is."""
    assert not BLIND.keys() - CASES.keys()


def test_no_catalog_of_the_server_is_forgotten(db: Database) -> None:
    """Each table, and each column of those read, is in the query, or a reason says why not."""
    query = resources.files("pgproof").joinpath("catalog.sql").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", re.sub("--.*", "", query)))
    columns = db.query(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 "
        "AND NOT a.attisdropped"
    )
    missing = {
        f"{table}.{column}" if table in words else table
        for table, column in columns
        if table not in words or column not in words
    }
    assert not missing - REASONS.keys(), "read these in catalog.sql, or say in EXCUSED why not"
    assert not REASONS.keys() - missing - NOT_EVERYWHERE, "read by now, or no more there"
