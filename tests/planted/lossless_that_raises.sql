-- The header promises a way back, and the rollback refuses.
-- Told: its grade is lossless, but the rollback raises
-- Told: What is small was large once.

---- forward
-- Rollback: lossless
UPDATE lib.book SET name = lower(name);

---- rollback
DO $$ BEGIN RAISE EXCEPTION 'What is small was large once.'; END $$;
