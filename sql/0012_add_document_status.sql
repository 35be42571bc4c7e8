-- The status needs_review is known: beside the check of the old list stands one of the
-- longer list, which holds for rows to come and is not validated yet.
--
-- Why: a list in a check can grow and shrink, an enum only grows. To widen it in one
--     step (DROP and ADD CONSTRAINT) reads the table under ACCESS EXCLUSIVE; to drop
--     the old check before the new one is valid leaves a time in which nothing proves
--     the column. So both stand side by side until 0013, and needs_review cannot be
--     written before.
-- Locks: docmeta.documents ACCESS EXCLUSIVE, for a change of the catalog alone: the
--     check is added NOT VALID, and reads no row.
-- Rollback: lossless; no row can be in the new status yet.
--
-- depends: 0011_partition_audit_log

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.documents
    ADD CONSTRAINT documents_status_known_or_needs_review_check
        CHECK (status IN
            ('received', 'processing', 'needs_review', 'ready', 'failed', 'quarantined',
            'archived')) NOT VALID;
