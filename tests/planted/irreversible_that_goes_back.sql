-- The header says that there is no way back, and there is one.
-- Told: its grade is irreversible, but the rollback does not raise
-- Proof: identical, ok, kept

---- forward
-- Rollback: irreversible
ALTER TABLE lib.book RENAME COLUMN pages TO leaves;

---- rollback
ALTER TABLE lib.book RENAME COLUMN leaves TO pages;
