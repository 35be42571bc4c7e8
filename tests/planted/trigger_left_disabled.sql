-- A trigger is switched off for a backfill, and stays off.
-- Told: restore these in
-- Told: +trigger lib.book book_trimmed fires: never

---- forward
-- Rollback: lossless
ALTER TABLE lib.book DISABLE TRIGGER book_trimmed;

---- rollback
SELECT;
