-- A comment is written, and stays.
-- Told: restore these in
-- Told: In whole sheets.

---- forward
-- Rollback: lossless
COMMENT ON COLUMN lib.book.pages IS 'In whole sheets.';

---- rollback
SELECT;
