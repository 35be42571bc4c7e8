-- DROP COLUMN CASCADE takes a view along that was there before.
-- Told: restore these in
-- Told: line 1 of the rollback drops CASCADE, whatever depends
-- Told: drop cascades to view lib.title
-- Told: -view lib.title
-- Told: applying it again

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ADD COLUMN title text;
UPDATE lib.book SET title = name;
CREATE OR REPLACE VIEW lib.title AS SELECT id, title::text AS name FROM lib.book;

---- rollback
ALTER TABLE lib.book DROP COLUMN title CASCADE;
