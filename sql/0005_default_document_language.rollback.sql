-- Lets language be null again. By now the backfill has been rolled back: what is left
-- in language_backfill is what writers met between the two, and what has a language
-- since. It is parked in docmeta_parked, where the next apply finds it. To forget it,
-- set PGOPTIONS="-c docmeta.on_rollback=discard".
--
-- A rollback drops what the migration made; that is no oversight.
-- squawk-ignore-file ban-drop-table, ban-drop-function
-- squawk-ignore-file ban-drop-constraint, ban-drop-default

SET LOCAL lock_timeout = '200ms';

-- A policy would hide rows from the copy: then better an error.
SET LOCAL row_security = off;

-- A document that the trigger fills between the copy and its end must not be missed.
LOCK TABLE docmeta.documents, docmeta.language_backfill IN ACCESS EXCLUSIVE MODE;

DO $park$
DECLARE
    on_rollback text := current_setting('docmeta.on_rollback', true);
BEGIN
    IF on_rollback = 'discard' THEN
        RETURN;
    ELSIF on_rollback NOT IN ('', 'park') THEN
        RAISE EXCEPTION 'docmeta.on_rollback must be park or discard, not "%"',
            on_rollback;
    ELSIF NOT EXISTS (SELECT FROM docmeta.language_backfill) THEN
        RETURN;
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

    IF to_regnamespace('docmeta_parked') IS NULL THEN
        CREATE SCHEMA docmeta_parked;
        COMMENT ON SCHEMA docmeta_parked IS
            'Rows that a rollback took out; the next apply puts them back.';
    END IF;
    CREATE TABLE docmeta_parked.language_backfill AS TABLE docmeta.language_backfill;
END
$park$;

DROP TRIGGER documents_fill_language ON docmeta.documents;

ALTER TABLE docmeta.documents
    DROP CONSTRAINT documents_language_not_null_check,
    ALTER COLUMN language DROP DEFAULT;

-- As the backfill does it: neither updated_at nor row_version moves.
SET LOCAL docmeta.backfill = 'on';

UPDATE docmeta.documents d
SET language = NULL
FROM docmeta.language_backfill b
WHERE d.tenant_id = b.tenant_id AND d.id = b.document_id AND d.language = 'und';

COMMENT ON COLUMN docmeta.documents.language IS
    'BCP 47 tag, such as de or pt-BR; null while unknown.';

DROP FUNCTION docmeta.fill_document_language();

DROP TABLE docmeta.language_backfill;
