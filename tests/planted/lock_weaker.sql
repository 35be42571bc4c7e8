-- The header warns of a lock that is not taken.
-- Told: its Locks: line says ACCESS EXCLUSIVE on lib.book; it takes SHARE

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE, while it is read
-- Rollback: lossless
CREATE INDEX book_pages_idx ON lib.book (pages);

---- rollback
DROP INDEX lib.book_pages_idx;
