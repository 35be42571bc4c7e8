-- A value of an enum cannot be taken away, and the rollback does not even try.
-- Told: restore these in
-- Told: PostgreSQL cannot take a value of the enum lib.state away

---- forward
-- Rollback: lossless
ALTER TYPE lib.state ADD VALUE IF NOT EXISTS 'lost';

---- rollback
SELECT;
