-- A column is added; rolled back, its values are gone.
-- Told: its grade is lossless, but this is lost: lib.book.isbn
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ADD COLUMN isbn text;

---- rollback
ALTER TABLE lib.book DROP COLUMN isbn;

---- rows
UPDATE lib.book SET isbn = '0-14-143958-8' WHERE id = 1;
