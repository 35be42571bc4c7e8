-- An index is made, and stays.
-- Told: restore these in
-- Told: book_pages_idx
-- Told: applying it again fails

---- forward
-- Rollback: lossless
CREATE INDEX book_pages_idx ON lib.book (pages);

---- rollback
SELECT;
