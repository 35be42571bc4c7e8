-- Row security is switched off, and stays off: everybody sees every note.
-- Told: restore these in
-- Told: -table lib.note row security: enabled

---- forward
-- Rollback: lossless
ALTER TABLE lib.note DISABLE ROW LEVEL SECURITY;

---- rollback
SELECT;
