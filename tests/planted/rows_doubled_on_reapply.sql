-- The rollback leaves the row that the migration brought; the next apply brings it again.
-- Told: lib.note: 1 row twice
-- Told: its grade is lossless, but this is lost: lib.note: 1 row twice

---- forward
-- Rollback: lossless
INSERT INTO lib.note VALUES (NULL, 'Inventory of 2026.');

---- rollback
SELECT;
