-- The rollback stops by accident, not because it was told to.
-- Told: the rollback fails
-- Told: division by zero
-- Told: its grade is irreversible, but the rollback does not raise

---- forward
-- Rollback: irreversible
UPDATE lib.book SET name = lower(name);

---- rollback
SELECT 1 / 0;
