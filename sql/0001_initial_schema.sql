-- docmeta can hold what a document-ingestion pipeline knows: its runs, the contents it
-- met, the documents made of them, what was said of these, who changed what, and what
-- failed.
--
-- Why: an importer first claims the content in hash_index (INSERT ... ON CONFLICT),
--     then writes the document. A check followed by an insert races; a unique digest in
--     documents would forbid keeping two documents of one content.
--     tenant_id leads every key, so that rows can be fenced or spread by tenant without
--     a rewrite; who has one tenant never writes it. What acts (triggers, functions,
--     roles) comes in migrations of its own.
-- Locks: none; every object is new.
-- Rollback: lossless; it parks the rows of all tables in docmeta_parked, and the next
--     apply puts them back.

SET LOCAL lock_timeout = '200ms';

CREATE SCHEMA docmeta;

COMMENT ON SCHEMA docmeta IS
    'Metadata store of a document-ingestion pipeline.';


-- 1. import_batches: one run of the pipeline over a source ----------------------------

CREATE TABLE docmeta.import_batches (
    tenant_id        bigint       NOT NULL DEFAULT 1,
    id               bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    source_kind      text         NOT NULL,
    source_uri       text,
    idempotency_key  text,
    status           text         NOT NULL DEFAULT 'pending',
    expected_count   bigint,
    imported_count   bigint       NOT NULL DEFAULT 0,
    duplicate_count  bigint       NOT NULL DEFAULT 0,
    failed_count     bigint       NOT NULL DEFAULT 0,
    options          jsonb        NOT NULL DEFAULT '{}',
    initiated_by     text         NOT NULL DEFAULT session_user,
    created_at       timestamptz  NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,

    CONSTRAINT import_batches_pkey
        PRIMARY KEY (tenant_id, id),
    CONSTRAINT import_batches_idempotency_key_key
        UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT import_batches_source_kind_known_check
        CHECK (source_kind IN
            ('upload', 'filesystem', 'object_store', 'email', 'api', 'crawler')),
    CONSTRAINT import_batches_source_uri_1_to_4096_check
        CHECK (char_length(source_uri) BETWEEN 1 AND 4096),
    CONSTRAINT import_batches_idempotency_key_1_to_256_check
        CHECK (char_length(idempotency_key) BETWEEN 1 AND 256),
    CONSTRAINT import_batches_status_known_check
        CHECK (status IN
            ('pending', 'running', 'succeeded', 'partial', 'failed', 'cancelled')),
    CONSTRAINT import_batches_expected_count_not_negative_check
        CHECK (expected_count >= 0),
    CONSTRAINT import_batches_imported_count_not_negative_check
        CHECK (imported_count >= 0),
    CONSTRAINT import_batches_duplicate_count_not_negative_check
        CHECK (duplicate_count >= 0),
    CONSTRAINT import_batches_failed_count_not_negative_check
        CHECK (failed_count >= 0),
    CONSTRAINT import_batches_options_is_object_check
        CHECK (jsonb_typeof(options) = 'object'),
    CONSTRAINT import_batches_options_at_most_64_kib_check
        CHECK (octet_length(options::text) <= 65536),
    CONSTRAINT import_batches_initiated_by_1_to_256_check
        CHECK (char_length(initiated_by) BETWEEN 1 AND 256),
    CONSTRAINT import_batches_running_has_started_check
        CHECK (status <> 'running' OR started_at IS NOT NULL),
    CONSTRAINT import_batches_ended_exactly_when_finished_check
        CHECK ((status IN ('succeeded', 'partial', 'failed', 'cancelled'))
            = (finished_at IS NOT NULL)),
    CONSTRAINT import_batches_finished_not_before_started_check
        CHECK (finished_at >= started_at)
);

COMMENT ON TABLE docmeta.import_batches IS
    'One run of the pipeline over a source.';
COMMENT ON COLUMN docmeta.import_batches.source_kind IS
    'What sort of place the run reads from.';
COMMENT ON COLUMN docmeta.import_batches.source_uri IS
    'Where the run reads from; null where the source has no address (an upload).';
COMMENT ON COLUMN docmeta.import_batches.idempotency_key IS
    'The caller''s own name for the run: asked for twice, it is one run that resumes. '
    'Null where the caller gave none.';
COMMENT ON COLUMN docmeta.import_batches.status IS
    'pending and running; then succeeded, partial (some failed), failed or cancelled.';
COMMENT ON COLUMN docmeta.import_batches.expected_count IS
    'Documents that the source announced; null where it did not.';
COMMENT ON COLUMN docmeta.import_batches.imported_count IS
    'Documents that the run has made so far.';
COMMENT ON COLUMN docmeta.import_batches.duplicate_count IS
    'Contents that it met and that were there already.';
COMMENT ON COLUMN docmeta.import_batches.failed_count IS
    'Documents that it could not make; error_log says why.';
COMMENT ON COLUMN docmeta.import_batches.options IS
    'Settings of the run, as the pipeline understood them.';
COMMENT ON COLUMN docmeta.import_batches.initiated_by IS
    'The person or service that started it.';
COMMENT ON COLUMN docmeta.import_batches.started_at IS
    'Null until the run has begun.';
COMMENT ON COLUMN docmeta.import_batches.finished_at IS
    'Set exactly when status is succeeded, partial, failed or cancelled.';


-- 2. hash_index: one row per distinct content -----------------------------------------

CREATE TABLE docmeta.hash_index (
    tenant_id         bigint       NOT NULL DEFAULT 1,
    sha256            bytea        NOT NULL,
    size_bytes        bigint       NOT NULL,
    storage_uri       text,
    verify_status     text         NOT NULL DEFAULT 'unverified',
    first_seen_at     timestamptz  NOT NULL DEFAULT now(),
    last_verified_at  timestamptz,
    orphaned_at       timestamptz,

    CONSTRAINT hash_index_pkey
        PRIMARY KEY (tenant_id, sha256),
    CONSTRAINT hash_index_sha256_is_32_bytes_check
        CHECK (octet_length(sha256) = 32),
    CONSTRAINT hash_index_size_bytes_not_negative_check
        CHECK (size_bytes >= 0),
    CONSTRAINT hash_index_storage_uri_1_to_4096_check
        CHECK (char_length(storage_uri) BETWEEN 1 AND 4096),
    CONSTRAINT hash_index_verify_status_known_check
        CHECK (verify_status IN ('unverified', 'match', 'mismatch', 'missing')),
    CONSTRAINT hash_index_dated_exactly_when_verified_check
        CHECK ((verify_status = 'unverified') = (last_verified_at IS NULL))
);

COMMENT ON TABLE docmeta.hash_index IS
    'One row per distinct content: the one place where two importers of the same '
    'bytes meet, and where fixity is recorded. Never soft-deleted.';
COMMENT ON COLUMN docmeta.hash_index.sha256 IS
    'SHA-256 digest of the content, 32 bytes, not hex.';
COMMENT ON COLUMN docmeta.hash_index.size_bytes IS
    'Length of the content in bytes.';
COMMENT ON COLUMN docmeta.hash_index.storage_uri IS
    'Where the content is kept; null while it is claimed but not yet stored.';
COMMENT ON COLUMN docmeta.hash_index.verify_status IS
    'What the last fixity check found: match, mismatch (other bytes), missing (no '
    'bytes); unverified before the first.';
COMMENT ON COLUMN docmeta.hash_index.first_seen_at IS
    'When the content was first claimed.';
COMMENT ON COLUMN docmeta.hash_index.last_verified_at IS
    'When the content was last read back and hashed; null before the first time.';
COMMENT ON COLUMN docmeta.hash_index.orphaned_at IS
    'Since when no document points here; null while one does.';

CREATE INDEX hash_index_verify_idx
    ON docmeta.hash_index (tenant_id, last_verified_at NULLS FIRST);
COMMENT ON INDEX docmeta.hash_index_verify_idx IS
    'What to verify next, the never verified first: '
    'SELECT sha256 FROM docmeta.hash_index WHERE tenant_id = $1 '
    'ORDER BY last_verified_at NULLS FIRST LIMIT 100';

CREATE INDEX hash_index_orphan_idx
    ON docmeta.hash_index (tenant_id, orphaned_at)
    WHERE orphaned_at IS NOT NULL;
COMMENT ON INDEX docmeta.hash_index_orphan_idx IS
    'Contents that nothing points to, the longest abandoned first: '
    'SELECT sha256 FROM docmeta.hash_index '
    'WHERE tenant_id = $1 AND orphaned_at < $2 '
    'ORDER BY orphaned_at';


-- 3. documents: what was ingested -----------------------------------------------------

CREATE TABLE docmeta.documents (
    tenant_id           bigint       NOT NULL DEFAULT 1,
    id                  bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    public_id           uuid         NOT NULL DEFAULT gen_random_uuid(),
    batch_id            bigint,
    content_sha256      bytea        NOT NULL,
    filename            text         NOT NULL,
    title               text,
    author              text,
    mime_type           text,
    language            text,
    page_count          integer,
    document_date       date,
    source_system       text,
    source_id           text,
    source_uri          text,
    source_path_raw     bytea,
    source_created_at   timestamptz,
    source_modified_at  timestamptz,
    status              text         NOT NULL DEFAULT 'received',
    legal_hold          boolean      NOT NULL DEFAULT false,
    retain_until        timestamptz,
    attributes          jsonb        NOT NULL DEFAULT '{}',
    row_version         bigint       NOT NULL DEFAULT 1,
    created_at          timestamptz  NOT NULL DEFAULT now(),
    created_by          text         NOT NULL DEFAULT session_user,
    updated_at          timestamptz  NOT NULL DEFAULT now(),
    updated_by          text         NOT NULL DEFAULT session_user,
    deleted_at          timestamptz,
    deleted_by          text,
    delete_reason       text,

    CONSTRAINT documents_pkey
        PRIMARY KEY (tenant_id, id),
    CONSTRAINT documents_public_id_key
        UNIQUE (tenant_id, public_id),
    CONSTRAINT documents_batch_fkey
        FOREIGN KEY (tenant_id, batch_id)
        REFERENCES docmeta.import_batches (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT documents_content_fkey
        FOREIGN KEY (tenant_id, content_sha256)
        REFERENCES docmeta.hash_index (tenant_id, sha256) ON DELETE RESTRICT,
    CONSTRAINT documents_filename_1_to_1024_check
        CHECK (char_length(filename) BETWEEN 1 AND 1024),
    CONSTRAINT documents_title_1_to_1024_check
        CHECK (char_length(title) BETWEEN 1 AND 1024),
    CONSTRAINT documents_author_1_to_1024_check
        CHECK (char_length(author) BETWEEN 1 AND 1024),
    CONSTRAINT documents_mime_type_1_to_255_check
        CHECK (char_length(mime_type) BETWEEN 1 AND 255),
    CONSTRAINT documents_language_1_to_35_check
        CHECK (char_length(language) BETWEEN 1 AND 35),
    CONSTRAINT documents_page_count_not_negative_check
        CHECK (page_count >= 0),
    CONSTRAINT documents_source_system_1_to_64_check
        CHECK (char_length(source_system) BETWEEN 1 AND 64),
    CONSTRAINT documents_source_id_1_to_1024_bytes_check
        CHECK (octet_length(source_id) BETWEEN 1 AND 1024),
    CONSTRAINT documents_source_system_exactly_with_id_check
        CHECK ((source_system IS NULL) = (source_id IS NULL)),
    CONSTRAINT documents_source_uri_1_to_4096_check
        CHECK (char_length(source_uri) BETWEEN 1 AND 4096),
    CONSTRAINT documents_source_path_raw_1_to_4096_check
        CHECK (octet_length(source_path_raw) BETWEEN 1 AND 4096),
    CONSTRAINT documents_status_known_check
        CHECK (status IN
            ('received', 'processing', 'ready', 'failed', 'quarantined', 'archived')),
    CONSTRAINT documents_attributes_is_object_check
        CHECK (jsonb_typeof(attributes) = 'object'),
    CONSTRAINT documents_attributes_at_most_64_kib_check
        CHECK (octet_length(attributes::text) <= 65536),
    CONSTRAINT documents_row_version_positive_check
        CHECK (row_version > 0),
    CONSTRAINT documents_created_by_1_to_256_check
        CHECK (char_length(created_by) BETWEEN 1 AND 256),
    CONSTRAINT documents_updated_by_1_to_256_check
        CHECK (char_length(updated_by) BETWEEN 1 AND 256),
    CONSTRAINT documents_deleted_by_1_to_256_check
        CHECK (char_length(deleted_by) BETWEEN 1 AND 256),
    CONSTRAINT documents_deleted_exactly_by_someone_check
        CHECK ((deleted_at IS NULL) = (deleted_by IS NULL)),
    CONSTRAINT documents_delete_reason_1_to_1024_check
        CHECK (char_length(delete_reason) BETWEEN 1 AND 1024),
    CONSTRAINT documents_delete_reason_only_when_deleted_check
        CHECK (delete_reason IS NULL OR deleted_at IS NOT NULL)
);

COMMENT ON TABLE docmeta.documents IS
    'One row per ingested document. Several may share one content; a deleted one '
    'stays until it is purged.';
COMMENT ON COLUMN docmeta.documents.public_id IS
    'The name to show outside: random, so that nobody can count or guess documents.';
COMMENT ON COLUMN docmeta.documents.batch_id IS
    'The run that brought it; null where none did (entered by hand).';
COMMENT ON COLUMN docmeta.documents.content_sha256 IS
    'SHA-256 digest of the content, claimed in hash_index before the document exists.';
COMMENT ON COLUMN docmeta.documents.filename IS
    'Name at the source, without its folder; bytes that are not UTF-8 are replaced '
    'here and kept in source_path_raw.';
COMMENT ON COLUMN docmeta.documents.title IS
    'As the document or its source gives it; null where neither does.';
COMMENT ON COLUMN docmeta.documents.author IS
    'As the document or its source gives it; null where neither does.';
COMMENT ON COLUMN docmeta.documents.mime_type IS
    'Media type, such as application/pdf; null while unknown.';
COMMENT ON COLUMN docmeta.documents.language IS
    'BCP 47 tag, such as de or pt-BR; null while unknown.';
COMMENT ON COLUMN docmeta.documents.page_count IS
    'Null where the format has no pages, or they were not counted.';
COMMENT ON COLUMN docmeta.documents.document_date IS
    'Date that the document itself bears; null where it bears none.';
COMMENT ON COLUMN docmeta.documents.source_system IS
    'System that source_id belongs to; both or neither.';
COMMENT ON COLUMN docmeta.documents.source_id IS
    'Key of the object in its source system; one live document per key.';
COMMENT ON COLUMN docmeta.documents.source_uri IS
    'Where the document was read from; null where that has no address.';
COMMENT ON COLUMN docmeta.documents.source_path_raw IS
    'The source path byte for byte, only where it is not valid UTF-8.';
COMMENT ON COLUMN docmeta.documents.source_created_at IS
    'Creation time as the source tells it; null where it does not.';
COMMENT ON COLUMN docmeta.documents.source_modified_at IS
    'Modification time as the source tells it; null where it does not.';
COMMENT ON COLUMN docmeta.documents.status IS
    'How far the pipeline is: received, processing, then ready or failed; quarantined '
    'and archived ones are set aside.';
COMMENT ON COLUMN docmeta.documents.legal_hold IS
    'While true the document must not be purged, whatever retain_until says.';
COMMENT ON COLUMN docmeta.documents.retain_until IS
    'Not to be purged before this moment; null: no duty to retain.';
COMMENT ON COLUMN docmeta.documents.attributes IS
    'Facts without a column of their own, a JSON object of at most 64 KiB.';
COMMENT ON COLUMN docmeta.documents.row_version IS
    'Counts the changes of the row, for optimistic locking.';
COMMENT ON COLUMN docmeta.documents.deleted_at IS
    'When it was moved to the trash; null while it is live.';

-- No index on status: every change of status would cease to be a HOT update.

CREATE UNIQUE INDEX documents_live_source_key
    ON docmeta.documents (tenant_id, source_system, source_id)
    WHERE deleted_at IS NULL AND source_id IS NOT NULL;
COMMENT ON INDEX docmeta.documents_live_source_key IS
    'The live document of a source object: '
    'SELECT id FROM docmeta.documents '
    'WHERE tenant_id = $1 AND source_system = $2 AND source_id = $3 '
    'AND deleted_at IS NULL';

CREATE INDEX documents_content_idx
    ON docmeta.documents (tenant_id, content_sha256);
COMMENT ON INDEX docmeta.documents_content_idx IS
    'All documents of one content: '
    'SELECT id FROM docmeta.documents '
    'WHERE tenant_id = $1 AND content_sha256 = $2';

CREATE INDEX documents_batch_idx
    ON docmeta.documents (tenant_id, batch_id);
COMMENT ON INDEX docmeta.documents_batch_idx IS
    'What a run brought: '
    'SELECT id FROM docmeta.documents '
    'WHERE tenant_id = $1 AND batch_id = $2';

CREATE INDEX documents_trash_idx
    ON docmeta.documents (tenant_id, deleted_at, id)
    WHERE deleted_at IS NOT NULL;
COMMENT ON INDEX docmeta.documents_trash_idx IS
    'The trash page by page, the longest deleted first: '
    'SELECT id FROM docmeta.documents '
    'WHERE tenant_id = $1 AND deleted_at IS NOT NULL AND (deleted_at, id) > ($2, $3) '
    'ORDER BY deleted_at, id LIMIT 50';


-- 4. duplicate_log: each duplicate met, and what was decided --------------------------

CREATE TABLE docmeta.duplicate_log (
    tenant_id             bigint       NOT NULL DEFAULT 1,
    id                    bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    supersedes_id         bigint,
    batch_id              bigint,
    existing_document_id  bigint       NOT NULL,
    new_document_id       bigint,
    sha256                bytea        NOT NULL,
    size_bytes            bigint       NOT NULL,
    filename              text         NOT NULL,
    source_uri            text,
    decision              text         NOT NULL,
    reason                text,
    decided_by            text         NOT NULL DEFAULT session_user,
    decided_at            timestamptz  NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT duplicate_log_pkey
        PRIMARY KEY (tenant_id, id),
    CONSTRAINT duplicate_log_supersedes_key
        UNIQUE (tenant_id, supersedes_id),
    CONSTRAINT duplicate_log_supersedes_fkey
        FOREIGN KEY (tenant_id, supersedes_id)
        REFERENCES docmeta.duplicate_log (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT duplicate_log_supersedes_an_earlier_check
        CHECK (supersedes_id < id),
    CONSTRAINT duplicate_log_two_documents_differ_check
        CHECK (new_document_id <> existing_document_id),
    CONSTRAINT duplicate_log_sha256_is_32_bytes_check
        CHECK (octet_length(sha256) = 32),
    CONSTRAINT duplicate_log_size_bytes_not_negative_check
        CHECK (size_bytes >= 0),
    CONSTRAINT duplicate_log_filename_1_to_1024_check
        CHECK (char_length(filename) BETWEEN 1 AND 1024),
    CONSTRAINT duplicate_log_source_uri_1_to_4096_check
        CHECK (char_length(source_uri) BETWEEN 1 AND 4096),
    CONSTRAINT duplicate_log_decision_known_check
        CHECK (decision IN
            ('rejected', 'linked', 'restored', 'kept_both', 'not_a_duplicate')),
    CONSTRAINT duplicate_log_kept_both_names_both_check
        CHECK (decision <> 'kept_both' OR new_document_id IS NOT NULL),
    CONSTRAINT duplicate_log_reason_1_to_1024_check
        CHECK (char_length(reason) BETWEEN 1 AND 1024),
    CONSTRAINT duplicate_log_decided_by_1_to_256_check
        CHECK (char_length(decided_by) BETWEEN 1 AND 256)
);

COMMENT ON TABLE docmeta.duplicate_log IS
    'Each duplicate that the pipeline met and what was decided. Append-only, without '
    'foreign keys to documents or batches: the log outlives what it describes.';
COMMENT ON COLUMN docmeta.duplicate_log.supersedes_id IS
    'The earlier decision that this one replaces; null for a first decision.';
COMMENT ON COLUMN docmeta.duplicate_log.batch_id IS
    'The run that met it; null where none did.';
COMMENT ON COLUMN docmeta.duplicate_log.existing_document_id IS
    'The document that was there first.';
COMMENT ON COLUMN docmeta.duplicate_log.new_document_id IS
    'The document made in spite of it; null where none was made.';
COMMENT ON COLUMN docmeta.duplicate_log.sha256 IS
    'SHA-256 digest of the content met, 32 bytes, not hex.';
COMMENT ON COLUMN docmeta.duplicate_log.size_bytes IS
    'Length of the content met, in bytes.';
COMMENT ON COLUMN docmeta.duplicate_log.filename IS
    'Name under which it was met, without its folder.';
COMMENT ON COLUMN docmeta.duplicate_log.source_uri IS
    'Where it was met; null where that has no address.';
COMMENT ON COLUMN docmeta.duplicate_log.decision IS
    'rejected: not imported; linked: the existing document stands for it; restored: '
    'the existing one came back from the trash; kept_both; not_a_duplicate: met in '
    'error.';
COMMENT ON COLUMN docmeta.duplicate_log.reason IS
    'Why it was so decided; null where nobody said.';
COMMENT ON COLUMN docmeta.duplicate_log.decided_by IS
    'The person, rule or service that decided.';
COMMENT ON COLUMN docmeta.duplicate_log.decided_at IS
    'Time of the decision itself, not of its transaction''s start.';

CREATE INDEX duplicate_log_existing_document_idx
    ON docmeta.duplicate_log (tenant_id, existing_document_id, id);
COMMENT ON INDEX docmeta.duplicate_log_existing_document_idx IS
    'The duplicates of a document, in order: '
    'SELECT id, decision FROM docmeta.duplicate_log '
    'WHERE tenant_id = $1 AND existing_document_id = $2 '
    'ORDER BY id';


-- 5. document_classifications: what a document is about, and who says so --------------

-- The key starts with the document: one index is the key, serves the foreign key and
-- tells a document's history.
CREATE TABLE docmeta.document_classifications (
    tenant_id      bigint        NOT NULL DEFAULT 1,
    document_id    bigint        NOT NULL,
    id             bigint        NOT NULL GENERATED ALWAYS AS IDENTITY,
    category       text          NOT NULL,
    confidence     numeric(5,4),
    is_primary     boolean       NOT NULL DEFAULT false,
    source         text          NOT NULL,
    model_name     text,
    model_version  text,
    classified_by  text          NOT NULL DEFAULT session_user,
    classified_at  timestamptz   NOT NULL DEFAULT now(),
    superseded_at  timestamptz,

    CONSTRAINT document_classifications_pkey
        PRIMARY KEY (tenant_id, document_id, id),
    CONSTRAINT document_classifications_document_fkey
        FOREIGN KEY (tenant_id, document_id)
        REFERENCES docmeta.documents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT document_classifications_category_1_to_256_check
        CHECK (char_length(category) BETWEEN 1 AND 256),
    CONSTRAINT document_classifications_confidence_0_to_1_check
        CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT document_classifications_source_known_check
        CHECK (source IN ('model', 'rule', 'user')),
    CONSTRAINT document_classifications_model_exactly_named_check
        CHECK ((source = 'model') = (model_name IS NOT NULL)),
    CONSTRAINT document_classifications_model_exactly_versioned_check
        CHECK ((model_name IS NULL) = (model_version IS NULL)),
    CONSTRAINT document_classifications_model_name_1_to_256_check
        CHECK (char_length(model_name) BETWEEN 1 AND 256),
    CONSTRAINT document_classifications_model_version_1_to_64_check
        CHECK (char_length(model_version) BETWEEN 1 AND 64),
    CONSTRAINT document_classifications_classified_by_1_to_256_check
        CHECK (char_length(classified_by) BETWEEN 1 AND 256),
    CONSTRAINT document_classifications_superseded_not_before_made_check
        CHECK (superseded_at >= classified_at)
);

COMMENT ON TABLE docmeta.document_classifications IS
    'What a document is about, and who says so. A new statement supersedes the old '
    'one; nothing is overwritten.';
COMMENT ON COLUMN docmeta.document_classifications.document_id IS
    'The document that it is said of.';
COMMENT ON COLUMN docmeta.document_classifications.category IS
    'What the document is said to be, in the words of the source.';
COMMENT ON COLUMN docmeta.document_classifications.confidence IS
    'Probability from 0 to 1; null where the source gives none.';
COMMENT ON COLUMN docmeta.document_classifications.is_primary IS
    'The one category to show where only one fits; at most one current row a '
    'document.';
COMMENT ON COLUMN docmeta.document_classifications.source IS
    'Who says so: a model, a rule or a user.';
COMMENT ON COLUMN docmeta.document_classifications.model_name IS
    'Set exactly when source is model, with model_version.';
COMMENT ON COLUMN docmeta.document_classifications.model_version IS
    'Version of that model; set exactly when model_name is.';
COMMENT ON COLUMN docmeta.document_classifications.classified_by IS
    'The person or service that entered it.';
COMMENT ON COLUMN docmeta.document_classifications.classified_at IS
    'When it was said.';
COMMENT ON COLUMN docmeta.document_classifications.superseded_at IS
    'When a later statement took its place; null while it is current.';

CREATE UNIQUE INDEX document_classifications_current_key
    ON docmeta.document_classifications
        (tenant_id, document_id, category, source, model_name) NULLS NOT DISTINCT
    WHERE superseded_at IS NULL;
COMMENT ON INDEX docmeta.document_classifications_current_key IS
    'What is currently said of a document, one statement a source and category: '
    'SELECT category, confidence FROM docmeta.document_classifications '
    'WHERE tenant_id = $1 AND document_id = $2 AND superseded_at IS NULL';

CREATE UNIQUE INDEX document_classifications_current_primary_key
    ON docmeta.document_classifications (tenant_id, document_id)
    WHERE is_primary AND superseded_at IS NULL;
COMMENT ON INDEX docmeta.document_classifications_current_primary_key IS
    'The category to show: '
    'SELECT category FROM docmeta.document_classifications '
    'WHERE tenant_id = $1 AND document_id = $2 AND is_primary '
    'AND superseded_at IS NULL';

CREATE INDEX document_classifications_category_idx
    ON docmeta.document_classifications (tenant_id, category, document_id)
    WHERE superseded_at IS NULL;
COMMENT ON INDEX docmeta.document_classifications_category_idx IS
    'The documents of a category, page by page: '
    'SELECT document_id FROM docmeta.document_classifications '
    'WHERE tenant_id = $1 AND category = $2 AND superseded_at IS NULL '
    'AND document_id > $3 ORDER BY document_id LIMIT 50';


-- 6. tags: words that people put on documents -----------------------------------------

CREATE TABLE docmeta.tags (
    tenant_id      bigint       NOT NULL DEFAULT 1,
    id             bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    name           text         NOT NULL,
    description    text,
    colour         text,
    created_at     timestamptz  NOT NULL DEFAULT now(),
    created_by     text         NOT NULL DEFAULT session_user,
    updated_at     timestamptz  NOT NULL DEFAULT now(),
    updated_by     text         NOT NULL DEFAULT session_user,
    deleted_at     timestamptz,
    deleted_by     text,
    delete_reason  text,

    CONSTRAINT tags_pkey
        PRIMARY KEY (tenant_id, id),
    CONSTRAINT tags_name_1_to_128_check
        CHECK (char_length(name) BETWEEN 1 AND 128),
    CONSTRAINT tags_name_is_trimmed_check
        CHECK (name = btrim(name, E' \t\n\r')),
    CONSTRAINT tags_description_1_to_1024_check
        CHECK (char_length(description) BETWEEN 1 AND 1024),
    CONSTRAINT tags_colour_is_hex_check
        CHECK (colour ~ '^#[0-9a-f]{6}$'),
    CONSTRAINT tags_created_by_1_to_256_check
        CHECK (char_length(created_by) BETWEEN 1 AND 256),
    CONSTRAINT tags_updated_by_1_to_256_check
        CHECK (char_length(updated_by) BETWEEN 1 AND 256),
    CONSTRAINT tags_deleted_by_1_to_256_check
        CHECK (char_length(deleted_by) BETWEEN 1 AND 256),
    CONSTRAINT tags_deleted_exactly_by_someone_check
        CHECK ((deleted_at IS NULL) = (deleted_by IS NULL)),
    CONSTRAINT tags_delete_reason_1_to_1024_check
        CHECK (char_length(delete_reason) BETWEEN 1 AND 1024),
    CONSTRAINT tags_delete_reason_only_when_deleted_check
        CHECK (delete_reason IS NULL OR deleted_at IS NOT NULL)
);

COMMENT ON TABLE docmeta.tags IS
    'Words that people put on documents.';
COMMENT ON COLUMN docmeta.tags.name IS
    'Without blanks at its ends; unique among the live tags, ASCII letters alike in '
    'either case.';
COMMENT ON COLUMN docmeta.tags.description IS
    'What the tag is for; null where nobody said.';
COMMENT ON COLUMN docmeta.tags.colour IS
    'As #rrggbb in lower-case hex; null: the reader''s choice.';
COMMENT ON COLUMN docmeta.tags.deleted_at IS
    'When it was moved to the trash; null while it is live.';

-- COLLATE "C": only ASCII folds, so that no locale and no upgrade of one decides which
-- names are equal.
CREATE UNIQUE INDEX tags_live_name_key
    ON docmeta.tags (tenant_id, lower(name COLLATE "C"))
    WHERE deleted_at IS NULL;
COMMENT ON INDEX docmeta.tags_live_name_key IS
    'The live tag of a name: '
    'SELECT id FROM docmeta.tags '
    'WHERE tenant_id = $1 AND lower(name COLLATE "C") = lower($2::text COLLATE "C") '
    'AND deleted_at IS NULL';


-- 7. document_tags: which document bears which tag ------------------------------------

CREATE TABLE docmeta.document_tags (
    tenant_id    bigint       NOT NULL DEFAULT 1,
    document_id  bigint       NOT NULL,
    tag_id       bigint       NOT NULL,
    source       text         NOT NULL DEFAULT 'user',
    tagged_by    text         NOT NULL DEFAULT session_user,
    tagged_at    timestamptz  NOT NULL DEFAULT now(),

    CONSTRAINT document_tags_pkey
        PRIMARY KEY (tenant_id, document_id, tag_id),
    CONSTRAINT document_tags_document_fkey
        FOREIGN KEY (tenant_id, document_id)
        REFERENCES docmeta.documents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT document_tags_tag_fkey
        FOREIGN KEY (tenant_id, tag_id)
        REFERENCES docmeta.tags (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT document_tags_source_known_check
        CHECK (source IN ('user', 'rule', 'model', 'import')),
    CONSTRAINT document_tags_tagged_by_1_to_256_check
        CHECK (char_length(tagged_by) BETWEEN 1 AND 256)
);

COMMENT ON TABLE docmeta.document_tags IS
    'Which document bears which tag. The links go with the row of their document; a '
    'tag in use cannot be removed.';
COMMENT ON COLUMN docmeta.document_tags.document_id IS
    'The document that bears the tag.';
COMMENT ON COLUMN docmeta.document_tags.tag_id IS
    'The tag that it bears.';
COMMENT ON COLUMN docmeta.document_tags.source IS
    'Who put it there: a user, a rule, a model, or the import itself.';
COMMENT ON COLUMN docmeta.document_tags.tagged_by IS
    'The person or service that put it there.';
COMMENT ON COLUMN docmeta.document_tags.tagged_at IS
    'When it was put there.';

CREATE INDEX document_tags_tag_idx
    ON docmeta.document_tags (tenant_id, tag_id, document_id);
COMMENT ON INDEX docmeta.document_tags_tag_idx IS
    'The documents that bear a tag, page by page: '
    'SELECT document_id FROM docmeta.document_tags '
    'WHERE tenant_id = $1 AND tag_id = $2 AND document_id > $3 '
    'ORDER BY document_id LIMIT 50';


-- 8. audit_log: who changed what, and when --------------------------------------------

CREATE TABLE docmeta.audit_log (
    tenant_id       bigint       NOT NULL DEFAULT 1,
    id              bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    occurred_at     timestamptz  NOT NULL DEFAULT clock_timestamp(),
    entity_type     text         NOT NULL,
    entity_id       bigint       NOT NULL,
    document_id     bigint,
    action          text         NOT NULL,
    old_row         jsonb,
    new_row         jsonb,
    actor           text         NOT NULL DEFAULT session_user,
    db_user         text         NOT NULL DEFAULT session_user,
    request_id      text,
    transaction_id  xid8         NOT NULL DEFAULT pg_current_xact_id(),

    -- occurred_at is part of the key, so that the log can be partitioned by time.
    CONSTRAINT audit_log_pkey
        PRIMARY KEY (tenant_id, id, occurred_at),
    CONSTRAINT audit_log_entity_type_1_to_63_check
        CHECK (char_length(entity_type) BETWEEN 1 AND 63),
    CONSTRAINT audit_log_action_known_check
        CHECK (action IN
            ('insert', 'update', 'delete', 'soft_delete', 'restore', 'purge')),
    CONSTRAINT audit_log_old_row_except_on_insert_check
        CHECK ((old_row IS NOT NULL) = (action <> 'insert')),
    CONSTRAINT audit_log_new_row_except_on_removal_check
        CHECK ((new_row IS NOT NULL) = (action NOT IN ('delete', 'purge'))),
    CONSTRAINT audit_log_actor_1_to_256_check
        CHECK (char_length(actor) BETWEEN 1 AND 256),
    CONSTRAINT audit_log_db_user_1_to_63_check
        CHECK (char_length(db_user) BETWEEN 1 AND 63),
    CONSTRAINT audit_log_request_id_1_to_256_check
        CHECK (char_length(request_id) BETWEEN 1 AND 256)
);

COMMENT ON TABLE docmeta.audit_log IS
    'Who changed what, and when. Append-only, without foreign keys: the log outlives '
    'what it describes.';
COMMENT ON COLUMN docmeta.audit_log.occurred_at IS
    'Time of the change itself, not of its transaction''s start.';
COMMENT ON COLUMN docmeta.audit_log.entity_type IS
    'Table that the changed row is of, without its schema.';
COMMENT ON COLUMN docmeta.audit_log.entity_id IS
    'Id of the changed row; of a link, the id of its tag.';
COMMENT ON COLUMN docmeta.audit_log.document_id IS
    'Document that the change belongs to; null where it belongs to none.';
COMMENT ON COLUMN docmeta.audit_log.action IS
    'What was done: insert, update or delete; soft_delete (to the trash), restore '
    '(from it), or purge (for good).';
COMMENT ON COLUMN docmeta.audit_log.old_row IS
    'The row before the change; null for an insert.';
COMMENT ON COLUMN docmeta.audit_log.new_row IS
    'The row after the change; null for a delete or purge.';
COMMENT ON COLUMN docmeta.audit_log.actor IS
    'The person or service on whose behalf it was done.';
COMMENT ON COLUMN docmeta.audit_log.db_user IS
    'The database role that had logged in.';
COMMENT ON COLUMN docmeta.audit_log.request_id IS
    'Names the caller''s request, to find all that it did; null where it gave none.';
COMMENT ON COLUMN docmeta.audit_log.transaction_id IS
    'The transaction that did it: rows of one belong together.';

CREATE INDEX audit_log_document_idx
    ON docmeta.audit_log (tenant_id, document_id, id)
    WHERE document_id IS NOT NULL;
COMMENT ON INDEX docmeta.audit_log_document_idx IS
    'The history of a document, the newest first: '
    'SELECT id, action FROM docmeta.audit_log '
    'WHERE tenant_id = $1 AND document_id = $2 '
    'ORDER BY id DESC LIMIT 50';

-- BRIN: the rows lie in order of time, and a B-tree would be far larger.
CREATE INDEX audit_log_occurred_at_idx
    ON docmeta.audit_log USING brin (occurred_at);
COMMENT ON INDEX docmeta.audit_log_occurred_at_idx IS
    'What happened in a span of time: '
    'SELECT id FROM docmeta.audit_log '
    'WHERE occurred_at >= $1 AND occurred_at < $2';


-- 9. error_log: what failed, and what became of it ------------------------------------

CREATE TABLE docmeta.error_log (
    tenant_id      bigint       NOT NULL DEFAULT 1,
    id             bigint       NOT NULL GENERATED ALWAYS AS IDENTITY,
    batch_id       bigint,
    document_id    bigint,
    stage          text         NOT NULL,
    severity       text         NOT NULL DEFAULT 'error',
    error_class    text         NOT NULL,
    message        text         NOT NULL,
    context        jsonb        NOT NULL DEFAULT '{}',
    detail_raw     bytea,
    attempt_no     integer      NOT NULL DEFAULT 1,
    retryable      boolean      NOT NULL DEFAULT false,
    next_retry_at  timestamptz,
    occurred_at    timestamptz  NOT NULL DEFAULT clock_timestamp(),
    resolved_at    timestamptz,
    resolved_by    text,
    resolution     text,

    CONSTRAINT error_log_pkey
        PRIMARY KEY (tenant_id, id),
    CONSTRAINT error_log_batch_fkey
        FOREIGN KEY (tenant_id, batch_id)
        REFERENCES docmeta.import_batches (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT error_log_stage_known_check
        CHECK (stage IN
            ('fetch', 'hash', 'dedup', 'extract', 'classify', 'tag', 'store', 'purge')),
    CONSTRAINT error_log_severity_known_check
        CHECK (severity IN ('warning', 'error', 'critical')),
    CONSTRAINT error_log_error_class_1_to_256_check
        CHECK (char_length(error_class) BETWEEN 1 AND 256),
    CONSTRAINT error_log_message_at_most_8_kib_check
        CHECK (octet_length(message) <= 8192),
    CONSTRAINT error_log_context_is_object_check
        CHECK (jsonb_typeof(context) = 'object'),
    CONSTRAINT error_log_context_at_most_64_kib_check
        CHECK (octet_length(context::text) <= 65536),
    CONSTRAINT error_log_detail_raw_at_most_64_kib_check
        CHECK (octet_length(detail_raw) <= 65536),
    CONSTRAINT error_log_attempt_no_positive_check
        CHECK (attempt_no > 0),
    CONSTRAINT error_log_next_retry_only_when_retryable_check
        CHECK (next_retry_at IS NULL OR retryable),
    CONSTRAINT error_log_resolved_by_1_to_256_check
        CHECK (char_length(resolved_by) BETWEEN 1 AND 256),
    CONSTRAINT error_log_resolution_1_to_1024_check
        CHECK (char_length(resolution) BETWEEN 1 AND 1024),
    CONSTRAINT error_log_resolved_wholly_or_not_check
        CHECK (num_nulls(resolved_at, resolved_by, resolution) IN (0, 3))
);

COMMENT ON TABLE docmeta.error_log IS
    'What failed, and what became of it: a work queue of retries as well as a log.';
COMMENT ON COLUMN docmeta.error_log.batch_id IS
    'The run in which it failed; null outside of one.';
COMMENT ON COLUMN docmeta.error_log.document_id IS
    'The document it happened to, by id only: it may never have come to be. Null '
    'where there is none.';
COMMENT ON COLUMN docmeta.error_log.stage IS
    'Where in the pipeline it failed.';
COMMENT ON COLUMN docmeta.error_log.severity IS
    'warning: it went on; error: this document failed; critical: the run did.';
COMMENT ON COLUMN docmeta.error_log.error_class IS
    'Class or code of the error, as the failing stage names it.';
COMMENT ON COLUMN docmeta.error_log.message IS
    'The error in words, at most 8 KiB.';
COMMENT ON COLUMN docmeta.error_log.context IS
    'Facts that help to find the cause, a JSON object of at most 64 KiB.';
COMMENT ON COLUMN docmeta.error_log.detail_raw IS
    'Output of the failing tool byte for byte, at most 64 KiB; it need not be text.';
COMMENT ON COLUMN docmeta.error_log.attempt_no IS
    'The attempt that failed, counted from 1.';
COMMENT ON COLUMN docmeta.error_log.retryable IS
    'Whether trying again may help.';
COMMENT ON COLUMN docmeta.error_log.next_retry_at IS
    'Not to be tried again before this moment; null: no retry is planned.';
COMMENT ON COLUMN docmeta.error_log.occurred_at IS
    'Time of the failure itself, not of its transaction''s start.';
COMMENT ON COLUMN docmeta.error_log.resolved_at IS
    'When it was settled, with resolved_by and resolution; null while it is open.';
COMMENT ON COLUMN docmeta.error_log.resolved_by IS
    'Who settled it; null while it is open.';
COMMENT ON COLUMN docmeta.error_log.resolution IS
    'How it was settled; null while it is open.';

CREATE INDEX error_log_retry_idx
    ON docmeta.error_log (tenant_id, next_retry_at)
    WHERE resolved_at IS NULL AND next_retry_at IS NOT NULL;
COMMENT ON INDEX docmeta.error_log_retry_idx IS
    'What to try again, the longest due first: '
    'SELECT id FROM docmeta.error_log '
    'WHERE tenant_id = $1 AND next_retry_at <= $2 AND resolved_at IS NULL '
    'ORDER BY next_retry_at LIMIT 10 FOR UPDATE SKIP LOCKED';

CREATE INDEX error_log_open_idx
    ON docmeta.error_log (tenant_id, id)
    WHERE resolved_at IS NULL;
COMMENT ON INDEX docmeta.error_log_open_idx IS
    'Open errors, the newest first: '
    'SELECT id, message FROM docmeta.error_log '
    'WHERE tenant_id = $1 AND resolved_at IS NULL '
    'ORDER BY id DESC LIMIT 50';

CREATE INDEX error_log_batch_idx
    ON docmeta.error_log (tenant_id, batch_id)
    WHERE batch_id IS NOT NULL;
COMMENT ON INDEX docmeta.error_log_batch_idx IS
    'What failed in a run: '
    'SELECT id, message FROM docmeta.error_log '
    'WHERE tenant_id = $1 AND batch_id = $2';

CREATE INDEX error_log_document_idx
    ON docmeta.error_log (tenant_id, document_id)
    WHERE document_id IS NOT NULL;
COMMENT ON INDEX docmeta.error_log_document_idx IS
    'What failed for a document: '
    'SELECT id, message FROM docmeta.error_log '
    'WHERE tenant_id = $1 AND document_id = $2';

CREATE INDEX error_log_occurred_at_idx
    ON docmeta.error_log USING brin (occurred_at);
COMMENT ON INDEX docmeta.error_log_occurred_at_idx IS
    'What failed in a span of time: '
    'SELECT id FROM docmeta.error_log '
    'WHERE occurred_at >= $1 AND occurred_at < $2';


-- Columns that mean the same in every table ------------------------------------------

DO $comments$
DECLARE
    meant record;
BEGIN
    FOR meant IN
        SELECT c.relname AS of_table, a.attname AS of_column, m.meaning
        FROM (VALUES
            ('tenant_id', 'Tenant that the row belongs to; 1 where there is but one.'),
            ('id', 'Number of the row, given by the database.'),
            ('created_at', 'When the row was made.'),
            ('created_by', 'The person or service that made it.'),
            ('updated_at', 'When the row was last changed; at first, when made.'),
            ('updated_by', 'The person or service that last changed it.'),
            ('deleted_by', 'Who moved it to the trash; null while it is live.'),
            ('delete_reason', 'Why it was moved there; null where nobody said.')
        ) AS m (of_column, meaning)
        JOIN pg_catalog.pg_attribute AS a ON a.attname = m.of_column
        JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'docmeta'::regnamespace AND c.relkind = 'r'
    LOOP
        EXECUTE format('COMMENT ON COLUMN docmeta.%I.%I IS %L',
            meant.of_table, meant.of_column, meant.meaning);
    END LOOP;
END
$comments$;


-- The rows that a rollback of this migration parked come back: identity values as they
-- were, sequences where they stood, columns matched by name. A parked table that does
-- not fit stops the migration, and stays.
DO $restore$
DECLARE
    parked_by text := (
        SELECT nspowner::regrole FROM pg_catalog.pg_namespace
        WHERE nspname = 'docmeta_parked'
    );
    table_name text;
    column_names text;
    sequence record;
BEGIN
    IF parked_by IS NULL THEN
        RETURN;
    END IF;

    -- To read a stranger's table can run a stranger's code.
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_roles
        WHERE oid = parked_by::regrole AND (rolsuper OR rolname = current_user)
    ) THEN
        RAISE EXCEPTION 'schema docmeta_parked belongs to %, not to the migrating role',
            parked_by
            USING HINT = format('If its rows are to come back: '
                'ALTER SCHEMA docmeta_parked OWNER TO %I', current_user);
    END IF;

    FOREACH table_name IN ARRAY ARRAY[
        'import_batches', 'hash_index', 'documents', 'duplicate_log',
        'document_classifications', 'tags', 'document_tags', 'audit_log', 'error_log'
    ] LOOP
        CONTINUE WHEN to_regclass('docmeta_parked.' || table_name) IS NULL;

        EXECUTE format('LOCK TABLE docmeta_parked.%I', table_name);
        column_names := (
            SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
            FROM pg_catalog.pg_attribute
            WHERE attrelid = ('docmeta_parked.' || table_name)::regclass
                AND attnum > 0 AND NOT attisdropped
        );
        EXECUTE format(
            'INSERT INTO docmeta.%1$I (%2$s) OVERRIDING SYSTEM VALUE '
            'SELECT %2$s FROM docmeta_parked.%1$I',
            table_name, column_names
        );
        EXECUTE format('DROP TABLE docmeta_parked.%I', table_name);
    END LOOP;

    IF to_regclass('docmeta_parked.sequences') IS NOT NULL THEN
        FOR sequence IN SELECT * FROM docmeta_parked.sequences LOOP
            PERFORM setval(
                pg_get_serial_sequence('docmeta.' || sequence.of_table, 'id'),
                sequence.last_value, sequence.is_called
            );
        END LOOP;
        DROP TABLE docmeta_parked.sequences;
    END IF;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relnamespace = 'docmeta_parked'::regnamespace
    ) THEN
        DROP SCHEMA docmeta_parked;
    END IF;
END
$restore$;
