-- audit_log takes only entries of a moment: infinity, which lies in no month and which
-- no retention would ever reach, is refused from now on, and so is -infinity.
--
-- Why: a table is attached to a partitioned one without being read only if a valid
--     check shows that its rows lie within the bounds: 0009 adds it, 0010 validates it,
--     0011 attaches. The bound is infinity, the one date that no clock comes to. The
--     next New Year would do where it is applied today; where it is applied a year
--     later it would refuse every append, and with it the change that was to be
--     recorded. Months come from the clock, in docmeta.make_audit_log_months() of 0011,
--     not from a migration.
-- Locks: docmeta.audit_log ACCESS EXCLUSIVE, for a row of the catalog: NOT VALID reads
--     no row.
-- Rollback: lossless; no row is touched.
--
-- depends: 0008_require_document_language

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.audit_log
    ADD CONSTRAINT audit_log_occurred_at_finite_check
    CHECK (occurred_at > '-infinity' AND occurred_at < 'infinity') NOT VALID;

COMMENT ON CONSTRAINT audit_log_occurred_at_finite_check ON docmeta.audit_log IS
    'An entry is of a moment. Lets the table be attached as a partition unread.';
