-- The check of 0009 is not validated any more: it is made anew as 0009 left it. There
-- is no statement for less.
--
-- squawk-ignore-file ban-drop-constraint

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.audit_log
    DROP CONSTRAINT audit_log_occurred_at_finite_check;

ALTER TABLE docmeta.audit_log
    ADD CONSTRAINT audit_log_occurred_at_finite_check
    CHECK (occurred_at > '-infinity' AND occurred_at < 'infinity') NOT VALID;

COMMENT ON CONSTRAINT audit_log_occurred_at_finite_check ON docmeta.audit_log IS
    'An entry is of a moment. Lets the table be attached as a partition unread.';
