-- The schema that is written first: random uuids for keys, the digest as hex text, unique in
-- documents, and an audit by a trigger for each row.

-- [tables] seven tables, each query of the application with its index
CREATE TABLE import_batches (
    id          uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    created_at  timestamptz  NOT NULL DEFAULT now()
);

CREATE TABLE documents (
    id             uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    batch_id       uuid         REFERENCES import_batches (id),
    hash           text         NOT NULL UNIQUE,
    size_bytes     bigint       NOT NULL,
    storage_uri    text,
    filename       text         NOT NULL,
    title          text,
    author         text,
    mime_type      text,
    language       text,
    page_count     integer,
    document_date  date,
    source_system  text,
    source_id      text,
    source_uri     text,
    status         text         NOT NULL DEFAULT 'ready',
    attributes     jsonb        NOT NULL DEFAULT '{}',
    created_at     timestamptz  NOT NULL DEFAULT now(),
    updated_at     timestamptz  NOT NULL DEFAULT now(),
    deleted_at     timestamptz
);
CREATE INDEX documents_batch_id_idx ON documents (batch_id);
CREATE INDEX documents_status_idx ON documents (status);
CREATE INDEX documents_created_at_idx ON documents (created_at);
CREATE INDEX documents_deleted_at_idx ON documents (deleted_at);
CREATE INDEX documents_source_idx ON documents (source_system, source_id);

CREATE TABLE tags (
    id    uuid  PRIMARY KEY DEFAULT gen_random_uuid(),
    name  text  NOT NULL UNIQUE
);

CREATE TABLE document_tags (
    document_id  uuid  NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    tag_id       uuid  NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, tag_id)
);
CREATE INDEX document_tags_tag_id_idx ON document_tags (tag_id);

CREATE TABLE error_log (
    id             uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    document_id    uuid,
    status         text         NOT NULL DEFAULT 'pending',
    message        text         NOT NULL,
    attempt_no     integer      NOT NULL DEFAULT 1,
    next_retry_at  timestamptz,
    created_at     timestamptz  NOT NULL DEFAULT now()
);
CREATE INDEX error_log_status_idx ON error_log (status);
CREATE INDEX error_log_document_id_idx ON error_log (document_id);

CREATE TABLE audit_log (
    id          uuid         PRIMARY KEY DEFAULT gen_random_uuid(),
    table_name  text         NOT NULL,
    record_id   uuid         NOT NULL,
    action      text         NOT NULL,
    old_data    jsonb,
    new_data    jsonb,
    changed_by  text         NOT NULL DEFAULT session_user,
    changed_at  timestamptz  NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_log_record_id_idx ON audit_log (record_id);
CREATE INDEX audit_log_changed_at_idx ON audit_log (changed_at);

CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_log (table_name, record_id, action, old_data, new_data)
    VALUES (
        TG_TABLE_NAME, coalesce(NEW.id, OLD.id), TG_OP,
        CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
        CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END
    );
    RETURN NULL;
END
$$;
CREATE TRIGGER documents_audit AFTER INSERT OR UPDATE OR DELETE ON documents
    FOR EACH ROW EXECUTE FUNCTION audit();

-- [first] what a document needs before it: its run; and the tags
INSERT INTO import_batches (id)
SELECT md5(n::text)::uuid FROM generate_series(1, %(batches)s) AS n;

INSERT INTO tags (id, name)
SELECT md5(n::text)::uuid, 'Tag ' || n FROM generate_series(1, %(tags)s) AS n;

-- [ingest] INSERT ... ON CONFLICT on the unique digest; row trigger
INSERT INTO documents (
    batch_id, hash, size_bytes, storage_uri, filename, title, author, mime_type,
    language, page_count, document_date, source_system, source_id, source_uri,
    attributes, created_at, updated_at, deleted_at
)
SELECT
    md5(batch::text)::uuid, encode(sha256, 'hex'), size_bytes, storage_uri, filename,
    title, author, mime_type, language, page_count, document_date, source_system,
    source_id, source_uri, attributes, created_at, created_at, deleted_at
FROM arrived
ON CONFLICT (hash) DO NOTHING;

-- [fill] tags, and failures that wait for another attempt
INSERT INTO document_tags (document_id, tag_id)
SELECT id, md5(unnest(tags)::text)::uuid
FROM documents JOIN arrived ON encode(sha256, 'hex') = hash;

INSERT INTO error_log (document_id, message, next_retry_at, created_at)
SELECT id, 'no answer in time', d.created_at, d.created_at
FROM documents AS d JOIN arrived ON encode(sha256, 'hex') = hash
WHERE fails;

-- [pick] the id of a document
SELECT id FROM documents WHERE hash = encode(%(digest)s::bytea, 'hex');

-- [copies] documents by content
SELECT decode(hash, 'hex'), count(*) FROM documents
WHERE hash IN (SELECT encode(digest, 'hex') FROM unnest(%(digests)s::bytea[]) AS digest)
GROUP BY hash;

-- [look_up] unique index on hex text
SELECT id FROM documents WHERE hash = encode($1::bytea, 'hex');

-- [live_from] a place in the list
SELECT created_at, id FROM documents WHERE id = %(id)s;

-- [live_page] keyset on created_at, for a uuid has no order
SELECT id, filename, title, status, created_at FROM documents
WHERE deleted_at IS NULL AND (created_at, id) < ($1, $2)
ORDER BY created_at DESC, id DESC LIMIT 50;

-- [trash_from] a place in the trash
SELECT %(at)s::timestamptz, '00000000-0000-0000-0000-000000000000';

-- [trash_page] keyset on the index of deleted_at
SELECT id, filename, title, deleted_at FROM documents
WHERE deleted_at IS NOT NULL AND (deleted_at, id) > ($1, $2)
ORDER BY deleted_at, id LIMIT 50;

-- [search] ILIKE, every document read
SELECT id FROM documents
WHERE deleted_at IS NULL
    AND (filename ILIKE '%' || $1 || '%' OR title ILIKE '%' || $1 || '%')
LIMIT 50;

-- [tag_filter] index on tag_id, the matches sorted
SELECT d.id, d.filename FROM document_tags AS t
JOIN documents AS d ON d.id = t.document_id
WHERE t.tag_id = md5($1::bigint::text)::uuid AND t.document_id > $2
    AND d.deleted_at IS NULL
ORDER BY t.document_id LIMIT 50;

-- [history] index on record_id, sorted by time
SELECT id, action FROM audit_log
WHERE record_id = $1
ORDER BY changed_at DESC LIMIT 50;

-- [change] row trigger, both rows whole
UPDATE documents SET page_count = $2, updated_at = now() WHERE id = ANY ($1::uuid[]);

-- [take] index on status, SKIP LOCKED
UPDATE error_log AS e
SET attempt_no = attempt_no + 1, next_retry_at = now() + interval '1 hour'
FROM (
    SELECT id FROM error_log
    WHERE status = 'pending' AND next_retry_at <= now()
    ORDER BY next_retry_at LIMIT 10
    FOR UPDATE SKIP LOCKED
) AS due
WHERE e.id = due.id
RETURNING e.id;

-- [purge] DELETE with cascade, row trigger
WITH gone AS (
    DELETE FROM documents WHERE id IN (
        SELECT id FROM documents
        WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id LIMIT $1
    )
    RETURNING id
)
SELECT count(*) FROM gone;
