-- A type is made wider, and stays so.
-- Told: restore these in
-- Told: -column lib.book.pages: integer
-- Told: +column lib.book.pages: bigint

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN pages TYPE bigint;

---- rollback
SELECT;
