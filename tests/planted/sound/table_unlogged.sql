-- A table is written anew to spare the log, and the header says so.

---- forward
-- Locks: lib.note ACCESS EXCLUSIVE, for it rewrites lib.note
-- Rollback: lossless
ALTER TABLE lib.note SET UNLOGGED;

---- rollback
ALTER TABLE lib.note SET LOGGED;
