-- Takes the nine tables away, the last one made first. What they hold is parked in
-- docmeta_parked, where the next apply finds it; with no rows there is nothing to park.
-- To drop the rows for good, set PGOPTIONS="-c docmeta.on_rollback=discard".
--
-- A rollback drops what the migration made; that is no oversight.
-- squawk-ignore-file ban-drop-table, ban-drop-schema

SET LOCAL lock_timeout = '200ms';

-- A policy would hide rows from the copy: then better an error.
SET LOCAL row_security = off;

-- Before the copy, or a row that is committed between copy and drop is lost; in the
-- order in which writers reach the tables, or the two could wait for each other.
LOCK TABLE
    docmeta.hash_index,
    docmeta.documents,
    docmeta.import_batches,
    docmeta.audit_log,
    docmeta.document_classifications,
    docmeta.document_tags,
    docmeta.tags,
    docmeta.duplicate_log,
    docmeta.error_log
    IN ACCESS EXCLUSIVE MODE;

DO $park$
DECLARE
    on_rollback text := current_setting('docmeta.on_rollback', true);
    table_names text[] := ARRAY[
        'import_batches', 'hash_index', 'documents', 'duplicate_log',
        'document_classifications', 'tags', 'document_tags', 'audit_log', 'error_log'
    ];
    table_name text;
    has_rows boolean;
    something_parked boolean := false;
BEGIN
    IF on_rollback = 'discard' THEN
        RETURN;
    ELSIF on_rollback NOT IN ('', 'park') THEN
        RAISE EXCEPTION 'docmeta.on_rollback must be park or discard, not "%"',
            on_rollback;
    END IF;

    FOREACH table_name IN ARRAY table_names LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM docmeta.%I)', table_name)
            INTO has_rows;
        CONTINUE WHEN NOT has_rows;

        IF to_regnamespace('docmeta_parked') IS NULL THEN
            CREATE SCHEMA docmeta_parked;
            COMMENT ON SCHEMA docmeta_parked IS
                'Rows that a rollback took out; the next apply puts them back.';
        END IF;
        EXECUTE format(
            'CREATE TABLE docmeta_parked.%1$I AS TABLE docmeta.%1$I', table_name
        );
        something_parked := true;
    END LOOP;

    -- An id that was once given out must not be given out again.
    IF something_parked THEN
        CREATE TABLE docmeta_parked.sequences (
            of_table   text    NOT NULL,
            last_value bigint  NOT NULL,
            is_called  boolean NOT NULL
        );
        FOR table_name IN
            SELECT relname FROM pg_catalog.pg_attribute
            JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = 'docmeta'::regnamespace
                AND relname = ANY (table_names) AND attidentity <> ''
        LOOP
            EXECUTE format(
                'INSERT INTO docmeta_parked.sequences '
                'SELECT %L, last_value, is_called FROM %s',
                table_name, pg_get_serial_sequence('docmeta.' || table_name, 'id')
            );
        END LOOP;
    END IF;
END
$park$;

DROP TABLE docmeta.error_log;
DROP TABLE docmeta.audit_log;
DROP TABLE docmeta.document_tags;
DROP TABLE docmeta.tags;
DROP TABLE docmeta.document_classifications;
DROP TABLE docmeta.duplicate_log;
DROP TABLE docmeta.documents;
DROP TABLE docmeta.hash_index;
DROP TABLE docmeta.import_batches;

DROP SCHEMA docmeta;
