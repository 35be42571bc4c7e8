-- Takes needs_review out of use: documents in it become processing, and docmeta_parked
-- remembers which, for the next apply. To forget it, set PGOPTIONS="-c
-- docmeta.on_rollback=discard".
--
-- Stop first what writes needs_review: it gets an error once the old check is back. Who
-- writes other columns never does: the documents are moved before the check comes, NOT
-- VALID, and those that came meanwhile after it. Can be run again wherever it was cut
-- off.

DO $place$
DECLARE
    on_rollback text := current_setting('docmeta.on_rollback', true);
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

    IF to_regnamespace('docmeta_parked') IS NULL THEN
        CREATE SCHEMA docmeta_parked;
        COMMENT ON SCHEMA docmeta_parked IS
            'Rows that a rollback took out; the next apply puts them back.';
    END IF;
    IF to_regclass('docmeta_parked.document_status') IS NULL THEN
        CREATE TABLE docmeta_parked.document_status (
            tenant_id    bigint   NOT NULL,
            document_id  bigint   NOT NULL,
            is_moved     boolean  NOT NULL DEFAULT false,

            CONSTRAINT document_status_pkey
                PRIMARY KEY (tenant_id, document_id)
        );
    END IF;
END
$place$;

DO $move$
DECLARE
    batch_after bigint[];
    batch_began timestamptz;
    batch_moved bigint;
BEGIN
    FOR round IN 1 .. 2 LOOP
        -- Reads the table once, and locks no row of it.
        INSERT INTO docmeta_parked.document_status (tenant_id, document_id)
        SELECT tenant_id, id FROM docmeta.documents WHERE status = 'needs_review'
        ON CONFLICT DO NOTHING;
        COMMIT;

        batch_after := ARRAY[-9223372036854775808, -9223372036854775808];
        LOOP
            batch_began := clock_timestamp();
            PERFORM set_config('lock_timeout', '200ms', true),
                set_config('docmeta.backfill', 'on', true),
                set_config('docmeta.actor', '0013_validate_document_status', true);

            WITH batch AS (
                SELECT d.tenant_id, d.id FROM docmeta_parked.document_status p
                JOIN docmeta.documents d
                    ON d.tenant_id = p.tenant_id AND d.id = p.document_id
                WHERE (p.tenant_id, p.document_id) > (batch_after[1], batch_after[2])
                    AND d.status = 'needs_review'
                ORDER BY p.tenant_id, p.document_id LIMIT 500
                FOR NO KEY UPDATE OF d SKIP LOCKED
            ), moved AS (
                UPDATE docmeta.documents d
                SET status = 'processing'
                FROM batch
                WHERE d.tenant_id = batch.tenant_id AND d.id = batch.id
                RETURNING d.tenant_id, d.id
            ), remembered AS (
                UPDATE docmeta_parked.document_status p
                SET is_moved = true
                FROM moved
                WHERE p.tenant_id = moved.tenant_id AND p.document_id = moved.id
            )
            SELECT count(*), max(ARRAY[tenant_id, id]) INTO batch_moved, batch_after
            FROM moved;
            COMMIT;

            IF batch_moved > 0 THEN
                PERFORM pg_sleep(least(1,
                    extract(epoch FROM clock_timestamp() - batch_began)));
                CONTINUE;
            END IF;

            -- What is left is locked by others: once more from the beginning.
            EXIT WHEN NOT EXISTS (
                SELECT FROM docmeta_parked.document_status p
                JOIN docmeta.documents d
                    ON d.tenant_id = p.tenant_id AND d.id = p.document_id
                WHERE d.status = 'needs_review'
            );
            batch_after := ARRAY[-9223372036854775808, -9223372036854775808];
            PERFORM pg_sleep(0.2);
        END LOOP;

        IF NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint
            WHERE conrelid = 'docmeta.documents'::regclass
                AND conname = 'documents_status_known_or_needs_review_check'
        ) THEN
            PERFORM set_config('lock_timeout', '200ms', true);
            ALTER TABLE docmeta.documents
                RENAME CONSTRAINT documents_status_known_check
                TO documents_status_known_or_needs_review_check;
            ALTER TABLE docmeta.documents
                ADD CONSTRAINT documents_status_known_check
                    CHECK (status IN
                        ('received', 'processing', 'ready', 'failed', 'quarantined',
                        'archived')) NOT VALID;
            COMMIT;
        END IF;
    END LOOP;

    -- What left needs_review by itself before it was moved is not to get it back.
    DELETE FROM docmeta_parked.document_status WHERE NOT is_moved;
END
$move$;

DO $validate$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    ALTER TABLE docmeta.documents VALIDATE CONSTRAINT documents_status_known_check;
END
$validate$;

-- The longer list, which was valid while this migration was applied, is for rows to
-- come alone again.
DO $demote$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    ALTER TABLE docmeta.documents
        DROP CONSTRAINT documents_status_known_or_needs_review_check;
    ALTER TABLE docmeta.documents
        ADD CONSTRAINT documents_status_known_or_needs_review_check
            CHECK (status IN
                ('received', 'processing', 'needs_review', 'ready', 'failed',
                'quarantined', 'archived')) NOT VALID;
END
$demote$;

DO $tidy$
BEGIN
    IF current_setting('docmeta.on_rollback', true) = 'discard'
        OR NOT EXISTS (SELECT FROM docmeta_parked.document_status)
    THEN
        DROP TABLE docmeta_parked.document_status;
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relnamespace = 'docmeta_parked'::regnamespace
    ) THEN
        DROP SCHEMA docmeta_parked;
    END IF;
END
$tidy$;
