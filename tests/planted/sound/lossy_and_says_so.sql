-- A column is added; the header says that its values go.
-- Proof: identical, ok, lost

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE, for a moment
-- Rollback: lossy: lib.book.isbn
ALTER TABLE lib.book ADD COLUMN isbn text;

---- rollback
ALTER TABLE lib.book DROP COLUMN isbn;

---- rows
UPDATE lib.book SET isbn = '0-14-143958-8' WHERE id = 1;
