-- The type makes the server write the whole table anew, and the header does not say so.
-- Told: it rewrites lib.book; its Locks: line does not say so

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN pages TYPE bigint;

---- rollback
ALTER TABLE lib.book ALTER COLUMN pages TYPE integer;
