-- A table moves to a schema of its own, and back.

---- forward
-- Locks: lib.note ACCESS EXCLUSIVE, for a moment
-- Rollback: lossless
CREATE SCHEMA notes;
ALTER TABLE lib.note SET SCHEMA notes;

---- rollback
ALTER TABLE notes.note SET SCHEMA lib;
DROP SCHEMA notes;
