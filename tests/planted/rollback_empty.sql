-- The rollback file has nothing but a comment.
-- Told: nothing is rolled back: it has no statement
-- Proof: differs, empty, not shown

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ADD COLUMN isbn text;

---- rollback
-- Nothing to do.
