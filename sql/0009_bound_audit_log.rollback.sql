-- Infinity is allowed again as the time of an entry; no row is touched.
--
-- squawk-ignore-file ban-drop-constraint

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.audit_log
    DROP CONSTRAINT audit_log_occurred_at_finite_check;
