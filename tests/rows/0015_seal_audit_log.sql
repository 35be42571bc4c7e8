-- Sample rows for 0015: the entries of two tenants sealed month by month, and then some
-- that came after, of which the last is not sealed yet.

SELECT docmeta.seal_audit_log();

INSERT INTO docmeta.audit_log (
    tenant_id, occurred_at, entity_type, entity_id, document_id, action, old_row, new_row,
    actor, db_user, request_id
) VALUES
    (1, '2026-06-01 00:00+00', 'documents', 2, 2, 'restore', '{"deleted_at": "2026"}',
        '{"deleted_at": null}', 'ada', 'app', 'req-15'),
    (3, '2026-06-01 00:00:01+00', 'tags', 7, NULL, 'insert', NULL, '{"name": "New"}', 'eve',
        'app', NULL);

SELECT docmeta.seal_audit_log();

INSERT INTO docmeta.audit_log (occurred_at, entity_type, entity_id, action, old_row)
VALUES ('2026-06-02 00:00+00', 'tags', 7, 'delete', '{"name": "New"}');

-- As after an append that was rolled back.
SELECT nextval('docmeta.audit_log_id_seq');
