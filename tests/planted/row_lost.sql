-- The rollback cleans up more than the migration brought.
-- Told: lib.book: 1 row
-- Told: its grade is lossless, but this is lost
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
INSERT INTO lib.shelf (name) VALUES ('cellar');

---- rollback
DELETE FROM lib.shelf WHERE name IN ('cellar', 'top');
