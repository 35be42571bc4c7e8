-- The rollback puts back a copy of a table without a key: what came in since is gone.
-- Told: lib.note: 1 row
-- Told: its grade is lossless, but this is lost: lib.note.book_id, lib.note.text
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
CREATE TABLE lib.copy AS TABLE lib.note;

---- rollback
TRUNCATE lib.note;
INSERT INTO lib.note TABLE lib.copy;
DROP TABLE lib.copy;

---- rows
INSERT INTO lib.note VALUES (3, 'A gift.');
