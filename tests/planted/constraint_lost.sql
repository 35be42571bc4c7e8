-- A CHECK is dropped, and not put back.
-- Told: restore these in
-- Told: book_pages_positive_check

---- forward
-- Rollback: lossless
ALTER TABLE lib.book DROP CONSTRAINT book_pages_positive_check;

---- rollback
SELECT;
