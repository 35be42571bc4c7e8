-- The sample rows do not fit what the migration makes.
-- Told: its sample rows fail
-- Told: column "isbm" of relation "book" does not exist

---- forward
-- Rollback: lossy: lib.book.isbn
ALTER TABLE lib.book ADD COLUMN isbn text;

---- rollback
ALTER TABLE lib.book DROP COLUMN isbn;

---- rows
UPDATE lib.book SET isbm = '0-14-143958-8' WHERE id = 1;
