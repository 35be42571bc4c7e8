-- A value is changed in a table without a key: the rest of its row tells which.
-- Told: lib.note.text: 2 values
-- Told: its grade is lossless, but this is lost: lib.note.text

---- forward
-- Rollback: lossless
UPDATE lib.note SET text = upper(text);

---- rollback
SELECT;
