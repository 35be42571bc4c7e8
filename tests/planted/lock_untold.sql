-- The header says that nothing is locked.
-- Told: it takes SHARE on lib.book; its Locks: line says none

---- forward
-- Locks: none
-- Rollback: lossless
CREATE INDEX book_pages_idx ON lib.book (pages);

---- rollback
DROP INDEX lib.book_pages_idx;
