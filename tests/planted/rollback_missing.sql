-- There is no rollback file.
-- Told: nothing is rolled back: there is no rollback file
-- Proof: differs, missing, not shown

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ADD COLUMN isbn text;
