-- The header names one column, and two are lost.
-- Told: its grade is lossy, but this is lost: lib.book.year
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossy: lib.book.isbn
ALTER TABLE lib.book ADD COLUMN isbn text, ADD COLUMN year integer;

---- rollback
ALTER TABLE lib.book DROP COLUMN year, DROP COLUMN isbn;

---- rows
UPDATE lib.book SET isbn = '0-14-143958-8', year = 2003 WHERE id = 1;
