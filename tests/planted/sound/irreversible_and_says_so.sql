-- Names are written small; the rollback refuses, and says why.
-- Proof: identical, refused, kept

---- forward
-- Locks: none
-- Rollback: irreversible: what is small was large once
UPDATE lib.book SET name = lower(name);

---- rollback
DO $$ BEGIN RAISE EXCEPTION 'What is small was large once.'; END $$;
