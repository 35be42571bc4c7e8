-- An edited, removed or inserted entry of audit_log can be found, whoever made it:
-- seals chain what was written, and docmeta.verify_audit_log() names the first that
-- does not fit.
--
-- Why: a hash in each row, over the one before it, would put all writers in one queue.
--     A seal hashes many entries at once, later, and nobody
--     waits. An id may be given out long before its entry is committed, so first the
--     position of the sequence is noted, then all are waited for who write at that
--     moment, and then every entry up to there is there or will never be. Only after
--     that is it hashed, under no lock that a writer or reader would meet.
--     A seal keeps 16 bytes an entry, its id and a part of its hash, or verifying could
--     say that something is wrong, and not what. It is of one month, so that retention
--     takes whole seals; that it did is sealed as well.
--     Who is superuser can make all seals anew. Keep the last sha256 of each tenant
--     where he has no access.
-- Locks: none; docmeta.drop_audit_log_months() is replaced, and drops only what is
--     sealed.
-- Rollback: lossless; it parks the seals in docmeta_parked, and the next apply puts
--     them back. What is written in between is sealed then; what retention drops in
--     between will be found missing.
--
-- depends: 0014_isolate_tenants

SET LOCAL lock_timeout = '200ms';
SET LOCAL ROLE docmeta_owner;

CREATE TABLE docmeta.audit_log_seals (
    tenant_id       bigint       NOT NULL DEFAULT 1,
    seal_no         bigint       NOT NULL,
    kind            text         NOT NULL,
    month           timestamptz  NOT NULL,
    after_id        bigint       NOT NULL,
    through_id      bigint       NOT NULL,
    entry_count     bigint       NOT NULL,
    entry_marks     bytea        NOT NULL,
    entries_sha256  bytea        NOT NULL,
    sealed_at       timestamptz  NOT NULL,
    sealed_by       text         NOT NULL,
    sha256          bytea        NOT NULL,

    CONSTRAINT audit_log_seals_pkey
        PRIMARY KEY (tenant_id, seal_no),
    CONSTRAINT audit_log_seals_seal_no_positive_check
        CHECK (seal_no > 0),
    CONSTRAINT audit_log_seals_kind_known_check
        CHECK (kind IN ('entries', 'dropped')),
    CONSTRAINT audit_log_seals_through_id_not_before_after_check
        CHECK (through_id >= after_id),
    CONSTRAINT audit_log_seals_entries_exactly_where_sealed_check
        CHECK ((kind = 'entries') = (entry_count > 0)),
    CONSTRAINT audit_log_seals_entry_count_not_negative_check
        CHECK (entry_count >= 0),
    CONSTRAINT audit_log_seals_entry_marks_16_bytes_each_check
        CHECK (octet_length(entry_marks) = 16 * entry_count),
    CONSTRAINT audit_log_seals_entry_marks_at_most_2_mb_check
        CHECK (octet_length(entry_marks) <= 2000000),
    CONSTRAINT audit_log_seals_entries_sha256_is_32_bytes_check
        CHECK (octet_length(entries_sha256) = 32),
    CONSTRAINT audit_log_seals_sealed_by_1_to_63_check
        CHECK (char_length(sealed_by) BETWEEN 1 AND 63),
    CONSTRAINT audit_log_seals_sha256_is_32_bytes_check
        CHECK (octet_length(sha256) = 32)
);

-- Hashes do not compress; the attempt would cost on each read.
ALTER TABLE docmeta.audit_log_seals ALTER COLUMN entry_marks SET STORAGE EXTERNAL;

COMMENT ON TABLE docmeta.audit_log_seals IS
    'What was in audit_log when it was sealed, hash by hash. Append-only; each seal '
    'covers the one before it of the same tenant.';
COMMENT ON COLUMN docmeta.audit_log_seals.tenant_id IS
    'Tenant that the row belongs to; 1 where there is but one.';
COMMENT ON COLUMN docmeta.audit_log_seals.seal_no IS
    'Counts from 1 within the tenant, without a gap.';
COMMENT ON COLUMN docmeta.audit_log_seals.kind IS
    'entries: seals entries; dropped: tells that retention dropped those before month.';
COMMENT ON COLUMN docmeta.audit_log_seals.month IS
    'Start of the month, by UTC, that the entries are of, or before which they were '
    'dropped.';
COMMENT ON COLUMN docmeta.audit_log_seals.after_id IS
    'The entries are those of the month with a higher id than this,';
COMMENT ON COLUMN docmeta.audit_log_seals.through_id IS
    'and none above this.';
COMMENT ON COLUMN docmeta.audit_log_seals.entry_count IS
    'How many entries were sealed; 0 where they were dropped.';
COMMENT ON COLUMN docmeta.audit_log_seals.entry_marks IS
    'For each entry, in order of id, 8 bytes of id and 8 bytes of its hash: they tell '
    'which entry does not fit. That all fit, entries_sha256 tells.';
COMMENT ON COLUMN docmeta.audit_log_seals.entries_sha256 IS
    'SHA-256 of the hashes of the entries, in order of id.';
COMMENT ON COLUMN docmeta.audit_log_seals.sealed_at IS
    'When the seal was made.';
COMMENT ON COLUMN docmeta.audit_log_seals.sealed_by IS
    'The database role that had logged in.';
COMMENT ON COLUMN docmeta.audit_log_seals.sha256 IS
    'SHA-256 of all the other columns and of the sha256 of the seal before.';

CREATE TRIGGER audit_log_seals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON docmeta.audit_log_seals
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('append-only');
ALTER TABLE docmeta.audit_log_seals ENABLE ALWAYS TRIGGER audit_log_seals_append_only;
COMMENT ON TRIGGER audit_log_seals_append_only ON docmeta.audit_log_seals IS
    'A seal is made once.';

ALTER TABLE docmeta.audit_log_seals ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_log_seals_tenant ON docmeta.audit_log_seals
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY audit_log_seals_tenant ON docmeta.audit_log_seals IS
    'The tenant of docmeta.tenant_id alone.';


-- What is hashed ----------------------------------------------------------------------

-- A text that no setting (time zone, date style, output of floats or bytes) and no
-- order of columns has a part in. Columns are told apart, and null from 'null', by
-- JSON. Bound when it is created, so no search_path matters, and inlined where it is
-- called.
CREATE FUNCTION docmeta.audit_log_hash(entry docmeta.audit_log)
    RETURNS bytea
    LANGUAGE sql STABLE
    RETURN sha256(convert_to(jsonb_build_array(
        entry.tenant_id, entry.id, extract(epoch FROM entry.occurred_at),
        entry.entity_type, entry.entity_id, entry.document_id, entry.action,
        entry.old_row::text, entry.new_row::text, entry.actor, entry.db_user,
        entry.request_id, entry.transaction_id::text
    )::text, 'UTF8'));
REVOKE ALL ON FUNCTION docmeta.audit_log_hash(docmeta.audit_log) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.audit_log_hash(docmeta.audit_log) IS
    'SHA-256 of an entry, the same under all settings.';

CREATE FUNCTION docmeta.audit_log_seal_hash(seal docmeta.audit_log_seals, former bytea)
    RETURNS bytea
    LANGUAGE sql STABLE
    RETURN sha256(convert_to(jsonb_build_array(
        seal.tenant_id, seal.seal_no, seal.kind, extract(epoch FROM seal.month),
        seal.after_id, seal.through_id, seal.entry_count,
        encode(sha256(seal.entry_marks), 'hex'), encode(seal.entries_sha256, 'hex'),
        extract(epoch FROM seal.sealed_at), seal.sealed_by, encode(former, 'hex')
    )::text, 'UTF8'));
REVOKE ALL ON FUNCTION docmeta.audit_log_seal_hash(docmeta.audit_log_seals, bytea)
    FROM PUBLIC;
COMMENT ON FUNCTION docmeta.audit_log_seal_hash(docmeta.audit_log_seals, bytea) IS
    'The sha256 that a seal must have, given that of the seal before; null for the '
    'first.';

-- The first column of the key tells the tenants in as many steps as there are.
CREATE FUNCTION docmeta.audit_log_tenants()
    RETURNS SETOF bigint
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $tenants$
    WITH RECURSIVE found (tenant_id) AS (
        SELECT min(tenant_id) FROM docmeta.audit_log
        UNION ALL
        SELECT (
            SELECT min(entry.tenant_id) FROM docmeta.audit_log AS entry
            WHERE entry.tenant_id > found.tenant_id
        )
        FROM found WHERE tenant_id IS NOT NULL
    )
    SELECT tenant_id FROM found WHERE tenant_id IS NOT NULL
    UNION
    SELECT tenant_id FROM docmeta.audit_log_seals
    ORDER BY 1;
$tenants$;
REVOKE ALL ON FUNCTION docmeta.audit_log_tenants() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.audit_log_tenants() IS
    'The tenants that have an entry or a seal, of those that the caller may see.';

-- All tenants are sealed at once: an entry of any up to there is in a seal, or was put
-- there later.
CREATE FUNCTION docmeta.sealed_audit_log_id()
    RETURNS bigint
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $sealed$
    SELECT coalesce(max(through_id), 0) FROM docmeta.audit_log_seals;
$sealed$;
REVOKE ALL ON FUNCTION docmeta.sealed_audit_log_id() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.sealed_audit_log_id() IS
    'The id up to which the entries of all tenants are sealed; 0 where none is.';


-- Sealing -----------------------------------------------------------------------------

CREATE FUNCTION docmeta.append_audit_log_seal(seal docmeta.audit_log_seals)
    RETURNS docmeta.audit_log_seals
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $append$
DECLARE
    last_no     bigint;
    last_sha256 bytea;
BEGIN
    SELECT seal_no, sha256 INTO last_no, last_sha256
    FROM docmeta.audit_log_seals
    WHERE tenant_id = seal.tenant_id
    ORDER BY seal_no DESC LIMIT 1;

    seal.seal_no := coalesce(last_no, 0) + 1;
    seal.sealed_at := clock_timestamp();
    seal.sealed_by := session_user;
    seal.sha256 := docmeta.audit_log_seal_hash(seal, last_sha256);
    INSERT INTO docmeta.audit_log_seals VALUES (seal.*);
    RETURN seal;
END
$append$;
REVOKE ALL ON FUNCTION docmeta.append_audit_log_seal(docmeta.audit_log_seals)
    FROM PUBLIC;
COMMENT ON FUNCTION docmeta.append_audit_log_seal(docmeta.audit_log_seals) IS
    'Adds a seal to its tenant''s chain.';

CREATE FUNCTION docmeta.seal_audit_log(patience interval DEFAULT '10 s')
    RETURNS TABLE (tenant_id bigint, seal_no bigint, entry_count bigint, sha256 bytea)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_sort = off
    SET jit = off
AS $seal$
#variable_conflict use_column
DECLARE
    at_once  CONSTANT bigint := 100000;
    give_up  CONSTANT timestamptz := clock_timestamp() + patience;
    given    bigint;
    sealed   bigint;
    writers  text[];
    waiting  text;
    tenant   bigint;
    since    bigint;
    through  bigint;
    number   bigint;
    seal     docmeta.audit_log_seals;
BEGIN
    -- Another snapshot would not show what those have written who are waited for.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'seal_audit_log must run in a READ COMMITTED transaction'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- Ids that a session keeps for later would come to lie before what is sealed.
    IF (SELECT seqcache FROM pg_sequence
        WHERE seqrelid = 'docmeta.audit_log_id_seq'::regclass) > 1
    THEN
        RAISE EXCEPTION 'docmeta.audit_log_id_seq has a cache'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'ALTER SEQUENCE docmeta.audit_log_id_seq CACHE 1';
    END IF;

    -- One at a time; who reads seals does not wait.
    LOCK TABLE docmeta.audit_log_seals IN SHARE ROW EXCLUSIVE MODE;
    sealed := docmeta.sealed_audit_log_id();
    given := (SELECT last_value FROM docmeta.audit_log_id_seq WHERE is_called);
    IF given IS NULL OR given <= sealed THEN
        RETURN;
    END IF;

    -- Who has taken an id up to there had locked the table before, and keeps that lock
    -- until what he wrote is committed or gone.
    writers := ARRAY(
        SELECT DISTINCT virtualtransaction FROM pg_locks
        WHERE relation IN (SELECT relid FROM pg_partition_tree('docmeta.audit_log'))
            AND database =
                (SELECT oid FROM pg_database WHERE datname = current_database())
            AND pg_locks.mode = 'RowExclusiveLock' AND granted
            AND pid IS DISTINCT FROM pg_backend_pid()
    );
    LOOP
        waiting := (
            SELECT string_agg(DISTINCT coalesce(pid::text, 'a prepared one'), ', ')
            FROM pg_locks
            WHERE virtualtransaction = ANY (writers)
                AND relation IN (
                    SELECT relid FROM pg_partition_tree('docmeta.audit_log')
                )
                AND pg_locks.mode = 'RowExclusiveLock' AND granted
        );
        EXIT WHEN waiting IS NULL;
        IF clock_timestamp() > give_up THEN
            RAISE EXCEPTION 'after % these still write to docmeta.audit_log: %',
                patience, waiting
                USING ERRCODE = 'lock_not_available',
                    DETAIL = 'What they write may lie before what would be sealed.',
                    HINT = 'Nothing was sealed. Call again, or end these sessions.';
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;

    FOR tenant IN SELECT * FROM docmeta.audit_log_tenants() LOOP
        since := sealed;
        LOOP
            -- Up the key, which enable_sort sees to: the statistics are of before these
            -- entries, and by them it would seem cheaper to sort all that are left, for
            -- each seal anew. What cannot but sort would then look worth compiling.
            SELECT count(*), max(next.id) INTO number, through
            FROM (
                SELECT entry.id FROM docmeta.audit_log AS entry
                WHERE entry.tenant_id = tenant
                    AND entry.id > since AND entry.id <= given
                ORDER BY entry.id LIMIT at_once
            ) AS next;
            EXIT WHEN number = 0;
            IF number < at_once THEN
                through := given;
            END IF;

            FOR seal IN
                SELECT tenant, NULL, 'entries', hashed.month, since, through, count(*),
                    string_agg(int8send(hashed.id) || substr(hashed.hash, 1, 8), ''
                        ORDER BY hashed.id, hashed.occurred_at),
                    sha256(string_agg(hashed.hash, ''
                        ORDER BY hashed.id, hashed.occurred_at)),
                    NULL, NULL, NULL
                FROM (
                    SELECT entry.id, entry.occurred_at,
                        date_trunc('month', entry.occurred_at, 'UTC') AS month,
                        docmeta.audit_log_hash(entry) AS hash
                    FROM docmeta.audit_log AS entry
                    WHERE entry.tenant_id = tenant
                        AND entry.id > since AND entry.id <= through
                    OFFSET 0 -- or the hash would be computed once for each use
                ) AS hashed
                GROUP BY hashed.month ORDER BY hashed.month
            LOOP
                seal := docmeta.append_audit_log_seal(seal);
                RETURN QUERY
                    SELECT seal.tenant_id, seal.seal_no, seal.entry_count, seal.sha256;
            END LOOP;
            since := through;
        END LOOP;
    END LOOP;
END
$seal$;
REVOKE ALL ON FUNCTION docmeta.seal_audit_log(interval) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.seal_audit_log(interval) IS
    'Seals all entries of all tenants that are not sealed yet, and returns the seals. '
    'First waits for those who write at that moment, no longer than patience. Writers '
    'and readers do not wait. Call it daily, and keep the last sha256 elsewhere.';


-- Verifying ---------------------------------------------------------------------------

CREATE FUNCTION docmeta.verify_audit_log()
    RETURNS TABLE (
        tenant_id bigint, finding text, seal_no bigint, entry_id bigint, told text
    )
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $verify$
#variable_conflict use_column
DECLARE
    seal         docmeta.audit_log_seals;
    former       docmeta.audit_log_seals;
    tenant       bigint;
    sealed       bigint;
    dropped      timestamptz;
    dropped_no   bigint;
    is_dropped   boolean;
    seen         bigint;
    number       bigint;
    total_sha256 bytea;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'verify_audit_log must run in a READ COMMITTED transaction'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- Or retention could drop a month that the seals as read here have still.
    LOCK TABLE docmeta.audit_log IN ACCESS SHARE MODE;
    sealed := docmeta.sealed_audit_log_id();

    <<tenants>>
    FOR tenant IN SELECT * FROM docmeta.audit_log_tenants() LOOP
        tenant_id := tenant;
        seal_no := NULL;
        entry_id := NULL;

        -- The chain, from its first seal on.
        former := NULL;
        dropped_no := 0;
        FOR seal IN
            SELECT * FROM docmeta.audit_log_seals AS s
            WHERE s.tenant_id = tenant AND s.through_id <= sealed ORDER BY s.seal_no
        LOOP
            seal_no := seal.seal_no;
            IF seal.seal_no <> coalesce(former.seal_no, 0) + 1 THEN
                finding := 'seal removed';
                seal_no := coalesce(former.seal_no, 0) + 1;
                told := format('seal %s is gone, %s is there', seal_no, seal.seal_no);
                RETURN NEXT;
                CONTINUE tenants;
            ELSIF seal.sha256 <> docmeta.audit_log_seal_hash(seal, former.sha256) THEN
                finding := 'seal edited';
                told := format('seal %s has not the hash of what it says', seal_no);
                RETURN NEXT;
                CONTINUE tenants;
            ELSIF seal.kind = 'dropped' THEN
                dropped := seal.month;
                dropped_no := seal.seal_no;
            END IF;
            former := seal;
        END LOOP;

        -- What the seals hold. Of months that were dropped nothing need be there; what
        -- is there must have been sealed.
        seen := 0;
        FOR seal IN
            SELECT * FROM docmeta.audit_log_seals AS s
            WHERE s.tenant_id = tenant AND s.kind = 'entries' AND s.through_id <= sealed
            ORDER BY s.seal_no
        LOOP
            SELECT count(*),
                sha256(string_agg(docmeta.audit_log_hash(entry), ''
                    ORDER BY entry.id, entry.occurred_at))
            INTO number, total_sha256
            FROM docmeta.audit_log AS entry
            WHERE entry.tenant_id = tenant
                AND entry.id > seal.after_id AND entry.id <= seal.through_id
                AND entry.occurred_at >= seal.month
                AND entry.occurred_at < (
                    (seal.month AT TIME ZONE 'UTC' + interval '1 month')
                    AT TIME ZONE 'UTC'
                );
            seen := seen + number;
            CONTINUE WHEN total_sha256 = seal.entries_sha256;
            is_dropped := seal.seal_no < dropped_no AND seal.month < dropped;
            CONTINUE WHEN number = 0 AND is_dropped;

            seal_no := seal.seal_no;
            WITH sealed_mark AS (
                SELECT substr(whole.marks, 16 * n::integer + 1, 16) AS mark
                FROM (SELECT seal.entry_marks || '' OFFSET 0) AS whole (marks),
                    generate_series(0, seal.entry_count - 1) AS n
            ), found_mark AS (
                SELECT int8send(entry.id) || substr(docmeta.audit_log_hash(entry), 1, 8)
                    AS mark
                FROM docmeta.audit_log AS entry
                WHERE entry.tenant_id = tenant
                    AND entry.id > seal.after_id AND entry.id <= seal.through_id
                    AND date_trunc('month', entry.occurred_at, 'UTC') = seal.month
            ), gone AS (
                TABLE sealed_mark EXCEPT ALL TABLE found_mark
            ), come AS (
                TABLE found_mark EXCEPT ALL TABLE sealed_mark
            )
            SELECT misfit.finding, misfit.id INTO finding, entry_id
            FROM (
                SELECT id,
                    CASE
                        WHEN come.id IS NOT NULL AND gone.id IS NOT NULL THEN 'edited'
                        WHEN come.id IS NOT NULL THEN 'inserted'
                        -- Its time was edited, and it lies in another month.
                        WHEN EXISTS (
                            SELECT FROM docmeta.audit_log AS entry
                            WHERE entry.tenant_id = tenant AND entry.id = gone.id
                        ) THEN 'edited'
                        ELSE 'removed'
                    END AS finding
                FROM (
                    SELECT ('x' || encode(substr(mark, 1, 8), 'hex'))::bit(64)::bigint
                    FROM gone
                ) AS gone (id)
                FULL JOIN (
                    SELECT ('x' || encode(substr(mark, 1, 8), 'hex'))::bit(64)::bigint
                    FROM come
                ) AS come (id) USING (id)
                WHERE come.id IS NOT NULL OR NOT is_dropped
            ) AS misfit
            ORDER BY misfit.id LIMIT 1;

            CONTINUE WHEN finding IS NULL AND is_dropped;
            finding := coalesce(finding, 'edited');
            told := format('entry %s was %s after seal %s', entry_id, finding, seal_no);
            RETURN NEXT;
            CONTINUE tenants;
        END LOOP;

        -- What lies where all was sealed, and in no seal.
        number := (
            SELECT count(*) FROM docmeta.audit_log AS entry
            WHERE entry.tenant_id = tenant AND entry.id <= sealed
        );
        IF number > seen THEN
            finding := 'inserted';
            seal_no := NULL;
            entry_id := (
                SELECT min(entry.id) FROM docmeta.audit_log AS entry
                WHERE entry.tenant_id = tenant AND entry.id <= sealed AND NOT EXISTS (
                    SELECT FROM docmeta.audit_log_seals AS s
                    WHERE s.tenant_id = tenant AND s.kind = 'entries'
                        AND entry.id > s.after_id AND entry.id <= s.through_id
                        AND date_trunc('month', entry.occurred_at, 'UTC') = s.month
                )
            );
            told := format('entry %s is in no seal, but those after it are', entry_id);
            RETURN NEXT;
        END IF;
    END LOOP;
END
$verify$;
REVOKE ALL ON FUNCTION docmeta.verify_audit_log() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.verify_audit_log() IS
    'Compares the sealed entries with their seals, from the oldest on that retention '
    'has left, and returns for each tenant the first thing that does not fit: a seal '
    'removed or edited, or an entry removed, edited or inserted. No row: all is as it '
    'was sealed. It sees what the caller may see.';


-- Retention ---------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION docmeta.drop_audit_log_months(keep interval)
    RETURNS SETOF text
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '200ms'
    SET timezone = 'UTC'
AS $retain$
DECLARE
    sealed      bigint;
    past        record;
    is_sealed   boolean;
    before      timestamptz;
    tenant      bigint;
BEGIN
    -- As moments: as intervals, a year is 360 days.
    IF keep IS NULL OR clock_timestamp() - keep > clock_timestamp() - interval '1 month'
    THEN
        RAISE EXCEPTION 'keep must be an interval of 1 month or more, not %',
            coalesce(keep::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    LOCK TABLE docmeta.audit_log_seals IN SHARE ROW EXCLUSIVE MODE;
    sealed := docmeta.sealed_audit_log_id();

    FOR past IN
        SELECT partition_name, ends_at FROM (
            SELECT partition_name, ends_at, max(ends_at) OVER () AS last_end
            FROM docmeta.audit_log_partitions()
        ) AS every
        WHERE ends_at <= clock_timestamp() - keep AND ends_at < last_end
        ORDER BY ends_at
    LOOP
        -- Nobody writes to a month that is past; if somebody does, not now.
        EXECUTE format('LOCK TABLE docmeta.%I IN SHARE MODE', past.partition_name);
        EXECUTE format(
            'WITH RECURSIVE found (tenant_id) AS ('
            '    SELECT min(tenant_id) FROM docmeta.%1$I UNION ALL'
            '    SELECT (SELECT min(entry.tenant_id) FROM docmeta.%1$I AS entry'
            '        WHERE entry.tenant_id > found.tenant_id)'
            '    FROM found WHERE tenant_id IS NOT NULL'
            ') SELECT NOT EXISTS (SELECT FROM found WHERE %2$s < ('
            '    SELECT max(id) FROM docmeta.%1$I AS entry'
            '    WHERE entry.tenant_id = found.tenant_id))',
            past.partition_name, sealed) INTO is_sealed;
        IF NOT is_sealed THEN
            RAISE WARNING 'docmeta.% has entries that are not sealed',
                past.partition_name
                USING HINT = 'SELECT * FROM docmeta.seal_audit_log()';
            EXIT;
        END IF;
        EXECUTE format('DROP TABLE docmeta.%I', past.partition_name);
        before := past.ends_at;
        RETURN NEXT past.partition_name;
    END LOOP;

    IF before IS NOT NULL THEN
        FOR tenant IN
            SELECT DISTINCT tenant_id FROM docmeta.audit_log_seals ORDER BY tenant_id
        LOOP
            PERFORM docmeta.append_audit_log_seal(ROW(
                tenant, NULL, 'dropped', before, sealed, sealed, 0, '', sha256(''),
                NULL, NULL, NULL
            )::docmeta.audit_log_seals);
        END LOOP;
    END IF;
END
$retain$;
COMMENT ON FUNCTION docmeta.drop_audit_log_months(interval) IS
    'Drops the partitions of docmeta.audit_log that ended longer than keep ago and are '
    'sealed, but never the last, seals that it did, and returns their names. There is '
    'no other way to remove an entry. Readers and writers wait for as long as rows of '
    'the catalog take to write.';


-- Who may -----------------------------------------------------------------------------

GRANT SELECT
    ON docmeta.audit_log_seals
    TO docmeta_auditor;

GRANT EXECUTE
    ON FUNCTION docmeta.verify_audit_log(),
        docmeta.audit_log_tenants(),
        docmeta.sealed_audit_log_id(),
        docmeta.audit_log_hash(docmeta.audit_log),
        docmeta.audit_log_seal_hash(docmeta.audit_log_seals, bytea)
    TO docmeta_auditor;

GRANT EXECUTE
    ON FUNCTION docmeta.seal_audit_log(interval)
    TO docmeta_retention;


-- The seals that a rollback of this migration parked come back, as 0001 does it.
RESET ROLE;

DO $restore$
DECLARE
    parked_by text := (
        SELECT nspowner::regrole FROM pg_catalog.pg_namespace
        WHERE nspname = 'docmeta_parked'
    );
BEGIN
    IF to_regclass('docmeta_parked.audit_log_seals') IS NULL THEN
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

    LOCK TABLE docmeta_parked.audit_log_seals;
    INSERT INTO docmeta.audit_log_seals (
        tenant_id, seal_no, kind, month, after_id, through_id, entry_count, entry_marks,
        entries_sha256, sealed_at, sealed_by, sha256
    )
    SELECT
        tenant_id, seal_no, kind, month, after_id, through_id, entry_count, entry_marks,
        entries_sha256, sealed_at, sealed_by, sha256
    FROM docmeta_parked.audit_log_seals;
    DROP TABLE docmeta_parked.audit_log_seals;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relnamespace = 'docmeta_parked'::regnamespace
    ) THEN
        DROP SCHEMA docmeta_parked;
    END IF;
END
$restore$;
