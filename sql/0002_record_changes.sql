-- Every change of a batch, document, classification, tag or link leaves its row in
-- audit_log, the logs refuse to be changed, and the trash can be emptied for good.
--
-- Why: one INSERT ... SELECT a statement, from transition tables: the obvious trigger
--     FOR EACH ROW pays a call and an INSERT for each, and a hash chain from row to row
--     would put all writers in one queue. What an update kept is not written again.
-- Locks: docmeta.import_batches, docmeta.documents, docmeta.document_classifications,
--     docmeta.tags, docmeta.document_tags, docmeta.duplicate_log and docmeta.audit_log
--     SHARE ROW EXCLUSIVE: a trigger is a row of the catalog, so writers wait for
--     milliseconds, and readers do not; in the order in which writers reach the tables.
-- Rollback: lossless; the audit rows stay, and so do updated_at and row_version.
--
-- depends: 0001_initial_schema

SET LOCAL lock_timeout = '200ms';

-- In every function pg_temp is named, and last. With an empty search_path it would be
-- searched first for types, and who made a domain pg_temp.text with a check of his own
-- would have the check run by the owner of a SECURITY DEFINER function.


-- Bookkeeping: when, by whom and how often a row was changed --------------------------

CREATE FUNCTION docmeta.touch_document()
    RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $touch$
BEGIN
    -- A backfill is nobody's edit. Who could disable the trigger may skip it as well;
    -- to anyone else the setting says nothing.
    IF current_setting('docmeta.backfill', true) = 'on' THEN
        IF pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')
        THEN
            RETURN NEW;
        END IF;
    END IF;

    -- How long it has been in the trash is not the client's to say: a purge goes by it.
    IF NEW.deleted_at IS NOT NULL AND NEW.deleted_at IS DISTINCT FROM OLD.deleted_at
    THEN
        IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID),
            'USAGE')
        THEN
            NEW.deleted_at := now();
        END IF;
    END IF;

    NEW.updated_at := now();
    NEW.updated_by :=
        coalesce(nullif(current_setting('docmeta.actor', true), ''), session_user);
    NEW.row_version := OLD.row_version + 1;
    RETURN NEW;
END
$touch$;
REVOKE ALL ON FUNCTION docmeta.touch_document() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.touch_document() IS
    'Sets updated_at, updated_by and row_version of a changed row, and deleted_at of '
    'one that goes to the trash, whatever the client wrote there. The owner may set '
    'deleted_at, and leaves the others alone with docmeta.backfill = ''on''.';

CREATE FUNCTION docmeta.touch_tag()
    RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $touch$
BEGIN
    IF current_setting('docmeta.backfill', true) = 'on' THEN
        IF pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE')
        THEN
            RETURN NEW;
        END IF;
    END IF;

    NEW.updated_at := now();
    NEW.updated_by :=
        coalesce(nullif(current_setting('docmeta.actor', true), ''), session_user);
    RETURN NEW;
END
$touch$;
REVOKE ALL ON FUNCTION docmeta.touch_tag() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.touch_tag() IS
    'Sets updated_at and updated_by of a changed row, as docmeta.touch_document does; '
    'a tag has no row_version.';


-- The audit ---------------------------------------------------------------------------

-- SECURITY DEFINER, for nobody may write to audit_log but this. Time zone and
-- bytea_output are the client's otherwise, and would decide what a row looks like.
CREATE FUNCTION docmeta.record_changes()
    RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
AS $record$
DECLARE
    entity_column   text := TG_ARGV[0];
    document_column text := TG_ARGV[1];
    acting          text :=
        coalesce(nullif(current_setting('docmeta.actor', true), ''), session_user);
    request         text := nullif(current_setting('docmeta.request_id', true), '');
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO docmeta.audit_log (
            tenant_id, entity_type, entity_id, document_id, action, new_row, actor,
            request_id
        )
        SELECT
            (made ->> 'tenant_id')::bigint, TG_TABLE_NAME,
            (made ->> entity_column)::bigint, (made ->> document_column)::bigint,
            'insert', made, acting, request
        FROM new_rows, to_jsonb(new_rows) AS made;

    ELSIF TG_OP = 'DELETE' THEN
        -- A row that was in the trash has been deleted before: now it is purged.
        INSERT INTO docmeta.audit_log (
            tenant_id, entity_type, entity_id, document_id, action, old_row, actor,
            request_id
        )
        SELECT
            (gone ->> 'tenant_id')::bigint, TG_TABLE_NAME,
            (gone ->> entity_column)::bigint, (gone ->> document_column)::bigint,
            CASE WHEN gone ->> 'deleted_at' IS NULL THEN 'delete' ELSE 'purge' END,
            gone, acting, request
        FROM old_rows, to_jsonb(old_rows) AS gone;

    ELSE
        -- A row whose key was changed finds no partner: it is gone under the old key,
        -- and there under the new one. A row that is as it was is no change.
        INSERT INTO docmeta.audit_log (
            tenant_id, entity_type, entity_id, document_id, action, old_row, new_row,
            actor, request_id
        )
        SELECT
            tenant_id, TG_TABLE_NAME, entity_id,
            (coalesce(became, was) ->> document_column)::bigint,
            CASE
                WHEN was IS NULL THEN 'insert'
                WHEN became IS NULL AND was ->> 'deleted_at' IS NULL THEN 'delete'
                WHEN became IS NULL THEN 'purge'
                WHEN (was ->> 'deleted_at' IS NULL) = (became ->> 'deleted_at' IS NULL)
                    THEN 'update'
                WHEN was ->> 'deleted_at' IS NULL THEN 'soft_delete'
                ELSE 'restore'
            END,
            CASE WHEN became IS NULL THEN was ELSE changed_from END,
            CASE WHEN was IS NULL THEN became ELSE changed_to END,
            acting, request
        FROM (
            SELECT
                (was ->> 'tenant_id')::bigint, (was ->> entity_column)::bigint,
                coalesce(was ->> document_column, ''), was
            FROM old_rows, to_jsonb(old_rows) AS was
        ) AS o (tenant_id, entity_id, document, was)
        FULL JOIN (
            SELECT
                (became ->> 'tenant_id')::bigint, (became ->> entity_column)::bigint,
                coalesce(became ->> document_column, ''), became
            FROM new_rows, to_jsonb(new_rows) AS became
        ) AS n (tenant_id, entity_id, document, became)
            USING (tenant_id, entity_id, document)
        CROSS JOIN LATERAL (
            SELECT
                jsonb_object_agg(field, was_value),
                jsonb_object_agg(field, became -> field)
            FROM jsonb_each(was) AS f (field, was_value)
            WHERE was_value <> became -> field
        ) AS c (changed_from, changed_to)
        WHERE was IS DISTINCT FROM became;
    END IF;
    RETURN NULL;
END
$record$;
REVOKE ALL ON FUNCTION docmeta.record_changes() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.record_changes() IS
    'Writes one row to docmeta.audit_log for each row that a statement changed: of an '
    'insert or a removal the whole row, of an update the changed columns. Arguments: '
    'the column for entity_id, and the one for document_id, if there is one; with '
    'tenant_id they are the key. The actor is docmeta.actor, a claim of the client''s, '
    'else the session''s user; docmeta.request_id is taken as it is. A bulk load with '
    'session_replication_role = ''replica'', which takes a superuser, is not recorded.';


-- What may not be changed -------------------------------------------------------------

CREATE FUNCTION docmeta.refuse_change()
    RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $refuse$
BEGIN
    RAISE EXCEPTION '%.% refuses %: it is %',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP, TG_ARGV[0]
        USING ERRCODE = 'restrict_violation';
END
$refuse$;
REVOKE ALL ON FUNCTION docmeta.refuse_change() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.refuse_change() IS
    'Refuses the statement that fires it. Argument: what the table is that forbids it.';


-- The trash ---------------------------------------------------------------------------

CREATE FUNCTION docmeta.adopt_content()
    RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $adopt$
BEGIN
    -- IS NOT NULL would let the index of abandoned contents be read for each new row:
    -- by the last ANALYZE it is empty, and a purge may since have filled it.
    UPDATE docmeta.hash_index AS content
    SET orphaned_at = NULL
    FROM new_rows
    WHERE content.tenant_id = new_rows.tenant_id
        AND content.sha256 = new_rows.content_sha256
        AND (content.orphaned_at IS NULL) IS FALSE;
    RETURN NULL;
END
$adopt$;
REVOKE ALL ON FUNCTION docmeta.adopt_content() FROM PUBLIC;
COMMENT ON FUNCTION docmeta.adopt_content() IS
    'Takes orphaned_at from a content that has a document again.';

CREATE FUNCTION docmeta.purge_documents(older_than interval, at_most integer)
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
REVOKE ALL ON FUNCTION docmeta.purge_documents(interval, integer) FROM PUBLIC;
COMMENT ON FUNCTION docmeta.purge_documents(interval, integer) IS
    'Removes documents that have been in the trash for older_than, the longest deleted '
    'first, at_most so many, and returns how many; those on legal hold, to be retained '
    'still, or locked by another session, or whose content is, stay. Contents left '
    'without a document get orphaned_at. Call it, and commit, until it returns 0.';


-- The triggers, in the order in which writers reach the tables ------------------------

CREATE TRIGGER import_batches_record_insert
    AFTER INSERT ON docmeta.import_batches
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id');
COMMENT ON TRIGGER import_batches_record_insert ON docmeta.import_batches IS
    'One audit row for each batch inserted.';

CREATE TRIGGER import_batches_record_update
    AFTER UPDATE ON docmeta.import_batches
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id');
COMMENT ON TRIGGER import_batches_record_update ON docmeta.import_batches IS
    'One audit row for each batch changed.';

CREATE TRIGGER import_batches_record_delete
    AFTER DELETE ON docmeta.import_batches
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id');
COMMENT ON TRIGGER import_batches_record_delete ON docmeta.import_batches IS
    'One audit row for each batch deleted.';

CREATE TRIGGER import_batches_no_truncate
    BEFORE TRUNCATE ON docmeta.import_batches
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('audited row by row');
COMMENT ON TRIGGER import_batches_no_truncate ON docmeta.import_batches IS
    'A TRUNCATE would leave no audit row of what it took.';

CREATE TRIGGER documents_touch
    BEFORE UPDATE ON docmeta.documents
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION docmeta.touch_document();
COMMENT ON TRIGGER documents_touch ON docmeta.documents IS
    'Keeps updated_at, updated_by and row_version true.';

CREATE TRIGGER documents_record_insert
    AFTER INSERT ON docmeta.documents
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id', 'id');
COMMENT ON TRIGGER documents_record_insert ON docmeta.documents IS
    'One audit row for each document inserted.';

CREATE TRIGGER documents_record_update
    AFTER UPDATE ON docmeta.documents
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id', 'id');
COMMENT ON TRIGGER documents_record_update ON docmeta.documents IS
    'One audit row for each document changed.';

CREATE TRIGGER documents_record_delete
    AFTER DELETE ON docmeta.documents
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id', 'id');
COMMENT ON TRIGGER documents_record_delete ON docmeta.documents IS
    'One audit row for each document deleted.';

CREATE TRIGGER documents_no_truncate
    BEFORE TRUNCATE ON docmeta.documents
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('audited row by row');
COMMENT ON TRIGGER documents_no_truncate ON docmeta.documents IS
    'A TRUNCATE would leave no audit row of what it took.';

CREATE TRIGGER documents_adopt_content
    AFTER INSERT ON docmeta.documents
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.adopt_content();
COMMENT ON TRIGGER documents_adopt_content ON docmeta.documents IS
    'A content with a document is no orphan.';

CREATE TRIGGER document_classifications_record_insert
    AFTER INSERT ON docmeta.document_classifications
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id', 'document_id');
COMMENT ON TRIGGER document_classifications_record_insert
    ON docmeta.document_classifications IS
    'One audit row for each classification inserted.';

CREATE TRIGGER document_classifications_record_update
    AFTER UPDATE ON docmeta.document_classifications
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id', 'document_id');
COMMENT ON TRIGGER document_classifications_record_update
    ON docmeta.document_classifications IS
    'One audit row for each classification changed.';

CREATE TRIGGER document_classifications_record_delete
    AFTER DELETE ON docmeta.document_classifications
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id', 'document_id');
COMMENT ON TRIGGER document_classifications_record_delete
    ON docmeta.document_classifications IS
    'One audit row for each classification deleted.';

CREATE TRIGGER document_classifications_no_truncate
    BEFORE TRUNCATE ON docmeta.document_classifications
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('audited row by row');
COMMENT ON TRIGGER document_classifications_no_truncate
    ON docmeta.document_classifications IS
    'A TRUNCATE would leave no audit row of what it took.';

CREATE TRIGGER tags_touch
    BEFORE UPDATE ON docmeta.tags
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION docmeta.touch_tag();
COMMENT ON TRIGGER tags_touch ON docmeta.tags IS
    'Keeps updated_at and updated_by true.';

CREATE TRIGGER tags_record_insert
    AFTER INSERT ON docmeta.tags
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id');
COMMENT ON TRIGGER tags_record_insert ON docmeta.tags IS
    'One audit row for each tag inserted.';

CREATE TRIGGER tags_record_update
    AFTER UPDATE ON docmeta.tags
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id');
COMMENT ON TRIGGER tags_record_update ON docmeta.tags IS
    'One audit row for each tag changed.';

CREATE TRIGGER tags_record_delete
    AFTER DELETE ON docmeta.tags
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('id');
COMMENT ON TRIGGER tags_record_delete ON docmeta.tags IS
    'One audit row for each tag deleted.';

CREATE TRIGGER tags_no_truncate
    BEFORE TRUNCATE ON docmeta.tags
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('audited row by row');
COMMENT ON TRIGGER tags_no_truncate ON docmeta.tags IS
    'A TRUNCATE would leave no audit row of what it took.';

CREATE TRIGGER document_tags_record_insert
    AFTER INSERT ON docmeta.document_tags
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('tag_id', 'document_id');
COMMENT ON TRIGGER document_tags_record_insert ON docmeta.document_tags IS
    'One audit row for each link inserted.';

CREATE TRIGGER document_tags_record_update
    AFTER UPDATE ON docmeta.document_tags
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('tag_id', 'document_id');
COMMENT ON TRIGGER document_tags_record_update ON docmeta.document_tags IS
    'One audit row for each link changed.';

CREATE TRIGGER document_tags_record_delete
    AFTER DELETE ON docmeta.document_tags
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.record_changes('tag_id', 'document_id');
COMMENT ON TRIGGER document_tags_record_delete ON docmeta.document_tags IS
    'One audit row for each link deleted.';

CREATE TRIGGER document_tags_no_truncate
    BEFORE TRUNCATE ON docmeta.document_tags
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('audited row by row');
COMMENT ON TRIGGER document_tags_no_truncate ON docmeta.document_tags IS
    'A TRUNCATE would leave no audit row of what it took.';

-- ALWAYS: a session that replicates or loads in bulk must not change a log either.
CREATE TRIGGER duplicate_log_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON docmeta.duplicate_log
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('append-only');
ALTER TABLE docmeta.duplicate_log ENABLE ALWAYS TRIGGER duplicate_log_append_only;
COMMENT ON TRIGGER duplicate_log_append_only ON docmeta.duplicate_log IS
    'A log is only added to.';

CREATE TRIGGER audit_log_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON docmeta.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION docmeta.refuse_change('append-only');
ALTER TABLE docmeta.audit_log ENABLE ALWAYS TRIGGER audit_log_append_only;
COMMENT ON TRIGGER audit_log_append_only ON docmeta.audit_log IS
    'A log is only added to.';


-- A content that was abandoned, and got a document while this was not there to see it.
-- One that somebody has locked is being claimed or purged, which says so itself.
UPDATE docmeta.hash_index AS content
SET orphaned_at = NULL
FROM (
    SELECT tenant_id, sha256 FROM docmeta.hash_index AS orphan
    WHERE orphaned_at IS NOT NULL
        AND EXISTS (
            SELECT FROM docmeta.documents
            WHERE documents.tenant_id = orphan.tenant_id
                AND documents.content_sha256 = orphan.sha256
        )
    FOR NO KEY UPDATE SKIP LOCKED
) AS adopted
WHERE content.tenant_id = adopted.tenant_id AND content.sha256 = adopted.sha256;
