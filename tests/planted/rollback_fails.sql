-- The rollback names what is not there.
-- Told: the rollback fails
-- Told: line 2: constraint "book_isbn_key" of relation "book" does not exist
-- Proof: differs, failed, kept

---- forward
-- Rollback: lossy: lib.book.isbn
ALTER TABLE lib.book ADD COLUMN isbn text;

---- rollback
ALTER TABLE lib.book DROP COLUMN isbn;
ALTER TABLE lib.book DROP CONSTRAINT book_isbn_key;

---- rows
UPDATE lib.book SET isbn = '0-14-143958-8' WHERE id = 1;
