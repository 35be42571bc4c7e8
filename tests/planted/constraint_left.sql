-- A CHECK is added, and stays.
-- Told: restore these in
-- Told: book_name_not_empty_check

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ADD CONSTRAINT book_name_not_empty_check CHECK (name <> '');

---- rollback
SELECT;
