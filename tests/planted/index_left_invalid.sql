-- An index is put back on the partitioned table alone: it is INVALID, and serves nobody.
-- Told: restore these in
-- Told: invalid
-- Told: loan_2026_day_idx

---- forward
-- Rollback: lossless
DROP INDEX lib.loan_day_idx;

---- rollback
CREATE INDEX loan_day_idx ON ONLY lib.loan (day);
