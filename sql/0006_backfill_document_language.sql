-- Every document has a language: und where it was null.
--
-- Why: one UPDATE of the whole table keeps every row that it has met locked until its
--     end, holds VACUUM back as long, and after a failure does all again. This walks
--     the primary key, tenant by tenant, commits each batch, and rests as long as the
--     batch took. A writer who meets a row of a batch waits for its end, so a batch
--     fills no more than 100 documents, and looks at 5,000 keys at most. Cut off
--     anywhere, it is run again, and passes over what is filled.
--     A document that somebody else has locked is passed over, not waited for; further
--     passes, from the first of these to the last, go on until none is left. FOR NO KEY
--     UPDATE, for it is no hindrance that a new tag or error points to the document.
--     Neither updated_at nor row_version moves, for nobody has edited the document; the
--     audit log gets its rows all the same, with the migration as their actor.
-- Locks: none but those of a writer. Each document filled leaves a dead version behind;
--     after the run, VACUUM docmeta.documents makes their room free for use.
-- Rollback: lossless; what this filled is null again, in batches too, unless its
--     language is another by then.
--
-- depends: 0005_default_document_language
-- transactional: false

DO $backfill$
DECLARE
    estimate      constant bigint := (
        SELECT reltuples FROM pg_catalog.pg_class
        WHERE oid = 'docmeta.documents'::regclass
    );
    looked_at     bigint := 0;
    filled        bigint := 0;
    told_at       timestamptz := clock_timestamp();
    -- Keys (tenant_id, id): a pass begins behind one and ends with another.
    pass_after    bigint[] := ARRAY[-9223372036854775808, -9223372036854775808];
    pass_until    bigint[] := ARRAY[9223372036854775807, 9223372036854775807];
    next_after    bigint[];
    next_until    bigint[];
    tenant        bigint;
    tenant_until  bigint;
    batch_after   bigint;
    batch_until   bigint;
    batch_began   timestamptz;
    batch_filled  bigint;
    batch_seen    bigint;
    batch_locked  bigint;
    locked        bigint;
BEGIN
    LOOP
        tenant := (
            SELECT min(tenant_id) FROM docmeta.documents
            WHERE tenant_id >= pass_after[1]
        );
        next_after := NULL;
        locked := 0;

        -- Tenant by tenant, so that there is but one way to walk: up the primary key.
        WHILE tenant <= pass_until[1] LOOP
            batch_after :=
                CASE tenant WHEN pass_after[1] THEN pass_after[2]
                ELSE -9223372036854775808 END;
            tenant_until :=
                CASE tenant WHEN pass_until[1] THEN pass_until[2]
                ELSE 9223372036854775807 END;

            LOOP
                batch_began := clock_timestamp();
                -- These end with the batch's transaction.
                PERFORM
                    set_config('lock_timeout', '200ms', true),
                    set_config('docmeta.backfill', 'on', true),
                    set_config(
                        'docmeta.actor', '0006_backfill_document_language', true
                    );

                -- No row is locked while the end of the batch is looked for.
                batch_until := coalesce(
                    (
                        SELECT id FROM (
                            SELECT id, language FROM docmeta.documents
                            WHERE tenant_id = tenant
                                AND id > batch_after AND id <= tenant_until
                            ORDER BY id LIMIT 5000
                        ) AS next
                        WHERE language IS NULL ORDER BY id OFFSET 99 LIMIT 1
                    ),
                    (
                        SELECT id FROM docmeta.documents
                        WHERE tenant_id = tenant
                            AND id > batch_after AND id <= tenant_until
                        ORDER BY id OFFSET 4999 LIMIT 1
                    ),
                    tenant_until
                );

                WITH free AS (
                    SELECT id FROM docmeta.documents
                    WHERE tenant_id = tenant
                        AND id > batch_after AND id <= batch_until
                        AND language IS NULL
                    ORDER BY id LIMIT 100
                    FOR NO KEY UPDATE SKIP LOCKED
                ), remembered AS (
                    INSERT INTO docmeta.language_backfill
                        (tenant_id, document_id, by_writer)
                    SELECT tenant, id, false FROM free
                    ON CONFLICT DO NOTHING
                )
                UPDATE docmeta.documents d
                SET language = 'und'
                FROM free
                WHERE d.tenant_id = tenant AND d.id = free.id;
                GET DIAGNOSTICS batch_filled = ROW_COUNT;

                SELECT count(*), count(*) FILTER (WHERE language IS NULL)
                INTO batch_seen, batch_locked
                FROM docmeta.documents
                WHERE tenant_id = tenant AND id > batch_after AND id <= batch_until;
                COMMIT;

                IF batch_locked > 0 THEN
                    next_after := coalesce(next_after, ARRAY[tenant, batch_after]);
                    next_until := ARRAY[tenant, batch_until];
                END IF;
                locked := locked + batch_locked;
                filled := filled + batch_filled;
                looked_at := looked_at + batch_seen;
                EXIT WHEN batch_until = tenant_until;

                IF clock_timestamp() > told_at + interval '2 s' THEN
                    RAISE NOTICE '% documents filled, some % of % looked at',
                        filled, looked_at, coalesce(nullif(estimate, -1)::text, 'all');
                    told_at := clock_timestamp();
                END IF;
                batch_after := batch_until;
                PERFORM pg_sleep(least(1,
                    extract(epoch FROM clock_timestamp() - batch_began)));
            END LOOP;

            tenant := (
                SELECT min(tenant_id) FROM docmeta.documents WHERE tenant_id > tenant
            );
        END LOOP;

        EXIT WHEN locked = 0;
        IF clock_timestamp() > told_at + interval '2 s' THEN
            RAISE NOTICE '% documents filled; waiting for % that others have locked',
                filled, locked;
            told_at := clock_timestamp();
        END IF;
        pass_after := next_after;
        pass_until := next_until;
        PERFORM pg_sleep(0.2);
    END LOOP;

    RAISE NOTICE '% documents filled', filled;
END
$backfill$;
