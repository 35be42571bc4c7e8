-- The physical limit: one table with a primary key, no rule and no other index. It finds no
-- duplicate and knows of no tag: it only takes documents in, and gives them back.

-- [tables] one table
CREATE TABLE documents (
    id             bigint       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id       bigint,
    sha256         bytea,
    size_bytes     bigint,
    storage_uri    text,
    filename       text,
    title          text,
    author         text,
    mime_type      text,
    language       text,
    page_count     integer,
    document_date  date,
    source_system  text,
    source_id      text,
    source_uri     text,
    status         text,
    attributes     jsonb,
    created_at     timestamptz,
    updated_at     timestamptz,
    deleted_at     timestamptz
);

-- [ingest] INSERT, unasked
INSERT INTO documents (
    batch_id, sha256, size_bytes, storage_uri, filename, title, author, mime_type,
    language, page_count, document_date, source_system, source_id, source_uri, status,
    attributes, created_at, updated_at, deleted_at
)
SELECT
    batch, sha256, size_bytes, storage_uri, filename, title, author, mime_type,
    language, page_count, document_date, source_system, source_id, source_uri, 'ready',
    attributes, created_at, created_at, deleted_at
FROM arrived;

-- [pick] ids are given in order
SELECT %(n)s;

-- [live_from] a place in the list
SELECT %(id)s;

-- [live_page] keyset on the primary key, read backwards
SELECT id, filename, title, status, created_at FROM documents
WHERE deleted_at IS NULL AND id < $1
ORDER BY id DESC LIMIT 50;

-- [change] no audit
UPDATE documents SET page_count = $2 WHERE id = ANY ($1::bigint[]);
