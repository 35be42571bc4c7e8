-- Sample rows for 0001: every column filled somewhere and null where it may be, two tenants,
-- ids with gaps, sequences ahead of their highest id.

INSERT INTO docmeta.import_batches (
    tenant_id, id, source_kind, source_uri, idempotency_key, status, expected_count,
    imported_count, duplicate_count, failed_count, options, initiated_by, created_at,
    started_at, finished_at
) OVERRIDING SYSTEM VALUE VALUES
    (1, 3, 'filesystem', 'file:///srv/scans', 'scans-2026-03', 'partial', 5, 3, 1, 1,
        '{"recursive": true, "depth": [1, 2]}', 'ada', '2026-03-01 08:00+00',
        '2026-03-01 08:00:01+00', '2026-03-01 08:04:59.123456+00'),
    (1, 7, 'upload', NULL, NULL, 'pending', NULL, 0, 0, 0, '{}', 'bob',
        '2026-03-02 09:00+00', NULL, NULL),
    (2, 8, 'email', 'imap://mail.example/INBOX', 'scans-2026-03', 'running', NULL, 1, 0, 0,
        '{}', 'worker', '2026-03-02 10:00+00', '2026-03-02 10:00+00', NULL),
    (1, 9, 'api', NULL, NULL, 'cancelled', NULL, 0, 0, 0, '{}', 'bob',
        '2026-03-03 09:00+00', NULL, '2026-03-03 09:01+00');

INSERT INTO docmeta.hash_index (
    tenant_id, sha256, size_bytes, storage_uri, verify_status, first_seen_at,
    last_verified_at, orphaned_at
) VALUES
    (1, sha256('one'), 3, 's3://bucket/7692c3', 'match', '2026-03-01 08:00:02+00',
        '2026-04-01 00:00+00', NULL),
    (1, sha256('two'), 8589934592, 's3://bucket/3fc4cc', 'mismatch',
        '2026-03-01 08:00:03+00', '2026-04-01 00:01+00', NULL),
    (1, sha256(''), 0, NULL, 'unverified', '2026-03-01 08:00:04+00', NULL,
        '2026-03-05 00:00+00'),
    (2, sha256('one'), 3, 'file:///store/76', 'missing', '2026-03-02 10:00:01+00',
        '2026-04-02 00:00+00', NULL);

INSERT INTO docmeta.documents (
    tenant_id, id, public_id, batch_id, content_sha256, filename, title, author, mime_type,
    language, page_count, document_date, source_system, source_id, source_uri,
    source_path_raw, source_created_at, source_modified_at, status, legal_hold,
    retain_until, attributes, row_version, created_at, created_by, updated_at, updated_by,
    deleted_at, deleted_by, delete_reason
) OVERRIDING SYSTEM VALUE VALUES
    (1, 2, '00000000-0000-4000-8000-000000000002', 3, sha256('one'), 'invoice.pdf',
        'Invoice 4711', 'Ada', 'application/pdf', 'en', 2, '2026-02-28', 'scanner', 'S-1',
        'file:///srv/scans/invoice.pdf', NULL, '2026-02-28 12:00+00',
        '2026-02-28 12:00:01+00', 'ready', false, '2036-12-31 00:00+00',
        '{"amount": 12.50, "name": "Ärger \u0416"}', 4, '2026-03-01 08:00:05+00', 'ada',
        '2026-03-01 08:10+00', 'bob', NULL, NULL, NULL),
    (1, 5, '00000000-0000-4000-8000-000000000005', 3, sha256('one'), E'r\uFFFDsum\uFFFD.txt',
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '\x72e973756de92e747874',
        NULL, NULL, 'received', true, NULL, '{}', 1, '2026-03-01 08:00:06+00', 'ada',
        '2026-03-01 08:00:06+00', 'ada', NULL, NULL, NULL),
    (1, 6, '00000000-0000-4000-8000-000000000006', NULL, sha256('two'), 'old.tiff', NULL,
        NULL, 'image/tiff', 'pt-BR', 1, NULL, 'scanner', 'S-2', NULL, NULL, NULL, NULL,
        'archived', false, NULL, '{}', 2, '2026-03-01 08:00:07+00', 'ada',
        '2026-03-04 00:00+00', 'bob', '2026-03-04 00:00+00', 'bob', 'scanned twice'),
    (1, 11, '00000000-0000-4000-8000-000000000011', 3, sha256('two'), 'new.tiff', NULL,
        NULL, 'image/tiff', NULL, 1, NULL, 'scanner', 'S-2', NULL, NULL, NULL, NULL,
        'ready', false, NULL, '{}', 1, '2026-03-04 00:00:01+00', 'ada',
        '2026-03-04 00:00:01+00', 'ada', NULL, NULL, NULL),
    (2, 12, '00000000-0000-4000-8000-000000000012', 8, sha256('one'), 'mail.eml', NULL,
        NULL, 'message/rfc822', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        'failed', false, NULL, '{}', 1, '2026-03-02 10:00:02+00', 'worker',
        '2026-03-02 10:00:02+00', 'worker', '2026-03-06 00:00+00', 'worker', NULL);

INSERT INTO docmeta.duplicate_log (
    tenant_id, id, supersedes_id, batch_id, existing_document_id, new_document_id, sha256,
    size_bytes, filename, source_uri, decision, reason, decided_by, decided_at
) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, NULL, 3, 2, NULL, sha256('one'), 3, 'copy of invoice.pdf',
        'file:///srv/scans/copy of invoice.pdf', 'rejected', NULL, 'rule:strict',
        '2026-03-01 08:00:08+00'),
    (1, 4, 1, NULL, 2, 5, sha256('one'), 3, 'copy of invoice.pdf', NULL, 'kept_both',
        'another customer''s', 'bob', '2026-03-02 00:00+00'),
    (2, 5, NULL, 8, 12, NULL, sha256('one'), 3, 'mail.eml', NULL, 'linked', NULL, 'worker',
        '2026-03-02 10:00:03+00');

INSERT INTO docmeta.document_classifications (
    tenant_id, document_id, id, category, confidence, is_primary, source, model_name,
    model_version, classified_by, classified_at, superseded_at
) OVERRIDING SYSTEM VALUE VALUES
    (1, 2, 1, 'invoice', 0.9731, false, 'model', 'layout', '1.4', 'worker',
        '2026-03-01 08:01+00', '2026-03-01 09:00+00'),
    (1, 2, 3, 'invoice', 0.9902, true, 'model', 'layout', '1.5', 'worker',
        '2026-03-01 09:00+00', NULL),
    (1, 2, 4, 'invoice', NULL, false, 'user', NULL, NULL, 'ada', '2026-03-01 10:00+00', NULL),
    (2, 12, 6, 'mail', 1, true, 'rule', NULL, NULL, 'rule:mime', '2026-03-02 10:01+00', NULL);

INSERT INTO docmeta.tags (
    tenant_id, id, name, description, colour, created_at, created_by, updated_at,
    updated_by, deleted_at, deleted_by, delete_reason
) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 'To pay', 'Waits for a transfer', '#c01030', '2026-03-01 00:00+00', 'ada',
        '2026-03-01 00:00+00', 'ada', NULL, NULL, NULL),
    (1, 4, 'to PAY', NULL, NULL, '2026-02-01 00:00+00', 'ada', '2026-02-02 00:00+00', 'bob',
        '2026-02-02 00:00+00', 'bob', 'misspelt'),
    (1, 5, 'Gelöscht', NULL, NULL, '2026-02-01 00:00+00', 'ada', '2026-02-02 00:00+00',
        'bob', '2026-02-02 00:00+00', 'bob', NULL),
    (2, 6, 'To pay', NULL, NULL, '2026-03-02 00:00+00', 'eve', '2026-03-02 00:00+00', 'eve',
        NULL, NULL, NULL);

INSERT INTO docmeta.document_tags (
    tenant_id, document_id, tag_id, source, tagged_by, tagged_at
) VALUES
    (1, 2, 1, 'user', 'ada', '2026-03-01 11:00+00'),
    (1, 11, 1, 'rule', 'rule:tiff', '2026-03-04 00:00:02+00'),
    (2, 12, 6, 'import', 'worker', '2026-03-02 10:02+00');

INSERT INTO docmeta.audit_log (
    tenant_id, id, occurred_at, entity_type, entity_id, document_id, action, old_row,
    new_row, actor, db_user, request_id, transaction_id
) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, '2026-03-01 08:00:05.000001+00', 'documents', 2, 2, 'insert', NULL,
        '{"filename": "invoice.pdf"}', 'ada', 'ingest', 'req-1', '18446744073709551615'),
    (1, 2, '2026-03-01 08:10+00', 'documents', 2, 2, 'update', '{"title": null}',
        '{"title": "Invoice 4711"}', 'bob', 'app', NULL, '740'),
    (1, 5, '2026-03-04 00:00+00', 'documents', 6, 6, 'soft_delete', '{"deleted_at": null}',
        '{"deleted_at": "2026-03-04"}', 'bob', 'app', NULL, '741'),
    (1, 6, '2026-03-05 00:00+00', 'documents', 1, 1, 'purge', '{"id": 1}', NULL,
        'retention', 'retention', NULL, '742'),
    (2, 7, '2026-03-02 00:00+00', 'tags', 6, NULL, 'insert', NULL, '{"name": "To pay"}',
        'eve', 'app', NULL, '743');

INSERT INTO docmeta.error_log (
    tenant_id, id, batch_id, document_id, stage, severity, error_class, message, context,
    detail_raw, attempt_no, retryable, next_retry_at, occurred_at, resolved_at, resolved_by,
    resolution
) OVERRIDING SYSTEM VALUE VALUES
    (1, 1, 3, 5, 'extract', 'error', 'PdfError', 'no trailer', '{"page": 1}',
        '\x00ff0a', 2, true, '2026-03-01 09:00+00', '2026-03-01 08:00:09+00', NULL, NULL,
        NULL),
    (1, 2, NULL, NULL, 'fetch', 'warning', 'Timeout', '', '{}', NULL, 1, false, NULL,
        '2026-03-01 08:00:10+00', '2026-03-01 12:00+00', 'ada', 'source came back'),
    (2, 9, 8, NULL, 'store', 'critical', 'NoSpace', 'disk full', '{}', NULL, 1, true, NULL,
        '2026-03-02 10:03+00', NULL, NULL, NULL);

-- Ahead of the highest id, as after rows that were purged or never committed.
SELECT setval('docmeta.import_batches_id_seq', 40);
SELECT setval('docmeta.documents_id_seq', 1041);
SELECT setval('docmeta.duplicate_log_id_seq', 42);
SELECT setval('docmeta.document_classifications_id_seq', 43);
SELECT setval('docmeta.tags_id_seq', 44, false);
SELECT setval('docmeta.audit_log_id_seq', 2147483650);
SELECT setval('docmeta.error_log_id_seq', 46);
