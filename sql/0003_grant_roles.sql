-- docmeta belongs to a role that nobody logs in as, and a login has the rights of its
-- group: to ingest, to work on documents, to read, to audit, or to empty the trash.
--
-- Why: a login that owns tables can drop them and switch off their triggers. Each group
--     has what its work takes, and UPDATE on single columns: to write audit_log, or to
--     change it or duplicate_log, no grant exists. Default privileges would hang on who
--     makes a table, and open one that its migration did not think of: each migration
--     grants by name.
-- Locks: docmeta.import_batches, docmeta.hash_index, docmeta.documents,
--     docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
--     docmeta.document_tags, docmeta.audit_log and docmeta.error_log ACCESS EXCLUSIVE:
--     a new owner is a word in the catalog, so for milliseconds; in the order in which
--     writers reach the tables.
-- Rollback: lossless; what docmeta holds belongs to the migrating role again. The roles
--     stay, for other databases of the cluster may use them.
--
-- depends: 0002_record_changes

SET LOCAL lock_timeout = '200ms';

-- Roles belong to the cluster. They are made where that is allowed, else an error says
-- what a superuser is to run. Another database may be making the same ones just now: to
-- wait for it keeps nobody waiting, for no table is locked yet.
SET LOCAL lock_timeout = '10s';

DO $roles$
DECLARE
    wanted   CONSTANT text[] := ARRAY[
        'docmeta_owner', 'docmeta_ingest', 'docmeta_app', 'docmeta_reader',
        'docmeta_auditor', 'docmeta_retention'
    ];
    purposes CONSTANT text[] := ARRAY[
        'Owns schema docmeta; whoever migrates it is a member.',
        'The pipeline: brings documents into docmeta.',
        'The application: tags, classifies and deletes documents of docmeta.',
        'Reads docmeta, but not the raw detail of its logs.',
        'Reads audit_log and duplicate_log of docmeta.',
        'Empties the trash of docmeta.'
    ];
    role_name text;
    powerful  text;
    missing   text;
    -- 16 tells the right to use a membership from the right to become the role.
    to_become CONSTANT text :=
        CASE WHEN current_setting('server_version_num')::integer < 160000
            THEN 'MEMBER' ELSE 'SET' END;
BEGIN
    FOR i IN 1 .. cardinality(wanted) LOOP
        role_name := wanted[i];
        CONTINUE WHEN to_regrole(role_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE ROLE %I', role_name);
            EXECUTE format('COMMENT ON ROLE %I IS %L', role_name, purposes[i]);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                missing := (
                    SELECT string_agg(format('CREATE ROLE %I; ', r), '' ORDER BY n)
                    FROM unnest(wanted) WITH ORDINALITY AS w (r, n)
                    WHERE to_regrole(r) IS NULL
                );
                RAISE EXCEPTION 'role % is not there, and % may not create it',
                    role_name, current_user
                    USING ERRCODE = 'insufficient_privilege',
                        HINT = format(
                            'Let a superuser run: %sGRANT docmeta_owner TO %I;',
                            missing, current_user
                        );
        END;
    END LOOP;

    -- A function of the owner's runs with the owner's rights.
    powerful := (
        SELECT string_agg(rolname, ', ' ORDER BY rolname) FROM pg_catalog.pg_roles
        WHERE rolname = ANY (wanted)
            AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)
    );
    IF powerful IS NOT NULL THEN
        RAISE EXCEPTION 'these roles may do more than docmeta is to be able to: %',
            powerful
            USING HINT = 'ALTER ROLE ... NOSUPERUSER NOCREATEROLE NOREPLICATION '
                'NOBYPASSRLS, or rename them.';
    END IF;

    IF NOT pg_has_role('docmeta_owner', 'USAGE')
        OR NOT pg_has_role('docmeta_owner', to_become)
    THEN
        BEGIN
            EXECUTE format('GRANT docmeta_owner TO %I', current_user);
        EXCEPTION
            WHEN unique_violation OR insufficient_privilege THEN
                NULL;
        END;
    END IF;
    IF NOT pg_has_role('docmeta_owner', 'USAGE')
        OR NOT pg_has_role('docmeta_owner', to_become)
    THEN
        RAISE EXCEPTION '% must have the rights of docmeta_owner to migrate',
            current_user
            USING ERRCODE = 'insufficient_privilege',
                HINT = format('Let a superuser run: ALTER ROLE %1$I INHERIT; '
                    'GRANT docmeta_owner TO %1$I;', current_user);
    END IF;
END
$roles$;

SET LOCAL lock_timeout = '200ms';


-- The owner ---------------------------------------------------------------------------

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
    docmeta.error_log
    IN ACCESS EXCLUSIVE MODE;

-- The schema first: who is to own a table must be able to make it there.
ALTER SCHEMA docmeta OWNER TO docmeta_owner;

ALTER TABLE docmeta.import_batches OWNER TO docmeta_owner;
ALTER TABLE docmeta.hash_index OWNER TO docmeta_owner;
ALTER TABLE docmeta.documents OWNER TO docmeta_owner;
ALTER TABLE docmeta.duplicate_log OWNER TO docmeta_owner;
ALTER TABLE docmeta.document_classifications OWNER TO docmeta_owner;
ALTER TABLE docmeta.tags OWNER TO docmeta_owner;
ALTER TABLE docmeta.document_tags OWNER TO docmeta_owner;
ALTER TABLE docmeta.audit_log OWNER TO docmeta_owner;
ALTER TABLE docmeta.error_log OWNER TO docmeta_owner;

ALTER FUNCTION docmeta.touch_document() OWNER TO docmeta_owner;
ALTER FUNCTION docmeta.touch_tag() OWNER TO docmeta_owner;
ALTER FUNCTION docmeta.record_changes() OWNER TO docmeta_owner;
ALTER FUNCTION docmeta.refuse_change() OWNER TO docmeta_owner;
ALTER FUNCTION docmeta.adopt_content() OWNER TO docmeta_owner;
ALTER FUNCTION docmeta.purge_documents(interval, integer) OWNER TO docmeta_owner;

GRANT USAGE
    ON SCHEMA docmeta
    TO docmeta_ingest, docmeta_app, docmeta_reader, docmeta_auditor, docmeta_retention;


-- The pipeline ------------------------------------------------------------------------

GRANT SELECT, INSERT
    ON docmeta.import_batches, docmeta.hash_index, docmeta.documents,
        docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
        docmeta.document_tags, docmeta.error_log
    TO docmeta_ingest;

GRANT UPDATE (
        status, expected_count, imported_count, duplicate_count, failed_count,
        started_at, finished_at
    )
    ON docmeta.import_batches
    TO docmeta_ingest;

GRANT UPDATE (storage_uri, verify_status, last_verified_at, orphaned_at)
    ON docmeta.hash_index
    TO docmeta_ingest;

-- The trash as well: to restore a document is one of the decisions on a duplicate.
GRANT UPDATE (
        title, author, mime_type, language, page_count, document_date, source_uri,
        source_modified_at, status, attributes, deleted_at, deleted_by, delete_reason
    )
    ON docmeta.documents
    TO docmeta_ingest;


-- The application ---------------------------------------------------------------------

-- Who lifts a legal hold is not who purges.
GRANT UPDATE (
        title, author, language, document_date, status, legal_hold, retain_until,
        attributes, deleted_at, deleted_by, delete_reason
    )
    ON docmeta.documents
    TO docmeta_app;

GRANT INSERT
    ON docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
        docmeta.document_tags
    TO docmeta_app;

GRANT UPDATE (name, description, colour, deleted_at, deleted_by, delete_reason)
    ON docmeta.tags
    TO docmeta_app;

GRANT DELETE
    ON docmeta.document_tags
    TO docmeta_app;


-- What the two share ------------------------------------------------------------------

GRANT UPDATE (is_primary, superseded_at)
    ON docmeta.document_classifications
    TO docmeta_ingest, docmeta_app;

GRANT UPDATE (attempt_no, next_retry_at, resolved_at, resolved_by, resolution)
    ON docmeta.error_log
    TO docmeta_ingest, docmeta_app;


-- Who reads ---------------------------------------------------------------------------

GRANT SELECT
    ON docmeta.import_batches, docmeta.hash_index, docmeta.documents,
        docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
        docmeta.document_tags
    TO docmeta_app, docmeta_reader;

-- All but old_row and new_row, where also what was purged can be read.
GRANT SELECT (
        tenant_id, id, occurred_at, entity_type, entity_id, document_id, action, actor,
        db_user, request_id, transaction_id
    )
    ON docmeta.audit_log
    TO docmeta_app, docmeta_reader;

-- All but detail_raw, where a failing tool may have written anything.
GRANT SELECT (
        tenant_id, id, batch_id, document_id, stage, severity, error_class, message,
        context, attempt_no, retryable, next_retry_at, occurred_at, resolved_at,
        resolved_by, resolution
    )
    ON docmeta.error_log
    TO docmeta_app, docmeta_reader;

GRANT SELECT
    ON docmeta.audit_log, docmeta.duplicate_log
    TO docmeta_auditor;


-- Who empties the trash ---------------------------------------------------------------

GRANT EXECUTE
    ON FUNCTION docmeta.purge_documents(interval, integer)
    TO docmeta_retention;
