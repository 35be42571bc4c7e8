-- The rollback ends the transaction that it runs in.
-- Told: it cannot be applied
-- Told: line 2: COMMIT at the top level would end the migration's own transaction
-- Proof: -, -, -

---- forward
-- Rollback: lossless
COMMENT ON TABLE lib.book IS 'A book.';

---- rollback
COMMENT ON TABLE lib.book IS NULL;
COMMIT;
