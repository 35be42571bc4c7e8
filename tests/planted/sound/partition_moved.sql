-- A partition stands alone for a while.

---- forward
-- Locks: lib.loan ACCESS EXCLUSIVE
-- Rollback: lossless
ALTER TABLE lib.loan DETACH PARTITION lib.loan_2026;

---- rollback
ALTER TABLE lib.loan
    ATTACH PARTITION lib.loan_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
