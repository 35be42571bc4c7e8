-- The rollback leaves the row that the migration brought; the next apply brings it again.
-- Told: applying it again fails
-- Told: duplicate key value violates unique constraint "shelf_pkey"

---- forward
-- Rollback: lossless
INSERT INTO lib.shelf (id, name) OVERRIDING SYSTEM VALUE VALUES (9, 'cellar');

---- rollback
SELECT;
