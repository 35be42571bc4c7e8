-- The file brings a transaction of its own.
-- Told: it cannot be applied
-- Told: line 2: BEGIN at the top level would end the migration's own transaction

---- forward
-- Rollback: lossless
BEGIN;
COMMENT ON TABLE lib.book IS 'A book.';
COMMIT;

---- rollback
COMMENT ON TABLE lib.book IS NULL;
