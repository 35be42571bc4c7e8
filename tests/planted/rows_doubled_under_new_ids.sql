-- The same where each row gets an id of its own.
-- Told: lib.shelf: 1 row twice
-- Told: its grade is lossless, but this is lost: lib.shelf: 1 row twice

---- forward
-- Rollback: lossless
INSERT INTO lib.shelf (name) VALUES ('cellar');

---- rollback
SELECT;
