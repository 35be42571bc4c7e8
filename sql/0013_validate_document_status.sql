-- A document can wait for a person: its status may be needs_review.
--
-- Why: first the check of the longer list is validated, then it takes the place and the
--     name of the old one, so that errors and tools go on to know it by that name. In one
--     transaction the two would keep the lock of the first until the second gets its own,
--     and read the table again at each try; so this file is none, and each statement can
--     be run again after a cut.
-- Locks: docmeta.documents ACCESS EXCLUSIVE, for the moment of the exchange; before it
--     SHARE UPDATE EXCLUSIVE, as long as it takes to read the table once, in which VACUUM
--     and other changes of the schema wait, and nobody else.
-- Rollback: lossless; documents in needs_review become processing, docmeta_parked
--     remembers which, and the next apply gives them their status back unless it was set
--     since.
--
-- depends: 0012_add_document_status
-- transactional: false

DO $validate$
BEGIN
    PERFORM set_config('role', 'docmeta_owner', true),
        set_config('lock_timeout', '200ms', true);
    IF EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'docmeta.documents'::regclass
            AND conname = 'documents_status_known_or_needs_review_check'
    ) THEN
        ALTER TABLE docmeta.documents
            VALIDATE CONSTRAINT documents_status_known_or_needs_review_check;
    END IF;
END
$validate$;

DO $exchange$
BEGIN
    PERFORM set_config('role', 'docmeta_owner', true),
        set_config('lock_timeout', '200ms', true);
    IF EXISTS (
        SELECT FROM pg_catalog.pg_constraint
        WHERE conrelid = 'docmeta.documents'::regclass
            AND conname = 'documents_status_known_or_needs_review_check'
    ) THEN
        ALTER TABLE docmeta.documents DROP CONSTRAINT documents_status_known_check;
        ALTER TABLE docmeta.documents
            RENAME CONSTRAINT documents_status_known_or_needs_review_check
            TO documents_status_known_check;
    END IF;
END
$exchange$;
