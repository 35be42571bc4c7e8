-- A default is taken away, and not put back.
-- Told: restore these in
-- Told: -column lib.book.pages: integer not null default 1

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN pages DROP DEFAULT;

---- rollback
SELECT;
