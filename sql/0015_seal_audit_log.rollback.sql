-- Takes the seals and their functions away; retention drops months unsealed again. The
-- seals are parked in docmeta_parked, where the next apply finds them. To drop them for
-- good, set PGOPTIONS="-c docmeta.on_rollback=discard".
--
-- squawk-ignore-file ban-drop-table, ban-drop-function

SET LOCAL lock_timeout = '200ms';

-- A policy would hide rows from the copy: then better an error.
SET LOCAL row_security = off;

-- Before the copy, or a seal that is made between copy and drop is lost.
LOCK TABLE docmeta.audit_log_seals IN ACCESS EXCLUSIVE MODE;

DO $park$
DECLARE
    on_rollback text := current_setting('docmeta.on_rollback', true);
BEGIN
    IF on_rollback = 'discard' THEN
        RETURN;
    ELSIF on_rollback NOT IN ('', 'park') THEN
        RAISE EXCEPTION 'docmeta.on_rollback must be park or discard, not "%"',
            on_rollback;
    END IF;

    IF NOT EXISTS (SELECT FROM docmeta.audit_log_seals) THEN
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
    CREATE TABLE docmeta_parked.audit_log_seals AS TABLE docmeta.audit_log_seals;
END
$park$;

SET LOCAL ROLE docmeta_owner;

CREATE OR REPLACE FUNCTION docmeta.drop_audit_log_months(keep interval)
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
COMMENT ON FUNCTION docmeta.drop_audit_log_months(interval) IS
    'Drops the partitions of docmeta.audit_log that ended longer than keep ago, but '
    'never the last, and returns their names. There is no other way to remove an '
    'entry. Readers and writers wait for as long as rows of the catalog take to write.';

DROP FUNCTION docmeta.verify_audit_log();
DROP FUNCTION docmeta.seal_audit_log(interval);
DROP FUNCTION docmeta.append_audit_log_seal(docmeta.audit_log_seals);
DROP FUNCTION docmeta.sealed_audit_log_id();
DROP FUNCTION docmeta.audit_log_tenants();
DROP FUNCTION docmeta.audit_log_seal_hash(docmeta.audit_log_seals, bytea);
DROP FUNCTION docmeta.audit_log_hash(docmeta.audit_log);

DROP TABLE docmeta.audit_log_seals;
