-- Outside a transaction the rollback's first statement stays when its second fails.
-- Told: the rollback fails
-- Told: is not transactional: 1 of its 2 statements are done

---- forward
-- Rollback: lossless
-- transactional: false
CREATE INDEX CONCURRENTLY book_pages_idx ON lib.book (pages);

---- rollback
DROP INDEX CONCURRENTLY lib.book_pages_idx;
ALTER TABLE lib.book DROP CONSTRAINT book_pages_idx;
