"""The obvious way to do what a migration does online: what one writes who has no writers to mind.

    for way in obvious.WAYS.get("0004_index_document_search", ()): ...

Keyed by the migration before which the way is tried, on the same database and the same load. Where
a way is one transaction it is rolled back at its end, after its last statement: clients waited for
its locks as long, and nothing of it stays but dead rows. What has to commit has its own undoing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from yoyo.migrations import Migration

_TIMEOUT = "SET LOCAL lock_timeout"

Statements = Callable[[Migration], Sequence[str]]


@dataclass(frozen=True)
class Way:
    """One way: in words, and its statements, made from the migration before which it is tried.

    `instead_of` names another migration that it is the alternative to, where that is not the one.
    `commits` says that each statement is a transaction of its own, which `undo` takes back;
    `cleanup` is what a rolled back one leaves to do. `reader` is for how many seconds a report
    reads, in one transaction, from before it begins; then the migration is applied again beside
    such a report, too.
    """

    words: str
    statements: Statements
    instead_of: str | None = None
    commits: bool = False
    undo: Sequence[str] = ()
    cleanup: Sequence[str] = ()
    reader: float = 0.0


def _said(*statements: str) -> Statements:
    return lambda _: statements


def _at_once(migration: Migration) -> list[str]:
    """The migration's own statements, an index built and a constraint validated in their place."""
    changed = [
        re.sub(r"\s+NOT\s+VALID\b|(?<=INDEX )CONCURRENTLY (?:IF NOT EXISTS )?", "", statement.text)
        for statement in migration.forward
    ]
    return [text for text in changed if not text.startswith(_TIMEOUT)]


def _patiently(migration: Migration) -> list[str]:
    """The migration's own statements, which wait for their locks as long as it takes."""
    texts = [statement.text for statement in migration.forward]
    return [text for text in texts if not text.startswith(_TIMEOUT)]


_SHARED = ("documents", "hash_index", "document_classifications", "document_tags", "audit_log")
_POLICY = "tenant_id = current_setting('docmeta.tenant_id')::bigint"

# The log is locked before it is read, or a row that comes meanwhile is lost.
_COPY = (
    "LOCK TABLE docmeta.audit_log IN ACCESS EXCLUSIVE MODE",
    "CREATE TABLE docmeta.bench_log (LIKE docmeta.audit_log INCLUDING DEFAULTS "
    "INCLUDING CONSTRAINTS) PARTITION BY RANGE (occurred_at)",
    """
    DO $$
    DECLARE
        month date := (SELECT date_trunc('month', min(occurred_at)) FROM docmeta.audit_log);
    BEGIN
        WHILE month <= now() LOOP
            EXECUTE format('CREATE TABLE docmeta.%I PARTITION OF docmeta.bench_log '
                'FOR VALUES FROM (%L) TO (%L)', 'bench_log_' || to_char(month, 'YYYY_MM'),
                month, month + interval '1 month');
            month := month + interval '1 month';
        END LOOP;
    END $$
    """,
    "CREATE TABLE docmeta.bench_log_default PARTITION OF docmeta.bench_log DEFAULT",
    "INSERT INTO docmeta.bench_log SELECT * FROM docmeta.audit_log",
    "ALTER TABLE docmeta.bench_log ADD PRIMARY KEY (tenant_id, id, occurred_at)",
    "CREATE INDEX ON docmeta.bench_log (tenant_id, document_id, id) WHERE document_id IS NOT NULL",
    "ALTER TABLE docmeta.audit_log RENAME TO bench_former",
    "ALTER TABLE docmeta.bench_log RENAME TO audit_log",
)

WAYS: Mapping[str, Sequence[Way]] = {
    "0004_index_document_search": [Way("CREATE INDEX", _at_once)],
    "0005_default_document_language": [
        Way(
            "SET NOT NULL at once, with nulls in the table",
            _said(
                "ALTER TABLE docmeta.documents ALTER language SET DEFAULT 'und', "
                "ALTER language SET NOT NULL"
            ),
        ),
        Way("no lock_timeout, while a report reads for 3 s", _patiently, reader=3.0),
    ],
    "0006_backfill_document_language": [
        Way(
            "one UPDATE",
            _said("UPDATE docmeta.documents SET language = 'und' WHERE language IS NULL"),
            cleanup=["VACUUM docmeta.documents"],
        )
    ],
    "0007_validate_document_language": [
        Way(
            "ADD CHECK, validated at once",
            _said(
                "ALTER TABLE docmeta.documents ADD CONSTRAINT bench_language_check "
                "CHECK (language IS NOT NULL)"
            ),
        ),
        Way(
            "SET NOT NULL without a check that proves it",
            _said("ALTER TABLE docmeta.documents ALTER language SET NOT NULL"),
            instead_of="0008_require_document_language",
        ),
    ],
    "0009_bound_audit_log": [
        Way("ADD CHECK, validated at once", _at_once, instead_of="0010_validate_audit_log_bound")
    ],
    "0011_partition_audit_log": [
        Way("a partitioned copy, filled and renamed", _said(*_COPY)),
    ],
    "0012_add_document_status": [
        Way("ADD CHECK, validated at once", _at_once, instead_of="0013_validate_document_status")
    ],
    "0014_isolate_tenants": [
        Way(
            "ENABLE, FORCE and CREATE POLICY, a statement at a time",
            _said(
                *(
                    f"ALTER TABLE docmeta.{table} ENABLE ROW LEVEL SECURITY, "
                    "FORCE ROW LEVEL SECURITY"
                    for table in _SHARED
                ),
                *(
                    f"CREATE POLICY bench_tenant ON docmeta.{table} USING ({_POLICY})"
                    for table in _SHARED
                ),
            ),
            commits=True,
            undo=[
                *(
                    f"ALTER TABLE docmeta.{table} DISABLE ROW LEVEL SECURITY, "
                    "NO FORCE ROW LEVEL SECURITY"
                    for table in _SHARED
                ),
                *(f"DROP POLICY bench_tenant ON docmeta.{table}" for table in _SHARED),
            ],
        )
    ],
}
