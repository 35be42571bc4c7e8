-- audit_log is known to hold only entries of a moment, the old ones included.
--
-- Why: a file of its own, for the lock of 0009 would otherwise be held while the whole
--     table is read; and one try after another to get the lock of 0011 would read it
--     anew.
-- Locks: docmeta.audit_log SHARE UPDATE EXCLUSIVE: it is read once, and meanwhile both
--     readers and writers go on.
-- Rollback: lossless; no row is touched.
--
-- depends: 0009_bound_audit_log

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.audit_log
    VALIDATE CONSTRAINT audit_log_occurred_at_finite_check;
