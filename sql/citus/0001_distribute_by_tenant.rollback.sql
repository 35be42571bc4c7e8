-- The tables are plain ones again, with the rows of all nodes.

SET LOCAL lock_timeout = '200ms';

-- Citus takes the tables that refer to one another back together, so that a table may
-- be plain already when its turn comes.
DO $undistribute$
DECLARE
    table_name text;
BEGIN
    FOREACH table_name IN ARRAY ARRAY[
        'error_log', 'audit_log', 'document_tags', 'tags', 'document_classifications',
        'duplicate_log', 'documents', 'hash_index', 'import_batches'
    ] LOOP
        IF EXISTS (
            SELECT FROM pg_catalog.pg_dist_partition
            WHERE logicalrelid = ('docmeta.' || table_name)::regclass
        ) THEN
            PERFORM undistribute_table(
                ('docmeta.' || table_name)::regclass,
                cascade_via_foreign_keys => true
            );
        END IF;
    END LOOP;
END
$undistribute$;
