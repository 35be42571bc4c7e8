-- The header warns of a lock on a table that is not touched.
-- Told: its Locks: line says SHARE on lib.note; it takes none

---- forward
-- Locks: lib.book SHARE, lib.note SHARE
-- Rollback: lossless
CREATE INDEX book_pages_idx ON lib.book (pages);

---- rollback
DROP INDEX lib.book_pages_idx;
