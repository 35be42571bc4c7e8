-- A table is given away.
-- Told: restore these in
-- Told: planted_reader

---- forward
-- Rollback: lossless
ALTER TABLE lib.shelf OWNER TO planted_reader;

---- rollback
SELECT;
