-- A column's storage is changed, and stays so.
-- Told: restore these in
-- Told: +column lib.note.text storage: external

---- forward
-- Rollback: lossless
ALTER TABLE lib.note ALTER COLUMN text SET STORAGE EXTERNAL;

---- rollback
SELECT;
