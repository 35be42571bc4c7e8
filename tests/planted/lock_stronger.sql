-- The header promises a lock that lets readers by; ADD COLUMN takes the strongest there is.
-- Told: it takes ACCESS EXCLUSIVE on lib.book; its Locks: line says SHARE ROW EXCLUSIVE

---- forward
-- Locks: lib.book SHARE ROW EXCLUSIVE, for a moment
-- Rollback: lossy: lib.book.isbn
ALTER TABLE lib.book ADD COLUMN isbn text;

---- rollback
ALTER TABLE lib.book DROP COLUMN isbn;

---- rows
UPDATE lib.book SET isbn = '0-14-143958-8' WHERE id = 1;
