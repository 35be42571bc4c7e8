-- The header warns of a loss that there is not.
-- Told: its grade is lossy, but nothing is lost: write lossless
-- Proof: identical, ok, kept

---- forward
-- Rollback: lossy: lib.book.pages
ALTER TABLE lib.book RENAME COLUMN pages TO leaves;

---- rollback
ALTER TABLE lib.book RENAME COLUMN leaves TO pages;
