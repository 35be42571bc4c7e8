-- A foreign file has no header, and loses rows all the same.
-- Told: rows are lost
-- Told: lib.note: 1 row

---- forward
ALTER TABLE lib.note ADD COLUMN day date;

---- rollback
ALTER TABLE lib.note DROP COLUMN day;
DELETE FROM lib.note WHERE text IS NULL;
