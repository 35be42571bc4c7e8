-- Outside a transaction the second statement fails, and the first stays.
-- Told: it cannot be applied
-- Told: is not transactional: 1 of its 2 statements are done

---- forward
-- Rollback: lossless
-- transactional: false
CREATE INDEX CONCURRENTLY book_pages_idx ON lib.book (pages);
CREATE INDEX CONCURRENTLY book_width_idx ON lib.book (width);

---- rollback
DROP INDEX CONCURRENTLY lib.book_width_idx;
DROP INDEX CONCURRENTLY lib.book_pages_idx;
