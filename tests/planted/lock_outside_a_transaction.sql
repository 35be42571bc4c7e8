-- Also an index that is built CONCURRENTLY locks its table, if only against other DDL.
-- Told: it takes SHARE UPDATE EXCLUSIVE on lib.book; its Locks: line says none

---- forward
-- Locks: none
-- Rollback: lossless
-- transactional: false
CREATE INDEX CONCURRENTLY book_pages_idx ON lib.book (pages);

---- rollback
DROP INDEX CONCURRENTLY lib.book_pages_idx;
