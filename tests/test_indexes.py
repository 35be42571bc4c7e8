"""Each index serves the query that its comment names, and each foreign key has an index."""

import re

from database import Database

# Enough rows that an index is the cheaper way, in tenants enough that their id alone is not.
# Loaded as a bulk load is, without the triggers: the audit would write each row a second time.
ROWS = """
    SET session_replication_role = replica;
    INSERT INTO docmeta.import_batches (tenant_id, source_kind)
        SELECT 1 + n % 5, 'upload' FROM generate_series(1, 10000) n;
    INSERT INTO docmeta.hash_index
        (tenant_id, sha256, size_bytes, orphaned_at, verify_status, last_verified_at)
        SELECT 1 + n % 5, sha256(n::text::bytea), n,
            CASE WHEN n % 100 = 0 THEN now() - n * interval '1 h' END,
            'match', now() - n * interval '1 h'
        FROM generate_series(1, 20000) n;
    INSERT INTO docmeta.documents
        (tenant_id, content_sha256, filename, source_system, source_id, deleted_at, deleted_by)
        SELECT 1 + n % 5, sha256(n::text::bytea), n, 's', n,
            CASE WHEN n % 20 = 0 THEN now() - n * interval '1 h' END,
            CASE WHEN n % 20 = 0 THEN 'bob' END
        FROM generate_series(1, 20000) n;
    UPDATE docmeta.documents d SET batch_id = b.id FROM docmeta.import_batches b
        WHERE b.tenant_id = d.tenant_id AND b.id % 1000 = d.id % 1000;
    INSERT INTO docmeta.duplicate_log
        (tenant_id, existing_document_id, sha256, size_bytes, filename, decision)
        SELECT tenant_id, id, content_sha256, 1, 'a', 'linked' FROM docmeta.documents;
    INSERT INTO docmeta.document_classifications
        (tenant_id, document_id, category, source, model_name, model_version, is_primary)
        SELECT tenant_id, id, 'c' || id % 50 + i, 'model', 'm' || i, '1', i = 1
        FROM docmeta.documents, generate_series(1, 3) i;
    INSERT INTO docmeta.tags (tenant_id, name)
        SELECT 1 + n % 5, 'tag ' || n FROM generate_series(1, 2000) n;
    INSERT INTO docmeta.document_tags (tenant_id, document_id, tag_id)
        SELECT d.tenant_id, d.id, t.id FROM docmeta.documents d
        JOIN docmeta.tags t ON t.tenant_id = d.tenant_id AND t.id % 400 = d.id % 400;
    INSERT INTO docmeta.audit_log
        (tenant_id, entity_type, entity_id, document_id, action, old_row, occurred_at)
        SELECT tenant_id, 'documents', id, id, 'delete', '{}', now() - i * interval '1 day'
        FROM generate_series(10, 1, -1) i, docmeta.documents;
    INSERT INTO docmeta.error_log
        (tenant_id, batch_id, document_id, stage, error_class, message, retryable,
        next_retry_at, occurred_at, resolved_at, resolved_by, resolution)
        SELECT d.tenant_id, d.batch_id, d.id, 'fetch', 'E', 'm', d.id % 100 = 0,
            CASE WHEN d.id % 100 = 0 THEN now() - d.id * interval '1 min' END,
            now() - i * interval '1 day',
            CASE WHEN d.id % 10 > 0 THEN now() END, CASE WHEN d.id % 10 > 0 THEN 'bob' END,
            CASE WHEN d.id % 10 > 0 THEN 'retried' END
        FROM generate_series(5, 1, -1) i, docmeta.documents d;
    RESET session_replication_role;
    ANALYZE;
"""

UNINDEXED_ON_PURPOSE: dict[str, str] = {}


def test_each_index_serves_the_query_of_its_comment(docs: Database) -> None:
    """The plan is the one for unknown arguments, as a prepared statement gets it."""
    docs.query(ROWS)
    docs.query("SET plan_cache_mode = force_generic_plan")
    docs.query("SET enable_partition_pruning = off")  # the arguments below would lie in none
    indexes = docs.query("""
        SELECT relname, obj_description(oid, 'pg_class'), ARRAY(
            SELECT relid::regclass::text FROM pg_partition_tree(i.oid) WHERE isleaf
                AND pg_relation_size(relid) > 0
            UNION SELECT relname
        ) FROM pg_class i
        WHERE relnamespace = 'docmeta'::regnamespace AND relkind IN ('i', 'I')
            AND NOT relispartition AND oid NOT IN (SELECT conindid FROM pg_constraint)
        ORDER BY relname
    """)
    assert len(indexes) > 10
    unused = {}
    for index, comment, parts in indexes:
        assert comment, f"{index} has no comment that names its query"
        _, _, query = comment.partition(": ")
        assert query.startswith("SELECT "), f"the comment on {index} names no query"
        arguments = ", ".join(["NULL"] * len(set(re.findall(r"\$\d", query))))
        docs.query(f"PREPARE served AS {query}")
        plan = "\n".join(row for (row,) in docs.query(f"EXPLAIN EXECUTE served ({arguments})"))
        docs.query("DEALLOCATE served")
        if not re.search(rf"\b({'|'.join(part.split('.')[-1] for part in parts)})\b", plan):
            unused[index] = plan
    assert not unused, "\n\n".join(
        f"{index} is not used:\n{plan}" for index, plan in unused.items()
    )


def test_newest_first_is_the_primary_key_read_backwards(docs: Database) -> None:
    docs.query(ROWS)
    for table in ("documents", "import_batches", "error_log", "audit_log"):
        plan = docs.query(
            f"EXPLAIN SELECT * FROM docmeta.{table} WHERE tenant_id = 1 AND id < 9000 "
            "ORDER BY id DESC LIMIT 50"
        )
        text = "\n".join(row for (row,) in plan)
        assert re.search(rf"Index Scan Backward using {table}_(first_)?pkey", text)
        assert not re.search(r"^(  ->  )?Sort|Seq Scan", text.replace("Sort Key", ""), re.M)


def test_all_foreign_keys_are_indexed(docs: Database) -> None:
    """An index must begin with the columns of the key, and may leave out only their nulls."""
    unindexed = docs.query("""
        SELECT conname FROM pg_constraint c
        WHERE contype = 'f' AND connamespace = 'docmeta'::regnamespace AND NOT EXISTS (
            SELECT FROM pg_index i
            WHERE indrelid = conrelid AND indisvalid
                AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
                AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$')
        )
        ORDER BY conname
    """)
    assert {name for (name,) in unindexed} == set(UNINDEXED_ON_PURPOSE)
