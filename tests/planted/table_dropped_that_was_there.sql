-- IF NOT EXISTS found a table; the rollback drops it, rows and all.
-- Told: restore these in
-- Told: -table lib.note
-- Told: applying it again makes another schema
-- Told: lib.note: the table, with 3 rows
-- Told: its grade is lossless, but this is lost: lib.note.book_id, lib.note.text

---- forward
-- Rollback: lossless
CREATE TABLE IF NOT EXISTS lib.note (book_id bigint, text text);

---- rollback
DROP TABLE lib.note;
