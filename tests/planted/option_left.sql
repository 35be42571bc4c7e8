-- A table's fill factor is set, and stays so.
-- Told: restore these in
-- Told: fillfactor

---- forward
-- Rollback: lossless
ALTER TABLE lib.book SET (fillfactor = 70);

---- rollback
SELECT;
