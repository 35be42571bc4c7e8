-- The rollback puts back rows that had stayed.
-- Told: lib.note: 3 rows twice
-- Told: its grade is lossless, but this is lost: lib.note: 3 rows twice

---- forward
-- Rollback: lossless
CREATE TABLE lib.copy AS TABLE lib.note;

---- rollback
INSERT INTO lib.note SELECT * FROM lib.copy;
DROP TABLE lib.copy;
