-- Takes the triggers and functions away. What they wrote stays: the audit rows are the
-- log's, and updated_at, row_version and orphaned_at are facts of their rows.
--
-- A rollback drops what the migration made; that is no oversight.
-- squawk-ignore-file ban-drop-function

SET LOCAL lock_timeout = '200ms';

-- In the order in which writers reach the tables, or the two could wait for each other.
LOCK TABLE
    docmeta.documents,
    docmeta.import_batches,
    docmeta.audit_log,
    docmeta.document_classifications,
    docmeta.document_tags,
    docmeta.tags,
    docmeta.duplicate_log
    IN ACCESS EXCLUSIVE MODE;

DROP TRIGGER audit_log_append_only ON docmeta.audit_log;
DROP TRIGGER duplicate_log_append_only ON docmeta.duplicate_log;

DROP TRIGGER document_tags_no_truncate ON docmeta.document_tags;
DROP TRIGGER document_tags_record_delete ON docmeta.document_tags;
DROP TRIGGER document_tags_record_update ON docmeta.document_tags;
DROP TRIGGER document_tags_record_insert ON docmeta.document_tags;

DROP TRIGGER tags_no_truncate ON docmeta.tags;
DROP TRIGGER tags_record_delete ON docmeta.tags;
DROP TRIGGER tags_record_update ON docmeta.tags;
DROP TRIGGER tags_record_insert ON docmeta.tags;
DROP TRIGGER tags_touch ON docmeta.tags;

DROP TRIGGER document_classifications_no_truncate ON docmeta.document_classifications;
DROP TRIGGER document_classifications_record_delete ON docmeta.document_classifications;
DROP TRIGGER document_classifications_record_update ON docmeta.document_classifications;
DROP TRIGGER document_classifications_record_insert ON docmeta.document_classifications;

DROP TRIGGER documents_adopt_content ON docmeta.documents;
DROP TRIGGER documents_no_truncate ON docmeta.documents;
DROP TRIGGER documents_record_delete ON docmeta.documents;
DROP TRIGGER documents_record_update ON docmeta.documents;
DROP TRIGGER documents_record_insert ON docmeta.documents;
DROP TRIGGER documents_touch ON docmeta.documents;

DROP TRIGGER import_batches_no_truncate ON docmeta.import_batches;
DROP TRIGGER import_batches_record_delete ON docmeta.import_batches;
DROP TRIGGER import_batches_record_update ON docmeta.import_batches;
DROP TRIGGER import_batches_record_insert ON docmeta.import_batches;

DROP FUNCTION docmeta.purge_documents(interval, integer);
DROP FUNCTION docmeta.adopt_content();
DROP FUNCTION docmeta.refuse_change();
DROP FUNCTION docmeta.record_changes();
DROP FUNCTION docmeta.touch_tag();
DROP FUNCTION docmeta.touch_document();
