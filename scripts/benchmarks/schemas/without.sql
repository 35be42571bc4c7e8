-- docmeta's first migration without one of its parts each: what is taken away before the first
-- document comes, to see what it costs. Nobody is to do so: the words say what would be lost.

-- [public_id] the name to show outside, and its unique index
ALTER TABLE docmeta.documents DROP COLUMN public_id;

-- [content_idx] the documents of a content; a content could not be removed without reading them all
DROP INDEX docmeta.documents_content_idx;

-- [source_key] one live document per source object
DROP INDEX docmeta.documents_live_source_key;

-- [batch_idx] the documents of a run
DROP INDEX docmeta.documents_batch_idx;

-- [verify_idx] what to verify next
DROP INDEX docmeta.hash_index_verify_idx;

-- [foreign_keys] that a document's run and content are there
ALTER TABLE docmeta.documents
    DROP CONSTRAINT documents_batch_fkey,
    DROP CONSTRAINT documents_content_fkey;

-- [checks] every CHECK of documents and hash_index
DO $$
DECLARE
    rule record;
BEGIN
    FOR rule IN
        SELECT conrelid::regclass AS of_table, conname FROM pg_constraint
        WHERE contype = 'c'
            AND conrelid IN ('docmeta.documents'::regclass, 'docmeta.hash_index'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rule.of_table, rule.conname);
    END LOOP;
END
$$;

-- [bookkeeping] who made and last changed a document, and its row version
ALTER TABLE docmeta.documents
    DROP COLUMN created_by, DROP COLUMN updated_by, DROP COLUMN row_version;
