-- Takes the nine tables away, the last one made first. What they hold is parked in
-- docmeta_parked, where the next apply finds it; with no rows there is nothing to park.
-- To drop the rows for good, and what later rollbacks have parked about them, set
-- PGOPTIONS="-c docmeta.on_rollback=discard".
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
BEGIN
    IF on_rollback NOT IN ('', 'park', 'discard') THEN
        RAISE EXCEPTION 'docmeta.on_rollback must be park or discard, not "%"',
            on_rollback;
    END IF;

    IF EXISTS (
        SELECT FROM pg_catalog.pg_namespace
        JOIN pg_catalog.pg_roles ON pg_roles.oid = nspowner
        WHERE nspname = 'docmeta_parked' AND NOT (rolsuper OR rolname = current_user)
    ) THEN
        RAISE EXCEPTION 'schema docmeta_parked belongs to another role, who could drop '
            'what is parked there'
            USING HINT = format('If it is to take the rows: '
                'ALTER SCHEMA docmeta_parked OWNER TO %I', current_user);
    END IF;

    IF on_rollback = 'discard' THEN
        -- It would come back to other rows, for their ids begin anew.
        FOR table_name IN
            SELECT relname FROM pg_catalog.pg_class
            WHERE relnamespace = to_regnamespace('docmeta_parked') AND relkind = 'r'
        LOOP
            EXECUTE format('DROP TABLE docmeta_parked.%I', table_name);
        END LOOP;
        IF to_regnamespace('docmeta_parked') IS NOT NULL THEN
            DROP SCHEMA docmeta_parked;
        END IF;
        RETURN;
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
    END LOOP;

    -- An id that was once given out must not be given out again, where something parked
    -- (by this, or by the rollback of a later migration) knows it.
    IF to_regnamespace('docmeta_parked') IS NOT NULL THEN
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
