-- A login sees and changes the rows of one tenant, the one docmeta.tenant_id names;
-- where it names none that is an error, and never tenant 1.
--
-- Why: a condition in every query of every client fails with the first that forgets it.
--     The policy asks for the tenant once a query, by (SELECT ...), and compares by an
--     operator that is leakproof, so that the indexes serve as before. lower() and @@
--     are not: by them no index is searched under a policy. For a tag's name and the
--     words of a document there are functions that run as the owner and look at the
--     tenant themselves. ENABLE and not FORCE: the owner is nobody's login, and walks
--     all tenants, as migrations, the audit, retention and the seals must. The audit
--     takes the tenant from the changed row, which a policy has let pass. Foreign keys
--     are checked past the policies, but the tenant leads them: none finds a stranger.
--     This is against a query that forgets, not against one who sends any SQL: he can
--     set another tenant. Ids come from one sequence, and tell of other writers.
-- Locks: docmeta.import_batches, docmeta.hash_index, docmeta.documents,
--     docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
--     docmeta.document_tags, docmeta.audit_log, docmeta.error_log and
--     docmeta.language_backfill ACCESS EXCLUSIVE: a policy is a row of the catalog, so
--     for milliseconds; in the order in which writers reach the tables.
-- Rollback: lossless; it refuses while there are rows of several tenants, for everyone
--     would see them all, unless docmeta.open_tenants = 'yes'.
--
-- depends: 0013_validate_document_status

SET LOCAL lock_timeout = '200ms';

SET LOCAL ROLE docmeta_owner;

CREATE FUNCTION docmeta.current_tenant()
    RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $tenant$
DECLARE
    named CONSTANT text := current_setting('docmeta.tenant_id', true);
BEGIN
    IF coalesce(named, '') = '' THEN
        RAISE EXCEPTION 'docmeta.tenant_id is not set'
            USING ERRCODE = 'undefined_object',
                HINT = 'SET docmeta.tenant_id to the number of the tenant.';
    ELSIF named !~ '^-?[0-9]{1,19}$' THEN
        RAISE EXCEPTION 'docmeta.tenant_id must be the number of a tenant, not "%"',
            named
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN named::bigint;
END
$tenant$;
REVOKE ALL ON FUNCTION docmeta.current_tenant() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.current_tenant() IS
    'The tenant of the session, from docmeta.tenant_id; an error where that is unset, '
    'empty or no number.';
GRANT EXECUTE
    ON FUNCTION docmeta.current_tenant()
    TO docmeta_ingest, docmeta_app, docmeta_reader, docmeta_auditor, docmeta_retention;


-- The policies -----------------------------------------------------------------------

-- As an importer reaches them, with the tables in which his keys are looked up, or the
-- two could wait for each other.
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

-- They hold for what is written as well: without WITH CHECK, USING is checked.

ALTER TABLE docmeta.import_batches ENABLE ROW LEVEL SECURITY;
CREATE POLICY import_batches_tenant ON docmeta.import_batches
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY import_batches_tenant ON docmeta.import_batches IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.hash_index ENABLE ROW LEVEL SECURITY;
CREATE POLICY hash_index_tenant ON docmeta.hash_index
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY hash_index_tenant ON docmeta.hash_index IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY documents_tenant ON docmeta.documents
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY documents_tenant ON docmeta.documents IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.duplicate_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY duplicate_log_tenant ON docmeta.duplicate_log
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY duplicate_log_tenant ON docmeta.duplicate_log IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.document_classifications ENABLE ROW LEVEL SECURITY;
CREATE POLICY document_classifications_tenant ON docmeta.document_classifications
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY document_classifications_tenant ON docmeta.document_classifications IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY tags_tenant ON docmeta.tags
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY tags_tenant ON docmeta.tags IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.document_tags ENABLE ROW LEVEL SECURITY;
CREATE POLICY document_tags_tenant ON docmeta.document_tags
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY document_tags_tenant ON docmeta.document_tags IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.audit_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_log_tenant ON docmeta.audit_log
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY audit_log_tenant ON docmeta.audit_log IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.error_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY error_log_tenant ON docmeta.error_log
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY error_log_tenant ON docmeta.error_log IS
    'The tenant of docmeta.tenant_id alone.';

ALTER TABLE docmeta.language_backfill ENABLE ROW LEVEL SECURITY;
CREATE POLICY language_backfill_tenant ON docmeta.language_backfill
    USING (tenant_id = (SELECT docmeta.current_tenant()));
COMMENT ON POLICY language_backfill_tenant ON docmeta.language_backfill IS
    'The tenant of docmeta.tenant_id alone.';

-- A partition asked for by its own name asks its own policy. No client has a right on
-- one, so this is the second fence; the first is that nobody is granted anything.
DO $partitions$
DECLARE
    of_log oid;
BEGIN
    FOR of_log IN
        SELECT inhrelid FROM pg_catalog.pg_inherits
        WHERE inhparent = 'docmeta.audit_log'::regclass
        ORDER BY inhrelid::regclass::text
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', of_log::regclass);
        EXECUTE format(
            'CREATE POLICY audit_log_tenant ON %s '
            'USING (tenant_id = (SELECT docmeta.current_tenant()))', of_log::regclass);
        EXECUTE format('COMMENT ON POLICY audit_log_tenant ON %s IS %L',
            of_log::regclass, 'The tenant of docmeta.tenant_id alone.');
    END LOOP;
END
$partitions$;

-- And so does each that is made later.
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
    EXECUTE format('ALTER TABLE docmeta.%I ENABLE ROW LEVEL SECURITY', partition_name);
    EXECUTE format(
        'CREATE POLICY audit_log_tenant ON docmeta.%I '
        'USING (tenant_id = (SELECT docmeta.current_tenant()))', partition_name);
    EXECUTE format('COMMENT ON POLICY audit_log_tenant ON docmeta.%I IS %L',
        partition_name, 'The tenant of docmeta.tenant_id alone.');

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
    'Gives a new partition of docmeta.audit_log its comment, its trigger and its '
    'policy, and takes from it what is granted on it.';


-- What no index would serve under a policy --------------------------------------------

CREATE FUNCTION docmeta.find_tag(tag_name text)
    RETURNS bigint
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $find$
    SELECT id FROM docmeta.tags
    WHERE tenant_id = docmeta.current_tenant()
        AND lower(name COLLATE "C") = lower(tag_name COLLATE "C")
        AND deleted_at IS NULL;
$find$;
REVOKE ALL ON FUNCTION docmeta.find_tag(text) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.find_tag(text) IS
    'The id of the tenant''s live tag of a name, ASCII letters alike in either case; '
    'null where there is none.';

CREATE FUNCTION docmeta.search_documents(words text, at_most integer)
    RETURNS SETOF bigint
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $search$
    -- First all that match, or the newest of the tenant would be read one by one until
    -- enough are found.
    WITH matching AS MATERIALIZED (
        SELECT id FROM docmeta.documents
        WHERE tenant_id = docmeta.current_tenant()
            AND deleted_at IS NULL
            AND to_tsvector('simple',
                translate(filename || ' ' || coalesce(title, ''), '._-', '   '))
                @@ websearch_to_tsquery('simple',
                    regexp_replace(words, '(?<=[^[:space:]])[._-]', ' ', 'g'))
    )
    SELECT id FROM matching
    ORDER BY id DESC
    LIMIT greatest(at_most, 0);
$search$;
REVOKE ALL ON FUNCTION docmeta.search_documents(text, integer) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.search_documents(text, integer) IS
    'Ids of the tenant''s live documents with these words in filename or title, '
    'written as for a web search (a whole filename will do), the newest first, and no '
    'more than at_most.';

GRANT EXECUTE
    ON FUNCTION docmeta.find_tag(text), docmeta.search_documents(text, integer)
    TO docmeta_ingest, docmeta_app, docmeta_reader;


-- The trash of the tenant -------------------------------------------------------------

-- It runs as the owner, whom no policy binds: it must bind itself.
CREATE OR REPLACE FUNCTION docmeta.purge_documents(older_than interval, at_most integer)
    RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '200ms'
AS $purge$
DECLARE
    tenant   CONSTANT bigint := docmeta.current_tenant();
    purged   bigint;
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
        WHERE document.tenant_id = tenant
            AND document.deleted_at IS NOT NULL
            AND document.deleted_at <= now() - older_than
            AND NOT document.legal_hold
            AND (document.retain_until IS NULL OR document.retain_until <= now())
        ORDER BY document.deleted_at, document.id
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM docmeta.documents AS document USING due
        WHERE document.tenant_id = due.tenant_id AND document.id = due.id
        RETURNING document.content_sha256
    )
    SELECT count(*), array_agg(content_sha256)
    INTO purged, contents
    FROM gone;

    -- A new snapshot, in which nobody can point a document at one of these any more.
    UPDATE docmeta.hash_index AS content
    SET orphaned_at = now()
    WHERE tenant_id = tenant
        AND sha256 = ANY (contents)
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
    'Removes documents of the tenant of docmeta.tenant_id that have been in the trash '
    'for older_than, the longest deleted first, at_most so many, and returns how many; '
    'those on legal hold, to be retained still, or locked by another session, or whose '
    'content is, stay. Contents left without a document get orphaned_at. Call it, and '
    'commit, until it returns 0.';
