-- The rollback sets a sequence to its start: the next ticket is one that is out.
-- Told: lib.ticket: the sequence went back from 102 to 100
-- Told: its grade is lossless, but this is lost
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
ALTER SEQUENCE lib.ticket INCREMENT 10;

---- rollback
ALTER SEQUENCE lib.ticket INCREMENT 1 RESTART;
