-- An index is built and dropped while writers go on.

---- forward
-- Locks: lib.book SHARE UPDATE EXCLUSIVE, while the index is built
-- Rollback: lossless
-- transactional: false
CREATE INDEX CONCURRENTLY book_pages_idx ON lib.book (pages);

---- rollback
DROP INDEX CONCURRENTLY lib.book_pages_idx;
