-- A null was filled in; the rollback nulls what was empty before it, too.
-- Told: lib.book.shelf_id: 1 value
-- Told: its grade is lossless, but this is lost: lib.book.shelf_id

---- forward
-- Rollback: lossless
UPDATE lib.book SET shelf_id = 1 WHERE shelf_id IS NULL;

---- rollback
UPDATE lib.book SET shelf_id = NULL WHERE shelf_id = 1;
