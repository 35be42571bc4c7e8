-- The migration brings a row, and the rollback takes that row away, and no other.

---- forward
-- Locks: none
-- Rollback: lossless
INSERT INTO lib.shelf (name) VALUES ('cellar');

---- rollback
DELETE FROM lib.shelf WHERE name = 'cellar';
