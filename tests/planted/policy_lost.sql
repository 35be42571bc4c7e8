-- A policy is dropped, and not put back: nobody but the owner sees a note.
-- Told: restore these in
-- Told: note_policy

---- forward
-- Rollback: lossless
DROP POLICY note_policy ON lib.note;

---- rollback
SELECT;
