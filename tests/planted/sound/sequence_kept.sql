-- A sequence is changed there and back, and goes on where it stood.

---- forward
-- Locks: lib.ticket SHARE ROW EXCLUSIVE
-- Rollback: lossless
ALTER SEQUENCE lib.ticket INCREMENT 10;

---- rollback
ALTER SEQUENCE lib.ticket INCREMENT 1;
