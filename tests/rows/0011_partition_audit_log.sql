-- Sample rows for 0011: entries that came when it was partitioned, of two tenants. Months
-- are made from the clock, and would be another schema: tests/test_partitions.py has them.

INSERT INTO docmeta.audit_log (
    tenant_id, occurred_at, entity_type, entity_id, document_id, action, old_row, new_row,
    actor, db_user, request_id
) VALUES
    (1, '2026-04-01 00:00+00', 'documents', 2, 2, 'update', '{"title": null}',
        '{"title": "Invoice"}', 'ada', 'app', 'req-11'),
    (2, '2026-05-01 00:00+00', 'tags', 6, NULL, 'insert', NULL, '{"name": "Paid"}', 'eve',
        'app', NULL),
    (1, '2026-05-31 23:59:59.999999+00', 'documents', 5, 5, 'purge', '{"id": 5}', NULL, 'retention',
        'retention', NULL);
