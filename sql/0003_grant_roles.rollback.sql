-- Takes all grants back and gives what docmeta holds to the migrating role. The roles
-- stay: they are the cluster's, and another database may use them.

SET LOCAL lock_timeout = '200ms';

-- In the order in which writers reach the tables, or the two could wait for each other.
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

REVOKE ALL
    ON FUNCTION docmeta.purge_documents(interval, integer)
    FROM docmeta_retention;

-- Of a table, and of each of its columns.
REVOKE ALL
    ON docmeta.import_batches, docmeta.hash_index, docmeta.documents,
        docmeta.duplicate_log, docmeta.document_classifications, docmeta.tags,
        docmeta.document_tags, docmeta.audit_log, docmeta.error_log
    FROM docmeta_ingest, docmeta_app, docmeta_reader, docmeta_auditor;

REVOKE USAGE
    ON SCHEMA docmeta
    FROM docmeta_ingest, docmeta_app, docmeta_reader, docmeta_auditor,
        docmeta_retention;

-- The schema first: who is to own a table must be able to make it there.
ALTER SCHEMA docmeta OWNER TO CURRENT_USER;

ALTER FUNCTION docmeta.purge_documents(interval, integer) OWNER TO CURRENT_USER;
ALTER FUNCTION docmeta.adopt_content() OWNER TO CURRENT_USER;
ALTER FUNCTION docmeta.refuse_change() OWNER TO CURRENT_USER;
ALTER FUNCTION docmeta.record_changes() OWNER TO CURRENT_USER;
ALTER FUNCTION docmeta.touch_tag() OWNER TO CURRENT_USER;
ALTER FUNCTION docmeta.touch_document() OWNER TO CURRENT_USER;

ALTER TABLE docmeta.error_log OWNER TO CURRENT_USER;
ALTER TABLE docmeta.audit_log OWNER TO CURRENT_USER;
ALTER TABLE docmeta.document_tags OWNER TO CURRENT_USER;
ALTER TABLE docmeta.tags OWNER TO CURRENT_USER;
ALTER TABLE docmeta.document_classifications OWNER TO CURRENT_USER;
ALTER TABLE docmeta.duplicate_log OWNER TO CURRENT_USER;
ALTER TABLE docmeta.documents OWNER TO CURRENT_USER;
ALTER TABLE docmeta.hash_index OWNER TO CURRENT_USER;
ALTER TABLE docmeta.import_batches OWNER TO CURRENT_USER;
