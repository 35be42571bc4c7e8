-- A right is given, and never taken back.
-- Told: restore these in
-- Told: planted_reader

---- forward
-- Rollback: lossless
GRANT UPDATE (price) ON lib.book TO planted_reader;

---- rollback
SELECT;
