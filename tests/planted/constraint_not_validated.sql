-- A CHECK is put back NOT VALID: it no longer says anything of the rows that are there.
-- Told: restore these in
-- Told: NOT VALID

---- forward
-- Rollback: lossless
ALTER TABLE lib.book DROP CONSTRAINT book_pages_positive_check;

---- rollback
ALTER TABLE lib.book
    ADD CONSTRAINT book_pages_positive_check CHECK (pages > 0) NOT VALID;
