"""How audit_log grows, measured with a few documents and carried on to many entries on paper.

    scripts/bench audit --documents 100000

A document here is imported, classified, tagged and made ready: four entries. What each part of the
log takes for an entry is measured at half of the documents and at all; where the two agree, growth
is linear, and the last column is that figure times --entries.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2 import extensions

from benchmarks import durable
from pgproof import database, migrations, runner

AT_ONCE = 1000
SQL = Path(__file__).parents[2] / "sql"

_BEFORE = """
    SET docmeta.actor = 'importer@pipeline';
    SET docmeta.request_id = '3f1c9a52-9b1e-4a3f-8a52-1c9a529b1e4a';
    SET docmeta.tenant_id = '1';
    INSERT INTO docmeta.import_batches (source_kind, status, started_at)
    VALUES ('filesystem', 'running', now());
    INSERT INTO docmeta.tags (name) SELECT 'tag ' || n FROM generate_series(1, 50) n
"""

_DOCUMENTS = """
    INSERT INTO docmeta.hash_index (sha256, size_bytes, storage_uri)
    SELECT sha256(n::text::bytea), n, 's3://bucket/' || md5(n::text)
    FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO docmeta.documents (
        batch_id, content_sha256, filename, title, mime_type, language, page_count,
        source_system, source_id, source_uri, attributes
    )
    SELECT 1, sha256(n::text::bytea), 'scan-' || n || '.pdf', 'Invoice number ' || n,
        'application/pdf', 'de', n %% 9 + 1, 'archive', md5(n::text),
        'file:///srv/scans/2026/11/scan-' || n || '.pdf', '{"amount": 12.5, "customer": "C-1234"}'
    FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO docmeta.document_classifications (
        document_id, category, confidence, is_primary, source, model_name, model_version
    )
    SELECT id, 'invoice', 0.97, true, 'model', 'layout', '1.5'
    FROM docmeta.documents WHERE tenant_id = 1 AND id >= %(first)s;
    INSERT INTO docmeta.document_tags (document_id, tag_id, source)
    SELECT id, id %% 50 + 1, 'rule' FROM docmeta.documents
    WHERE tenant_id = 1 AND id >= %(first)s;
    UPDATE docmeta.documents SET status = 'ready' WHERE tenant_id = 1 AND id >= %(first)s
"""

# By the index of the log that one of a partition belongs to, so that partitions add up.
_SIZES = """
    WITH parts AS (SELECT relid FROM pg_partition_tree('docmeta.audit_log') WHERE isleaf)
    SELECT 'rows', sum(pg_table_size(relid)) FROM parts
    UNION ALL (
        SELECT 'index ' || (SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = min(indexrelid)) || ' (' || amname || ')',
            sum(pg_relation_size(indexrelid))
        FROM pg_index JOIN parts ON indrelid = relid JOIN pg_class c ON c.oid = indexrelid
        JOIN pg_am ON pg_am.oid = relam
        GROUP BY indkey::text, amname ORDER BY 2 DESC)
    UNION ALL SELECT 'seals', pg_total_relation_size('docmeta.audit_log_seals')
"""


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0."""
    parser = argparse.ArgumentParser(prog="scripts/bench audit", description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000, metavar="N")
    parser.add_argument("--entries", type=int, default=100_000_000, metavar="N")
    parser.add_argument(
        "--home",
        type=Path,
        metavar="FOLDER",
        help="for the server's data: 1.2 kB an entry, 8 GB of WAL (the folder for temporary files)",
    )
    arguments = parser.parse_args(argv)
    durable.end_on_sigterm()
    with durable.server(arguments.home, {"autovacuum": "off"}) as server:
        server.create_database("bench")
        told = server.parameters("bench")
        backend = runner.open_backend(database.Database(told, "the benchmark"), {}, {})
        runner.up(backend, migrations.read([SQL]), None, lambda _: None)
        backend.connection.close()
        with closing(psycopg2.connect(**told)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                half, whole = _measured(cursor, arguments.documents)
    print(_page(half, whole, arguments.entries))
    return 0


def _measured(cursor: extensions.cursor, documents: int) -> list[Mapping[str, float]]:
    """Return the figures at half of the documents and at all of them."""
    cursor.execute(_BEFORE)
    found = []
    for first in range(1, documents + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, documents)
        cursor.execute(_DOCUMENTS, {"first": first, "last": last})
        if last % (100 * AT_ONCE) == 0:
            print(f"{last:,} of {documents:,} documents", file=sys.stderr, flush=True)
        if last == documents or first <= documents // 2 <= last:
            found.append(_figures(cursor))
    return [found[0], found[-1]]


def _figures(cursor: extensions.cursor) -> dict[str, float]:
    began = time.monotonic()
    cursor.execute("SELECT docmeta.seal_audit_log()")
    sealing = time.monotonic() - began
    cursor.execute("VACUUM ANALYZE docmeta.audit_log")
    cursor.execute("SELECT count(*) FROM docmeta.audit_log")
    ((entries,),) = cursor.fetchall()
    cursor.execute(_SIZES)
    sizes = {name: float(size) / entries for name, size in cursor.fetchall()}
    return {"entries": entries, **sizes, "sealing, s": sealing}


def _page(half: Mapping[str, float], whole: Mapping[str, float], entries: int) -> str:
    parts = [name for name in whole if name not in ("entries", "sealing, s")]
    head = (
        f"| bytes an entry | of {half['entries']:,} | of {whole['entries']:,} | GB of {entries:,} |"
    )
    lines = [head, "| --- | --- | --- | --- |"]
    for name in parts:
        lines.append(_line(name, half[name], whole[name], entries))
    totals = [sum(figures[name] for name in parts) for figures in (half, whole)]
    lines.append(_line("all", totals[0], totals[1], entries))
    sealed = whole["entries"] - half["entries"]
    lines += ["", f"Sealing: {sealed / whole['sealing, s']:,.0f} entries a second."]
    return "\n".join(lines)


def _line(name: str, half: float, whole: float, entries: int) -> str:
    return f"| {name} | {half:.1f} | {whole:.1f} | {whole * entries / 1e9:.1f} |"
