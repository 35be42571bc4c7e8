-- A sequence goes on in steps of ten.
-- Told: restore these in
-- Told: increment

---- forward
-- Rollback: lossless
ALTER SEQUENCE lib.ticket INCREMENT 10;

---- rollback
SELECT;
