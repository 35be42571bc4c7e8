-- A table is dropped, and comes back empty.
-- Told: lib.note: 3 rows
-- Told: its grade is lossless, but this is lost: lib.note.book_id, lib.note.text

---- forward
-- Rollback: lossless
DROP TABLE lib.note;

---- rollback
CREATE TABLE lib.note (book_id bigint, text text);
ALTER TABLE lib.note ENABLE ROW LEVEL SECURITY;
CREATE POLICY note_policy ON lib.note USING (text <> 'secret');
