-- Takes the policies away, so that everyone sees the rows of all tenants again. Where
-- these are several, it refuses. To have it so all the same, set
-- PGOPTIONS="-c docmeta.open_tenants=yes".
--
-- A rollback drops what the migration made; that is no oversight.
-- squawk-ignore-file ban-drop-function

SET LOCAL lock_timeout = '200ms';

SET LOCAL ROLE docmeta_owner;

-- Before the look, or a tenant could come between it and the end; in the order in which
-- writers reach the tables, or the two could wait for each other.
LOCK TABLE
    docmeta.hash_index,
    docmeta.documents,
    docmeta.import_batches,
    docmeta.audit_log,
    docmeta.document_classifications,
    docmeta.document_tags,
    docmeta.tags,
    docmeta.duplicate_log,
    docmeta.error_log,
    docmeta.language_backfill
    IN ACCESS EXCLUSIVE MODE;

DO $tenants$
DECLARE
    open_tenants text := current_setting('docmeta.open_tenants', true);
    table_name   text;
    lowest       bigint;
    highest      bigint;
    first_tenant bigint;
    last_tenant  bigint;
BEGIN
    IF open_tenants = 'yes' THEN
        RETURN;
    ELSIF open_tenants <> '' THEN
        RAISE EXCEPTION 'docmeta.open_tenants must be yes or unset, not "%"',
            open_tenants;
    END IF;

    FOREACH table_name IN ARRAY ARRAY[
        'import_batches', 'hash_index', 'documents', 'duplicate_log',
        'document_classifications', 'tags', 'document_tags', 'audit_log', 'error_log',
        'language_backfill'
    ] LOOP
        EXECUTE format('SELECT min(tenant_id), max(tenant_id) FROM docmeta.%I',
            table_name) INTO lowest, highest;
        first_tenant := least(first_tenant, lowest);
        last_tenant := greatest(last_tenant, highest);
    END LOOP;
    IF first_tenant < last_tenant THEN
        RAISE EXCEPTION 'docmeta has rows of several tenants, from % to %: without the '
            'policies every login sees them all', first_tenant, last_tenant
            USING HINT = 'If that is wanted: '
                'PGOPTIONS="-c docmeta.open_tenants=yes"';
    END IF;
END
$tenants$;

CREATE OR REPLACE FUNCTION docmeta.purge_documents(older_than interval, at_most integer)
    RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '200ms'
AS $purge$
DECLARE
    purged   bigint;
    tenants  bigint[];
    contents bytea[];
BEGIN
    IF older_than IS NULL OR now() - older_than > now() THEN
        RAISE EXCEPTION 'older_than must be an interval of 0 or more, not %',
            coalesce(older_than::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    ELSIF at_most IS NULL OR at_most < 1 THEN
        RAISE EXCEPTION 'at_most must be 1 or more, not %',
            coalesce(at_most::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    -- Another snapshot would not show the document that an importer has just committed.
    ELSIF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'purge_documents must run in a READ COMMITTED transaction'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- With its content: an importer locks that first and then the document, and who has
    -- pointed another document at it and not yet committed holds it, too.
    WITH due AS (
        SELECT document.tenant_id, document.id
        FROM docmeta.documents AS document
        JOIN docmeta.hash_index AS content
            ON content.tenant_id = document.tenant_id
                AND content.sha256 = document.content_sha256
        WHERE document.deleted_at IS NOT NULL
            AND document.deleted_at <= now() - older_than
            AND NOT document.legal_hold
            AND (document.retain_until IS NULL OR document.retain_until <= now())
        ORDER BY document.deleted_at, document.id
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM docmeta.documents AS document USING due
        WHERE document.tenant_id = due.tenant_id AND document.id = due.id
        RETURNING document.tenant_id, document.content_sha256
    )
    SELECT count(*), array_agg(tenant_id), array_agg(content_sha256)
    INTO purged, tenants, contents
    FROM gone;

    -- A new snapshot, in which nobody can point a document at one of these any more.
    UPDATE docmeta.hash_index AS content
    SET orphaned_at = now()
    WHERE (tenant_id, sha256) IN (SELECT * FROM unnest(tenants, contents))
        AND orphaned_at IS NULL
        AND NOT EXISTS (
            SELECT FROM docmeta.documents
            WHERE documents.tenant_id = content.tenant_id
                AND documents.content_sha256 = content.sha256
        );

    RETURN purged;
END
$purge$;
COMMENT ON FUNCTION docmeta.purge_documents(interval, integer) IS
    'Removes documents that have been in the trash for older_than, the longest deleted '
    'first, at_most so many, and returns how many; those on legal hold, to be retained '
    'still, or locked by another session, or whose content is, stay. Contents left '
    'without a document get orphaned_at. Call it, and commit, until it returns 0.';

DROP FUNCTION docmeta.search_documents(text, integer);
DROP FUNCTION docmeta.find_tag(text);

CREATE OR REPLACE FUNCTION docmeta.guard_audit_log_partition(
        partition_name text, holding text
    )
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
COMMENT ON FUNCTION docmeta.guard_audit_log_partition(text, text) IS
    'Gives a new partition of docmeta.audit_log its comment and its trigger, and takes '
    'from it what is granted on it.';

DO $partitions$
DECLARE
    of_log oid;
BEGIN
    FOR of_log IN
        SELECT inhrelid FROM pg_catalog.pg_inherits
        WHERE inhparent = 'docmeta.audit_log'::regclass
    LOOP
        EXECUTE format('DROP POLICY audit_log_tenant ON %s', of_log::regclass);
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', of_log::regclass);
    END LOOP;
END
$partitions$;

DROP POLICY language_backfill_tenant ON docmeta.language_backfill;
ALTER TABLE docmeta.language_backfill DISABLE ROW LEVEL SECURITY;

DROP POLICY error_log_tenant ON docmeta.error_log;
ALTER TABLE docmeta.error_log DISABLE ROW LEVEL SECURITY;

DROP POLICY audit_log_tenant ON docmeta.audit_log;
ALTER TABLE docmeta.audit_log DISABLE ROW LEVEL SECURITY;

DROP POLICY document_tags_tenant ON docmeta.document_tags;
ALTER TABLE docmeta.document_tags DISABLE ROW LEVEL SECURITY;

DROP POLICY tags_tenant ON docmeta.tags;
ALTER TABLE docmeta.tags DISABLE ROW LEVEL SECURITY;

DROP POLICY document_classifications_tenant ON docmeta.document_classifications;
ALTER TABLE docmeta.document_classifications DISABLE ROW LEVEL SECURITY;

DROP POLICY duplicate_log_tenant ON docmeta.duplicate_log;
ALTER TABLE docmeta.duplicate_log DISABLE ROW LEVEL SECURITY;

DROP POLICY documents_tenant ON docmeta.documents;
ALTER TABLE docmeta.documents DISABLE ROW LEVEL SECURITY;

DROP POLICY hash_index_tenant ON docmeta.hash_index;
ALTER TABLE docmeta.hash_index DISABLE ROW LEVEL SECURITY;

DROP POLICY import_batches_tenant ON docmeta.import_batches;
ALTER TABLE docmeta.import_batches DISABLE ROW LEVEL SECURITY;

DROP FUNCTION docmeta.current_tenant();
