-- audit_log can be kept by month, and whole months be dropped: it is partitioned, and
-- the table that was there before is its first partition, unread and uncopied.
--
-- Why: to make a partitioned table beside it and copy would stop every writer for as
--     long as the copy takes, or need triggers that write twice; to delete old rows one
--     by one costs more than it cost to write them, and leaves their room behind. No
--     month is made here: two databases that ran this file a year apart must be alike.
--     docmeta.make_audit_log_months() makes them from the clock, and on its first calls
--     ends the first partition, which reaches to infinity until then. What has no month
--     goes to the DEFAULT partition, so that no append fails.
--     Statement triggers are not cloned to partitions: each has its own, or TRUNCATE of
--     one by its own name would go through. No client has a right on one: rights are on
--     audit_log alone, and moved there as they were.
--     The identity moves: 18 attaches no table that has one. Under the lock no writer
--     is between taking an id and using it, and the new sequence goes on where the old
--     stood.
-- Locks: docmeta.audit_log ACCESS EXCLUSIVE, for as long as rows of the catalog take to
--     write: 0010 has shown that the check of 0009 holds, so no row is read.
-- Rollback: lossless; the rows of later partitions are copied back into the first,
--     under a lock that stops readers and writers while it copies, and ids go on.
--
-- squawk-ignore-file renaming-table, renaming-object
-- depends: 0010_validate_audit_log_bound

SET LOCAL lock_timeout = '200ms';
SET LOCAL ROLE docmeta_owner;

LOCK TABLE docmeta.audit_log IN ACCESS EXCLUSIVE MODE;

-- A view, a function or a publication of the table would go on with the first partition
-- alone, and nobody would notice.
DO $followers$
DECLARE
    followers text := (
        SELECT string_agg(pg_catalog.pg_describe_object(classid, objid, 0), ', ')
        FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_class'::regclass
            AND refobjid = 'docmeta.audit_log'::regclass
            AND classid IN (
                'pg_catalog.pg_rewrite'::regclass,
                'pg_catalog.pg_proc'::regclass,
                'pg_catalog.pg_publication_rel'::regclass
            )
    );
BEGIN
    IF followers IS NOT NULL THEN
        RAISE EXCEPTION 'docmeta.audit_log cannot become a partition: %', followers
            USING HINT = 'Drop these, apply, and make them again.';
    END IF;
END
$followers$;

ALTER TABLE docmeta.audit_log RENAME TO audit_log_first;
ALTER INDEX docmeta.audit_log_pkey RENAME TO audit_log_first_pkey;
ALTER INDEX docmeta.audit_log_document_idx RENAME TO audit_log_first_document_idx;
ALTER INDEX docmeta.audit_log_occurred_at_idx RENAME TO audit_log_first_occurred_at_idx;
ALTER TRIGGER audit_log_append_only ON docmeta.audit_log_first
    RENAME TO audit_log_first_append_only;
COMMENT ON TABLE docmeta.audit_log_first IS
    'Partition of docmeta.audit_log: all before its first month.';

CREATE TABLE docmeta.audit_log (
    LIKE docmeta.audit_log_first INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES,

    CONSTRAINT audit_log_pkey
        PRIMARY KEY (tenant_id, id, occurred_at)
) PARTITION BY RANGE (occurred_at);

COMMENT ON TABLE docmeta.audit_log IS
    'Who changed what, and when. Append-only, without foreign keys: the log outlives '
    'what it describes.';

CREATE INDEX audit_log_document_idx
    ON docmeta.audit_log (tenant_id, document_id, id)
    WHERE document_id IS NOT NULL;
COMMENT ON INDEX docmeta.audit_log_document_idx IS
    'The history of a document, the newest first: '
    'SELECT id, action FROM docmeta.audit_log '
    'WHERE tenant_id = $1 AND document_id = $2 '
    'ORDER BY id DESC LIMIT 50';

CREATE INDEX audit_log_occurred_at_idx
    ON docmeta.audit_log USING brin (occurred_at);
COMMENT ON INDEX docmeta.audit_log_occurred_at_idx IS
    'What happened in a span of time: '
    'SELECT id FROM docmeta.audit_log '
    'WHERE occurred_at >= $1 AND occurred_at < $2';

CREATE TRIGGER audit_log_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON docmeta.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('append-only');
ALTER TABLE docmeta.audit_log ENABLE ALWAYS TRIGGER audit_log_append_only;
COMMENT ON TRIGGER audit_log_append_only ON docmeta.audit_log IS
    'A log is only added to.';

-- What clients may do on the table moves to the new one: whoever was granted something
-- since 0003, by whatever name, has it still. The sequence goes on where it stood,
-- cached values counted as given out.
DO $rights$
DECLARE
    held          record;
    last_id       bigint;
    is_given      boolean;
    sequence_acl  aclitem[] := (
        SELECT relacl FROM pg_catalog.pg_class
        WHERE oid = 'docmeta.audit_log_id_seq'::regclass
    );
BEGIN
    FOR held IN
        SELECT
            privilege_type || coalesce(' (' || quote_ident(attname) || ')', '')
                AS privilege,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
                AS grantee,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS may_grant
        FROM (
            SELECT relowner, NULL::name, relacl FROM pg_catalog.pg_class
            WHERE oid = 'docmeta.audit_log_first'::regclass
            UNION ALL
            SELECT relowner, attname, attacl FROM pg_catalog.pg_class
            JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid
            WHERE attrelid = 'docmeta.audit_log_first'::regclass
        ) AS of (owner, attname, acl), aclexplode(acl)
        WHERE grantee <> owner
    LOOP
        EXECUTE format('GRANT %s ON docmeta.audit_log TO %s%s',
            held.privilege, held.grantee, held.may_grant);
        -- With what the grantee has granted on, which is among these as well.
        EXECUTE format('REVOKE %s ON docmeta.audit_log_first FROM %s CASCADE',
            held.privilege, held.grantee);
    END LOOP;

    SELECT last_value, is_called INTO last_id, is_given FROM docmeta.audit_log_id_seq;
    ALTER TABLE docmeta.audit_log_first ALTER COLUMN id DROP IDENTITY;
    ALTER TABLE docmeta.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;
    PERFORM setval('docmeta.audit_log_id_seq', last_id, is_given);
    FOR held IN
        SELECT privilege_type,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee
        FROM aclexplode(sequence_acl)
        WHERE grantee <> (
            SELECT relowner FROM pg_catalog.pg_class
            WHERE oid = 'docmeta.audit_log_id_seq'::regclass
        )
    LOOP
        EXECUTE format('GRANT %s ON SEQUENCE docmeta.audit_log_id_seq TO %s',
            held.privilege_type, held.grantee);
    END LOOP;
END
$rights$;

ALTER TABLE docmeta.audit_log
    ATTACH PARTITION docmeta.audit_log_first
    FOR VALUES FROM (MINVALUE) TO ('infinity');


-- What every partition has ------------------------------------------------------------

-- A function of its own, so that a migration that gives partitions something more (row
-- security, say) replaces these few lines and not those that move months about.
CREATE FUNCTION docmeta.guard_audit_log_partition(partition_name text, holding text)
    RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $guard$
DECLARE
    granted record;
BEGIN
    EXECUTE format('COMMENT ON TABLE docmeta.%I IS %L',
        partition_name, 'Partition of docmeta.audit_log: ' || holding || '.');
    EXECUTE format(
        'CREATE TRIGGER %1$I BEFORE UPDATE OR DELETE OR TRUNCATE ON docmeta.%2$I '
        'FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change(''append-only'')',
        partition_name || '_append_only', partition_name);
    EXECUTE format('ALTER TABLE docmeta.%2$I ENABLE ALWAYS TRIGGER %1$I',
        partition_name || '_append_only', partition_name);
    EXECUTE format('COMMENT ON TRIGGER %1$I ON docmeta.%2$I IS %3$L',
        partition_name || '_append_only', partition_name, 'A log is only added to.');

    -- Default privileges may have granted something.
    FOR granted IN
        SELECT DISTINCT
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS role
        FROM pg_class, aclexplode(relacl)
        WHERE pg_class.oid = format('docmeta.%I', partition_name)::regclass
            AND grantee <> relowner
    LOOP
        EXECUTE format('REVOKE ALL ON docmeta.%I FROM %s',
            partition_name, granted.role);
    END LOOP;
END
$guard$;
REVOKE ALL ON FUNCTION docmeta.guard_audit_log_partition(text, text) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.guard_audit_log_partition(text, text) IS
    'Gives a new partition of docmeta.audit_log its comment and its trigger, and takes '
    'from it what is granted on it.';

CREATE TABLE docmeta.audit_log_default PARTITION OF docmeta.audit_log DEFAULT;
SELECT docmeta.guard_audit_log_partition('audit_log_default', 'what has no month');


-- Months ------------------------------------------------------------------------------

CREATE FUNCTION docmeta.audit_log_partitions()
    RETURNS TABLE (partition_name text, starts_at timestamptz, ends_at timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO'
AS $partitions$
    SELECT relname::text,
        coalesce(substring(bound FROM 'FROM [(]''([^'']+)')::timestamptz, '-infinity'),
        substring(bound FROM 'TO [(]''([^'']+)')::timestamptz
    FROM pg_inherits
    JOIN pg_class ON pg_class.oid = inhrelid
    CROSS JOIN LATERAL pg_get_expr(relpartbound, pg_class.oid) AS bound
    WHERE inhparent = 'docmeta.audit_log'::regclass AND bound <> 'DEFAULT'
    ORDER BY 3;
$partitions$;
REVOKE ALL ON FUNCTION docmeta.audit_log_partitions() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.audit_log_partitions() IS
    'The partitions of docmeta.audit_log but for the DEFAULT, the oldest first, and '
    'what each holds: from starts_at on, before ends_at.';

CREATE FUNCTION docmeta.make_audit_log_months(ahead integer)
    RETURNS SETOF text
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '200ms'
    SET timezone = 'UTC'
    SET datestyle = 'ISO'
AS $make$
DECLARE
    -- A month is one of UTC, whoever asks.
    this_month   timestamptz := date_trunc('month', clock_timestamp());
    horizon      timestamptz;
    last_end     timestamptz;
    open_table   text;
    open_since   timestamptz;
    closed_at    timestamptz;
    is_validated boolean;
    stray        timestamptz;
    new_name     text;
    index_name   text;
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 1 AND 120 THEN
        RAISE EXCEPTION 'ahead must be from 1 to 120 months, not %',
            coalesce(ahead::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    horizon := this_month + (ahead + 1) * interval '1 month';

    -- One at a time; readers and writers do not wait for this.
    LOCK TABLE ONLY docmeta.audit_log IN SHARE UPDATE EXCLUSIVE MODE;

    -- Which table takes what is written now, with no end of its own? Before the first
    -- month the first partition; where months lacked, the DEFAULT.
    last_end := (SELECT max(ends_at) FROM docmeta.audit_log_partitions());
    IF last_end = 'infinity' THEN
        SELECT p.partition_name, p.starts_at INTO open_table, open_since
        FROM docmeta.audit_log_partitions() AS p WHERE p.ends_at = 'infinity';
    ELSE
        last_end := coalesce(last_end, '-infinity');
        IF EXISTS (SELECT FROM docmeta.audit_log_default
            WHERE occurred_at >= last_end AND occurred_at < horizon)
        THEN
            open_table := 'audit_log_default';
            open_since := last_end;
        END IF;
    END IF;

    -- It is given an end in three calls, each a transaction of its own, as in 0009 to
    -- 0011: in one the table would be read under the lock that its check took.
    IF open_table IS NOT NULL THEN
        SELECT convalidated,
            substring(pg_get_constraintdef(oid) FROM '< ''([^'']+)')
        INTO is_validated, closed_at
        FROM pg_constraint
        WHERE conrelid = format('docmeta.%I', open_table)::regclass
            AND conname = 'audit_log_end_check';

        -- Entries beyond its end (a clock was wrong) it could never be without. And an
        -- end that comes near before it was shown to hold is put off: when it came,
        -- appends would fail.
        EXECUTE format(
            'SELECT min(occurred_at) FROM docmeta.%I '
            'WHERE occurred_at < %L OR occurred_at >= %L',
            open_table, open_since, coalesce(closed_at, horizon)) INTO stray;
        IF NOT is_validated
            AND (stray IS NOT NULL
                OR closed_at < clock_timestamp() + interval '14 days')
        THEN
            EXECUTE format('ALTER TABLE docmeta.%I DROP CONSTRAINT audit_log_end_check',
                open_table);
            closed_at := NULL;
        END IF;

        IF stray IS NOT NULL THEN
            RAISE WARNING 'docmeta.% cannot be given an end: it has an entry of %',
                open_table, stray
                USING DETAIL = 'All that is written goes there, and no month is made.',
                    HINT = 'Was a clock wrong? A superuser must mend that entry.';
            RETURN;
        ELSIF closed_at IS NULL THEN
            EXECUTE format(
                'ALTER TABLE docmeta.%I ADD CONSTRAINT audit_log_end_check '
                'CHECK (occurred_at >= %L AND occurred_at < %L) NOT VALID',
                open_table, open_since, horizon);
            EXECUTE format(
                'COMMENT ON CONSTRAINT audit_log_end_check ON docmeta.%I IS %L',
                open_table, 'Its end to be: call docmeta.make_audit_log_months again.');
            RETURN NEXT format('%s is to end at %s: call again', open_table, horizon);
            RETURN;
        ELSIF NOT is_validated THEN
            EXECUTE format(
                'ALTER TABLE docmeta.%I VALIDATE CONSTRAINT audit_log_end_check',
                open_table);
            RETURN NEXT format('%s was read, and does end at %s: call again',
                open_table, closed_at);
            RETURN;
        END IF;

        -- The check is known to hold, so nothing is read; readers and writers wait for
        -- as long as rows of the catalog take to write.
        LOCK TABLE ONLY docmeta.audit_log IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('ALTER TABLE docmeta.audit_log DETACH PARTITION docmeta.%I',
            open_table);
        IF open_table = 'audit_log_default' THEN
            new_name := 'audit_log_from_' || to_char(open_since, 'YYYY_MM');
            EXECUTE format(
                'ALTER TABLE docmeta.audit_log_default RENAME TO %I', new_name);
            EXECUTE format(
                'ALTER TRIGGER audit_log_default_append_only ON docmeta.%I '
                'RENAME TO %I', new_name, new_name || '_append_only');
            EXECUTE format('COMMENT ON TABLE docmeta.%I IS %L', new_name,
                'Partition of docmeta.audit_log: months that lacked once.');
            FOR index_name IN
                SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE indrelid = format('docmeta.%I', new_name)::regclass
            LOOP
                EXECUTE format('ALTER INDEX docmeta.%I RENAME TO %I', index_name,
                    replace(index_name, 'audit_log_default', new_name));
            END LOOP;
            open_table := new_name;
        END IF;
        EXECUTE format(
            'ALTER TABLE docmeta.audit_log ATTACH PARTITION docmeta.%I '
            'FOR VALUES FROM (%s) TO (%L)', open_table,
            CASE open_since WHEN '-infinity' THEN 'MINVALUE'
                ELSE quote_literal(open_since) END,
            closed_at);
        EXECUTE format('ALTER TABLE docmeta.%I DROP CONSTRAINT audit_log_end_check',
            open_table);
        IF to_regclass('docmeta.audit_log_default') IS NULL THEN
            CREATE TABLE docmeta.audit_log_default
                PARTITION OF docmeta.audit_log DEFAULT;
            PERFORM docmeta.guard_audit_log_partition(
                'audit_log_default', 'what has no month');
        END IF;
        last_end := closed_at;
        RETURN NEXT format('%s ends at %s', open_table, closed_at);
    END IF;

    -- Made beside and attached, for PARTITION OF would lock out readers. That the
    -- DEFAULT has nothing for a month is read from the DEFAULT, which is empty or
    -- nearly so.
    last_end := greatest(last_end, this_month);
    WHILE last_end < horizon LOOP
        new_name := 'audit_log_' || to_char(last_end, 'YYYY_MM');
        EXECUTE format(
            'CREATE TABLE docmeta.%I '
            '(LIKE docmeta.audit_log '
            'INCLUDING ALL EXCLUDING IDENTITY EXCLUDING COMMENTS)', new_name);
        PERFORM docmeta.guard_audit_log_partition(
            new_name, to_char(last_end, 'YYYY-MM') || ', by UTC');
        EXECUTE format(
            'ALTER TABLE docmeta.audit_log ATTACH PARTITION docmeta.%I '
            'FOR VALUES FROM (%L) TO (%L)',
            new_name, last_end, last_end + interval '1 month');
        RETURN NEXT new_name || ' is made';
        last_end := last_end + interval '1 month';
    END LOOP;
END
$make$;
REVOKE ALL ON FUNCTION docmeta.make_audit_log_months(integer) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.make_audit_log_months(integer) IS
    'Makes the partitions of this month and of so many ahead, and tells what it did; '
    'nothing is left to do when it returns no row. Call it daily, with 3. Where '
    'entries go to a partition without an end (the first one at first; the DEFAULT '
    'where months lacked) it gives that an end, in three calls that stop nobody; who '
    'has made the first must make the others before that end comes.';

CREATE FUNCTION docmeta.drop_audit_log_months(keep interval)
    RETURNS SETOF text
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '200ms'
    SET timezone = 'UTC'
AS $retain$
DECLARE
    past text;
BEGIN
    -- As moments: as intervals, a year is 360 days.
    IF keep IS NULL OR clock_timestamp() - keep > clock_timestamp() - interval '1 month'
    THEN
        RAISE EXCEPTION 'keep must be an interval of 1 month or more, not %',
            coalesce(keep::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    FOR past IN
        SELECT partition_name FROM (
            SELECT partition_name, ends_at, max(ends_at) OVER () AS last_end
            FROM docmeta.audit_log_partitions()
        ) AS every
        WHERE ends_at <= clock_timestamp() - keep AND ends_at < last_end
        ORDER BY ends_at
    LOOP
        EXECUTE format('DROP TABLE docmeta.%I', past);
        RETURN NEXT past;
    END LOOP;
END
$retain$;
REVOKE ALL ON FUNCTION docmeta.drop_audit_log_months(interval) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.drop_audit_log_months(interval) IS
    'Drops the partitions of docmeta.audit_log that ended longer than keep ago, but '
    'never the last, and returns their names. There is no other way to remove an '
    'entry. Readers and writers wait for as long as rows of the catalog take to write.';

GRANT EXECUTE
    ON FUNCTION docmeta.make_audit_log_months(integer),
        docmeta.drop_audit_log_months(interval)
    TO docmeta_retention;
