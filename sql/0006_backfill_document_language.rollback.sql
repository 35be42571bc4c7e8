-- Makes null again what the backfill has filled, in the same batches and as gently;
-- what has got a language since keeps it, and stays in language_backfill. Can be run
-- again wherever it was cut off.
--
-- The check of 0005 would refuse the nulls. It goes for this while, and comes back NOT
-- VALID, as it was; the trigger of 0005 fills what writers send all the time.

DO $relax$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    IF EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'docmeta.documents'::regclass
            AND conname = 'documents_language_not_null_check'
    ) THEN
        ALTER TABLE docmeta.documents
            DROP CONSTRAINT documents_language_not_null_check;
    END IF;
END
$relax$;

DO $backfill$
DECLARE
    emptied       bigint := 0;
    told_at       timestamptz := clock_timestamp();
    -- Keys (tenant_id, id): a pass or a batch begins behind one and ends with another.
    pass_after    bigint[] := ARRAY[-9223372036854775808, -9223372036854775808];
    pass_until    bigint[] := ARRAY[9223372036854775807, 9223372036854775807];
    next_after    bigint[];
    next_until    bigint[];
    batch_after   bigint[];
    batch_until   bigint[];
    batch_began   timestamptz;
    batch_emptied bigint;
    batch_locked  bigint;
    locked        bigint;
BEGIN
    LOOP
        batch_after := pass_after;
        next_after := NULL;
        locked := 0;

        LOOP
            batch_began := clock_timestamp();
            PERFORM set_config('lock_timeout', '200ms', true),
                set_config('docmeta.backfill', 'on', true),
                set_config('docmeta.actor', '0006_backfill_document_language', true);

            batch_until := coalesce(
                (
                    SELECT ARRAY[tenant_id, document_id] FROM docmeta.language_backfill
                    WHERE (tenant_id, document_id) > (batch_after[1], batch_after[2])
                        AND (tenant_id, document_id) <= (pass_until[1], pass_until[2])
                    ORDER BY tenant_id, document_id OFFSET 99 LIMIT 1
                ),
                pass_until
            );

            WITH batch AS MATERIALIZED (
                SELECT tenant_id, document_id FROM docmeta.language_backfill
                WHERE (tenant_id, document_id) > (batch_after[1], batch_after[2])
                    AND (tenant_id, document_id) <= (batch_until[1], batch_until[2])
                    AND NOT by_writer
                ORDER BY tenant_id, document_id LIMIT 100
            ), free AS (
                SELECT d.tenant_id, d.id FROM docmeta.documents d
                JOIN batch b ON d.tenant_id = b.tenant_id AND d.id = b.document_id
                WHERE d.language = 'und'
                FOR NO KEY UPDATE OF d SKIP LOCKED
            ), forgotten AS (
                DELETE FROM docmeta.language_backfill b
                USING free
                WHERE b.tenant_id = free.tenant_id AND b.document_id = free.id
            )
            UPDATE docmeta.documents d
            SET language = NULL
            FROM free
            WHERE d.tenant_id = free.tenant_id AND d.id = free.id;
            GET DIAGNOSTICS batch_emptied = ROW_COUNT;

            SELECT count(*) INTO batch_locked FROM docmeta.language_backfill b
            JOIN docmeta.documents d
                ON d.tenant_id = b.tenant_id AND d.id = b.document_id
            WHERE (b.tenant_id, b.document_id) > (batch_after[1], batch_after[2])
                AND (b.tenant_id, b.document_id) <= (batch_until[1], batch_until[2])
                AND NOT b.by_writer AND d.language = 'und';
            COMMIT;

            IF batch_locked > 0 THEN
                next_after := coalesce(next_after, batch_after);
                next_until := batch_until;
            END IF;
            locked := locked + batch_locked;
            emptied := emptied + batch_emptied;
            EXIT WHEN batch_until = pass_until;

            IF clock_timestamp() > told_at + interval '2 s' THEN
                RAISE NOTICE '% documents without a language again', emptied;
                told_at := clock_timestamp();
            END IF;
            batch_after := batch_until;
            PERFORM pg_sleep(least(1,
                extract(epoch FROM clock_timestamp() - batch_began)));
        END LOOP;

        EXIT WHEN locked = 0;
        IF clock_timestamp() > told_at + interval '2 s' THEN
            RAISE NOTICE '% documents without a language again; waiting for % that '
                'others have locked', emptied, locked;
            told_at := clock_timestamp();
        END IF;
        pass_after := next_after;
        pass_until := next_until;
        PERFORM pg_sleep(0.2);
    END LOOP;

    RAISE NOTICE '% documents without a language again', emptied;
END
$backfill$;

DO $refuse$
BEGIN
    PERFORM set_config('lock_timeout', '200ms', true);
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'docmeta.documents'::regclass
            AND conname = 'documents_language_not_null_check'
    ) THEN
        ALTER TABLE docmeta.documents
            ADD CONSTRAINT documents_language_not_null_check
                CHECK (language IS NOT NULL) NOT VALID;
    END IF;
END
$refuse$;
