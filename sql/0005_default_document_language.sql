-- A document that is written has a language, und (BCP 47, undetermined) where nobody
-- knows it, and the table language_backfill can remember which old ones had none.
--
-- Why: language is to be NOT NULL, on a big table, with writers at work. In four steps:
--     no new null comes (here), the old ones are filled (0006), a check is validated
--     (0007), and it proves NOT NULL without a scan (0008). The obvious way, one UPDATE
--     and SET NOT NULL, reads the table under ACCESS EXCLUSIVE, and fails if a null
--     came in meanwhile.
--     NOT VALID spares the old rows the scan, not the check: any UPDATE of a document
--     whose language is still null would fail for its writer, who never named the
--     column. So a trigger fills the null before the check looks. It is called for
--     nulls alone, costs other writes one comparison, and lets clients that send NULL
--     go on until 0008.
-- Locks: docmeta.documents ACCESS EXCLUSIVE, for changes of the catalog alone: a
--     default for rows to come, a check that reads no row, a trigger. Applied again
--     after a rollback, also for as long as it takes to make und again what the trigger
--     had filled before.
-- Rollback: lossless; documents that the trigger filled are null again unless their
--     language is another by then, and language_backfill is parked in docmeta_parked.
--
-- depends: 0004_index_document_search

SET LOCAL lock_timeout = '200ms';

SET LOCAL ROLE docmeta_owner;

ALTER TABLE docmeta.documents
    ALTER COLUMN language SET DEFAULT 'und',
    ADD CONSTRAINT documents_language_not_null_check
        CHECK (language IS NOT NULL) NOT VALID;

COMMENT ON COLUMN docmeta.documents.language IS
    'BCP 47 tag, such as de or pt-BR; und while unknown, null in documents that were '
    'not written since und came.';

-- No foreign key to documents: each batch of the backfill would lock and look up its
-- documents a second time, and a purged document's id never comes again.
CREATE TABLE docmeta.language_backfill (
    tenant_id    bigint   NOT NULL DEFAULT 1,
    document_id  bigint   NOT NULL,
    by_writer    boolean  NOT NULL,

    CONSTRAINT language_backfill_pkey
        PRIMARY KEY (tenant_id, document_id)
);

COMMENT ON TABLE docmeta.language_backfill IS
    'Documents whose language was null and has become und, so that a rollback can make '
    'it null again.';
COMMENT ON COLUMN docmeta.language_backfill.tenant_id IS
    'Tenant that the row belongs to; 1 where there is but one.';
COMMENT ON COLUMN docmeta.language_backfill.document_id IS
    'The document whose language was null.';
COMMENT ON COLUMN docmeta.language_backfill.by_writer IS
    'True if somebody wrote the document before the backfill came to it.';

-- Runs with its owner's rights: a writer has none on language_backfill.
CREATE FUNCTION docmeta.fill_document_language()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $fill$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.language IS NULL THEN
        INSERT INTO docmeta.language_backfill (tenant_id, document_id, by_writer)
        VALUES (NEW.tenant_id, NEW.id, true)
        ON CONFLICT DO NOTHING;
    END IF;
    NEW.language := 'und';
    RETURN NEW;
END
$fill$;

COMMENT ON FUNCTION docmeta.fill_document_language() IS
    'Makes a null language und as a document is written, and remembers it if it was '
    'null before.';

REVOKE ALL ON FUNCTION docmeta.fill_document_language() FROM PUBLIC;

-- The rollback of the backfill may write nulls; who says docmeta.backfill without being
-- it meets the check.
CREATE TRIGGER documents_fill_language
    BEFORE INSERT OR UPDATE ON docmeta.documents
    FOR EACH ROW
    WHEN (
        NEW.language IS NULL
        AND current_setting('docmeta.backfill', true) IS DISTINCT FROM 'on'
    )
    EXECUTE FUNCTION docmeta.fill_document_language();

COMMENT ON TRIGGER documents_fill_language ON docmeta.documents IS
    'No writer has to know that language is not to be null any more.';

RESET ROLE;

-- What a rollback of this migration parked comes back; what it made null is und again,
-- unless somebody has set a language meanwhile.
DO $restore$
DECLARE
    parked_by text := (
        SELECT nspowner::regrole FROM pg_catalog.pg_namespace
        WHERE nspname = 'docmeta_parked'
    );
BEGIN
    IF to_regclass('docmeta_parked.language_backfill') IS NULL THEN
        RETURN;
    END IF;

    -- To read a stranger's table can run a stranger's code.
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_roles
        WHERE oid = parked_by::regrole AND (rolsuper OR rolname = current_user)
    ) THEN
        RAISE EXCEPTION 'schema docmeta_parked belongs to %, not to the migrating role',
            parked_by
            USING HINT = format('If its rows are to come back: '
                'ALTER SCHEMA docmeta_parked OWNER TO %I', current_user);
    END IF;

    LOCK TABLE docmeta_parked.language_backfill;
    PERFORM set_config('docmeta.backfill', 'on', true);
    UPDATE docmeta.documents d
    SET language = 'und'
    FROM docmeta_parked.language_backfill p
    WHERE d.tenant_id = p.tenant_id AND d.id = p.document_id
        AND p.by_writer AND d.language IS NULL;

    INSERT INTO docmeta.language_backfill (tenant_id, document_id, by_writer)
    SELECT tenant_id, document_id, by_writer FROM docmeta_parked.language_backfill;
    DROP TABLE docmeta_parked.language_backfill;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relnamespace = 'docmeta_parked'::regnamespace
    ) THEN
        DROP SCHEMA docmeta_parked;
    END IF;
END
$restore$;
