-- A default is put back as another one.
-- Told: restore these in
-- Told: -column lib.book.pages: integer not null default 1
-- Told: +column lib.book.pages: integer not null default 0

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN pages DROP DEFAULT;

---- rollback
ALTER TABLE lib.book ALTER COLUMN pages SET DEFAULT 0;
