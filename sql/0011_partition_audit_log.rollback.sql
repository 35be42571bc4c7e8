-- audit_log is one table again: its first partition, into which the rows of the others
-- are copied. Readers and writers wait for the copy. Where retention has dropped the
-- first partition, a new one takes its place.
--
-- squawk-ignore-file ban-drop-table, ban-drop-function, renaming-object

SET LOCAL lock_timeout = '200ms';
SET LOCAL ROLE docmeta_owner;

-- A policy would hide rows from the copy: then better an error.
SET LOCAL row_security = off;

LOCK TABLE docmeta.audit_log IN ACCESS EXCLUSIVE MODE;

-- A publication would lose the table as it is dropped, and nobody would notice.
DO $followers$
DECLARE
    followers text := (
        SELECT string_agg(pg_catalog.pg_describe_object(classid, objid, 0), ', ')
        FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_class'::regclass
            AND refobjid = 'docmeta.audit_log'::regclass
            AND classid = 'pg_catalog.pg_publication_rel'::regclass
    );
BEGIN
    IF followers IS NOT NULL THEN
        RAISE EXCEPTION 'docmeta.audit_log cannot become one table: %', followers
            USING HINT = 'Drop these, roll back, and make them again.';
    END IF;
END
$followers$;

DROP FUNCTION docmeta.drop_audit_log_months(interval);
DROP FUNCTION docmeta.make_audit_log_months(integer);
DROP FUNCTION docmeta.guard_audit_log_partition(text, text);
DROP FUNCTION docmeta.audit_log_partitions();

-- The first partition stands alone again, without the end that it may have been
-- promised.
DO $first$
BEGIN
    IF to_regclass('docmeta.audit_log_first') IS NOT NULL THEN
        ALTER TABLE docmeta.audit_log DETACH PARTITION docmeta.audit_log_first;
        IF EXISTS (
            SELECT FROM pg_catalog.pg_constraint
            WHERE conrelid = 'docmeta.audit_log_first'::regclass
                AND conname = 'audit_log_end_check'
        ) THEN
            ALTER TABLE docmeta.audit_log_first DROP CONSTRAINT audit_log_end_check;
        END IF;
        RETURN;
    END IF;

    CREATE TABLE docmeta.audit_log_first (
        LIKE docmeta.audit_log INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES,

        CONSTRAINT audit_log_first_pkey
            PRIMARY KEY (tenant_id, id, occurred_at)
    );

    CREATE INDEX audit_log_first_document_idx
        ON docmeta.audit_log_first (tenant_id, document_id, id)
        WHERE document_id IS NOT NULL;
    COMMENT ON INDEX docmeta.audit_log_first_document_idx IS
        'The history of a document, the newest first: '
        'SELECT id, action FROM docmeta.audit_log '
        'WHERE tenant_id = $1 AND document_id = $2 '
        'ORDER BY id DESC LIMIT 50';

    CREATE INDEX audit_log_first_occurred_at_idx
        ON docmeta.audit_log_first USING brin (occurred_at);
    COMMENT ON INDEX docmeta.audit_log_first_occurred_at_idx IS
        'What happened in a span of time: '
        'SELECT id FROM docmeta.audit_log '
        'WHERE occurred_at >= $1 AND occurred_at < $2';

    CREATE TRIGGER audit_log_first_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON docmeta.audit_log_first
        FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('append-only');
    ALTER TABLE docmeta.audit_log_first
        ENABLE ALWAYS TRIGGER audit_log_first_append_only;
    COMMENT ON TRIGGER audit_log_first_append_only ON docmeta.audit_log_first IS
        'A log is only added to.';
END
$first$;

INSERT INTO docmeta.audit_log_first SELECT * FROM docmeta.audit_log;

-- Rights move back, and the sequence goes on where it stood.
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
            WHERE oid = 'docmeta.audit_log'::regclass
            UNION ALL
            SELECT relowner, attname, attacl FROM pg_catalog.pg_class
            JOIN pg_catalog.pg_attribute ON attrelid = pg_class.oid
            WHERE attrelid = 'docmeta.audit_log'::regclass
        ) AS of (owner, attname, acl), aclexplode(acl)
        WHERE grantee <> owner
    LOOP
        EXECUTE format('GRANT %s ON docmeta.audit_log_first TO %s%s',
            held.privilege, held.grantee, held.may_grant);
    END LOOP;

    SELECT last_value, is_called INTO last_id, is_given FROM docmeta.audit_log_id_seq;
    DROP TABLE docmeta.audit_log;
    ALTER TABLE docmeta.audit_log_first RENAME TO audit_log;
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

ALTER INDEX docmeta.audit_log_first_pkey RENAME TO audit_log_pkey;
ALTER INDEX docmeta.audit_log_first_document_idx RENAME TO audit_log_document_idx;
ALTER INDEX docmeta.audit_log_first_occurred_at_idx RENAME TO audit_log_occurred_at_idx;
ALTER TRIGGER audit_log_first_append_only ON docmeta.audit_log
    RENAME TO audit_log_append_only;
COMMENT ON TABLE docmeta.audit_log IS
    'Who changed what, and when. Append-only, without foreign keys: the log outlives '
    'what it describes.';
