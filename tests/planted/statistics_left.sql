-- A column's statistics target is raised, and stays so.
-- Told: restore these in
-- Told: statistics target: 500

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN name SET STATISTICS 500;

---- rollback
SELECT;
