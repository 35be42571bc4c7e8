-- The rollback refuses, but not before it has changed something that no transaction takes back.
-- Told: the rollback refuses, and changes something all the same

---- forward
-- Rollback: irreversible
-- transactional: false
UPDATE lib.book SET name = lower(name);

---- rollback
UPDATE lib.book SET name = upper(name);
DO $$ BEGIN RAISE EXCEPTION 'What is small was large once.'; END $$;
