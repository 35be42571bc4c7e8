-- What a pipeline and an application ask of docmeta, whose tables come of the migrations.
--
-- The client names no tenant in what it writes: it has one, which is the default.

-- [session] a login of the groups that 0003 made, which sees the tenant of 0014
SET docmeta.tenant_id = '1';
SET ROLE bench_client;

-- [first] what a document needs before it: its run; and the tags
INSERT INTO docmeta.import_batches (
    id, source_kind, status, started_at, finished_at
)
OVERRIDING SYSTEM VALUE
SELECT n, 'filesystem', 'succeeded', now(), now()
FROM generate_series(1, %(batches)s) AS n;

INSERT INTO docmeta.tags (id, name)
OVERRIDING SYSTEM VALUE
SELECT n, 'Tag ' || n FROM generate_series(1, %(tags)s) AS n;

-- [ingest] claims in hash_index what is new or abandoned, then makes documents of what it claimed
WITH claimed AS (
    INSERT INTO docmeta.hash_index (sha256, size_bytes, storage_uri)
    SELECT sha256, size_bytes, storage_uri FROM arrived
    ORDER BY sha256
    ON CONFLICT (tenant_id, sha256) DO UPDATE SET orphaned_at = NULL
        WHERE hash_index.orphaned_at IS NOT NULL
    RETURNING sha256
)
INSERT INTO docmeta.documents (
    batch_id, content_sha256, filename, title, author, mime_type, language, page_count,
    document_date, source_system, source_id, source_uri, status, attributes,
    created_at, updated_at, deleted_at, deleted_by
)
SELECT
    batch, sha256, filename, title, author, mime_type, language, page_count,
    document_date, source_system, source_id, source_uri, 'ready', attributes,
    created_at, created_at, deleted_at, CASE WHEN deleted_at IS NOT NULL THEN 'anna' END
FROM arrived JOIN claimed USING (sha256)
ORDER BY created_at;

-- [fill] tags, and failures that wait for another attempt
INSERT INTO docmeta.document_tags (document_id, tag_id, source)
SELECT id, unnest(tags), 'import'
FROM docmeta.documents JOIN arrived ON sha256 = content_sha256 WHERE tenant_id = 1;

INSERT INTO docmeta.error_log (
    document_id, stage, error_class, message, retryable, next_retry_at, occurred_at
)
SELECT id, 'extract', 'Timeout', 'no answer in time', true, d.created_at, d.created_at
FROM docmeta.documents AS d JOIN arrived ON sha256 = content_sha256
WHERE tenant_id = 1 AND fails;

-- [pick] the id of a document
SELECT id FROM docmeta.documents
WHERE tenant_id = 1 AND content_sha256 = %(digest)s::bytea;

-- [copies] documents by content
SELECT content_sha256, count(*) FROM docmeta.documents
WHERE tenant_id = 1 AND content_sha256 = ANY (%(digests)s::bytea[])
GROUP BY content_sha256;

-- [look_up] key of hash_index, then documents by content
SELECT id FROM docmeta.hash_index AS content
LEFT JOIN docmeta.documents AS document
    ON document.tenant_id = content.tenant_id AND content_sha256 = sha256
WHERE content.tenant_id = 1 AND sha256 = $1;

-- [live_from] a place in the list
SELECT %(id)s;

-- [live_page] keyset on the primary key, read backwards
SELECT id, filename, title, status, created_at FROM docmeta.documents
WHERE tenant_id = 1 AND deleted_at IS NULL AND id < $1
ORDER BY id DESC LIMIT 50;

-- [trash_from] a place in the trash
SELECT %(at)s::timestamptz, 0;

-- [trash_page] keyset on the partial index of the trash
SELECT id, filename, title, deleted_at FROM docmeta.documents
WHERE tenant_id = 1 AND deleted_at IS NOT NULL AND (deleted_at, id) > ($1, $2)
ORDER BY deleted_at, id LIMIT 50;

-- [search] GIN index of 0004, by the function of 0014
SELECT docmeta.search_documents($1, 50);

-- [tag_filter] keyset on document_tags_tag_idx, documents by key
SELECT d.id, d.filename FROM docmeta.document_tags AS t
JOIN docmeta.documents AS d ON d.tenant_id = t.tenant_id AND d.id = t.document_id
WHERE t.tenant_id = 1 AND t.tag_id = $1 AND t.document_id > $2 AND d.deleted_at IS NULL
ORDER BY t.document_id LIMIT 50;

-- [history] audit_log by document, newest first
SELECT id, action FROM docmeta.audit_log
WHERE tenant_id = 1 AND document_id = $1
ORDER BY id DESC LIMIT 50;

-- [change] statement trigger, one INSERT ... SELECT of what changed
UPDATE docmeta.documents SET page_count = $2
WHERE tenant_id = 1 AND id = ANY ($1::bigint[]);

-- [take] partial index of the retry queue, SKIP LOCKED
UPDATE docmeta.error_log AS e
SET attempt_no = attempt_no + 1, next_retry_at = now() + interval '1 hour'
FROM (
    SELECT id FROM docmeta.error_log
    WHERE tenant_id = 1 AND next_retry_at <= now() AND resolved_at IS NULL
    ORDER BY next_retry_at LIMIT 10
    FOR UPDATE SKIP LOCKED
) AS due
WHERE e.tenant_id = 1 AND e.id = due.id
RETURNING e.id;

-- [purge] purge_documents: audited, contents without a document marked
SELECT docmeta.purge_documents('0', $1);
