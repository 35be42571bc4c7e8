-- The rollback puts back a copy that the migration took: what came in since is gone.
-- Told: lib.shelf: 1 row
-- Told: its grade is lossless, but this is lost: lib.shelf.id, lib.shelf.name
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
CREATE TABLE lib.copy AS TABLE lib.shelf;

---- rollback
DELETE FROM lib.shelf WHERE id NOT IN (SELECT id FROM lib.copy);
DROP TABLE lib.copy;

---- rows
INSERT INTO lib.shelf (name) VALUES ('cellar');
