-- The nine tables can outgrow one machine: Citus spreads them by tenant, and all that
-- is of one tenant lies on one node.
--
-- Why: by tenant, for every key and foreign key begins with it: a query that names its
--     tenant goes to one node, with its joins, checks and transactions. By document it
--     would be spread more evenly, but tags, contents and batches belong to many, and
--     would have to be copied to every node. Not reference tables, for that reason:
--     there is none that all tenants share. One tenant cannot be larger than a node.
--     This file lies in a folder of its own, which yoyo passes over in sql/: PostgreSQL
--     alone cannot run it. Citus refuses tables that have triggers unless
--     citus.enable_unsafe_triggers is on, so it comes before 0002_record_changes.
-- Locks: docmeta.import_batches, docmeta.hash_index, docmeta.documents,
--     docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
--     docmeta.document_tags, docmeta.audit_log and docmeta.error_log EXCLUSIVE, for as
--     long as their rows take to copy to the nodes: readers go on, writers wait.
-- Rollback: lossless; the rows are copied back into plain tables.
--
-- depends: 0001_initial_schema

SET LOCAL lock_timeout = '200ms';

DO $citus$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus') THEN
        RAISE EXCEPTION 'the tables cannot be distributed: this database has no Citus'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'CREATE EXTENSION citus, add its nodes, and apply again.';
    END IF;
END
$citus$;

-- What is referred to before what refers to it.
SELECT create_distributed_table(
    'docmeta.import_batches', 'tenant_id', colocate_with => 'none'
);
SELECT create_distributed_table(
    'docmeta.hash_index', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.documents', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.duplicate_log', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.document_classifications', 'tenant_id',
    colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.tags', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.document_tags', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.audit_log', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
SELECT create_distributed_table(
    'docmeta.error_log', 'tenant_id', colocate_with => 'docmeta.import_batches'
);
