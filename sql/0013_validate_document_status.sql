-- A document can wait for a person: its status may be needs_review.
--
-- Why: first the check of the longer list is validated, then it takes the place and the
--     name of the old one, so that errors and tools go on to know it by that name. In
--     one transaction the two would keep the lock of the first until the second gets
--     its own, and read the table again at each try; so this file is none, and each
--     statement can be run again after a cut.
-- Locks: docmeta.documents ACCESS EXCLUSIVE, for the moment of the exchange; before it
--     SHARE UPDATE EXCLUSIVE, as long as it takes to read the table once, in which
--     VACUUM and other changes of the schema wait, and nobody else.
-- Rollback: lossless; documents in needs_review become processing, docmeta_parked
--     remembers which, and the next apply gives back the status of those that are
--     processing then.
--
-- depends: 0012_add_document_status
-- transactional: false

DO $validate$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    IF EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'docmeta.documents'::regclass
            AND conname = 'documents_status_known_or_needs_review_check'
    ) THEN
        ALTER TABLE docmeta.documents
            VALIDATE CONSTRAINT documents_status_known_or_needs_review_check;
    END IF;
END
$validate$;

DO $exchange$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    IF EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'docmeta.documents'::regclass
            AND conname = 'documents_status_known_or_needs_review_check'
    ) THEN
        ALTER TABLE docmeta.documents DROP CONSTRAINT documents_status_known_check;
        ALTER TABLE docmeta.documents
            RENAME CONSTRAINT documents_status_known_or_needs_review_check
            TO documents_status_known_check;
    END IF;
END
$exchange$;

-- What a rollback of this migration parked gets its status back, a batch at a time, and
-- without waiting for a document that somebody else has locked.
DO $restore$
DECLARE
    parked_by text := (
        SELECT nspowner::regrole FROM pg_catalog.pg_namespace
        WHERE nspname = 'docmeta_parked'
    );
    batch_began timestamptz;
    batch_done  bigint := 0;
BEGIN
    IF to_regclass('docmeta_parked.document_status') IS NULL THEN
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

    WHILE EXISTS (SELECT FROM docmeta_parked.document_status) LOOP
        -- What is not there any more, or is something else: at first, and when what is
        -- left is locked by others, who may be purging it.
        IF batch_done = 0 THEN
            DELETE FROM docmeta_parked.document_status p
            WHERE NOT EXISTS (
                SELECT FROM docmeta.documents d
                WHERE d.tenant_id = p.tenant_id AND d.id = p.document_id
                    AND d.status = 'processing'
            );
            COMMIT;
        END IF;

        batch_began := clock_timestamp();
        PERFORM set_config('lock_timeout', '200ms', true),
            set_config('docmeta.backfill', 'on', true),
            set_config('docmeta.actor', '0013_validate_document_status', true);

        WITH batch AS (
            SELECT d.tenant_id, d.id FROM docmeta_parked.document_status p
            JOIN docmeta.documents d
                ON d.tenant_id = p.tenant_id AND d.id = p.document_id
            ORDER BY p.tenant_id, p.document_id LIMIT 500
            FOR NO KEY UPDATE OF d SKIP LOCKED
        ), given_back AS (
            UPDATE docmeta.documents d
            SET status = 'needs_review'
            FROM batch
            WHERE d.tenant_id = batch.tenant_id AND d.id = batch.id
                AND d.status = 'processing'
        )
        DELETE FROM docmeta_parked.document_status p
        USING batch
        WHERE p.tenant_id = batch.tenant_id AND p.document_id = batch.id;
        GET DIAGNOSTICS batch_done = ROW_COUNT;
        COMMIT;
        PERFORM pg_sleep(least(1, greatest(
            extract(epoch FROM clock_timestamp() - batch_began),
            CASE batch_done WHEN 0 THEN 0.2 ELSE 0 END)));
    END LOOP;

    DROP TABLE docmeta_parked.document_status;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relnamespace = 'docmeta_parked'::regnamespace
    ) THEN
        DROP SCHEMA docmeta_parked;
    END IF;
END
$restore$;
