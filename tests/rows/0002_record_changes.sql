-- Changes for 0002, each of which leaves an audit row: of a person for a request, of a login,
-- and of every kind there is.

SET docmeta.actor = 'ada';
SET docmeta.request_id = 'req-2';

INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (sha256('three'), 5);
INSERT INTO docmeta.documents (tenant_id, content_sha256, filename, deleted_at, deleted_by)
VALUES
    (1, sha256('one'), 'scan.pdf', NULL, NULL),
    (1, sha256('three'), 'draft.txt', '2026-03-03 00:00+00', 'ada'),
    (2, sha256('one'), 'reply.eml', NULL, NULL);

UPDATE docmeta.documents SET title = 'Invoice 4712', page_count = 3
WHERE tenant_id = 1 AND id = 2;

UPDATE docmeta.tags
SET deleted_at = NULL, deleted_by = NULL, delete_reason = NULL
WHERE tenant_id = 1 AND id = 5;

RESET docmeta.actor;
RESET docmeta.request_id;

UPDATE docmeta.documents
SET deleted_at = '2026-03-08 00:00+00', deleted_by = 'bob', delete_reason = 'unreadable'
WHERE tenant_id = 1 AND filename = 'scan.pdf';

DELETE FROM docmeta.document_tags WHERE tenant_id = 1 AND document_id = 11;

SET docmeta.tenant_id = '1';
SELECT docmeta.purge_documents('1 day', 1);
RESET docmeta.tenant_id;

-- As after rows that were never committed.
SELECT nextval('docmeta.documents_id_seq');
SELECT nextval('docmeta.audit_log_id_seq');
