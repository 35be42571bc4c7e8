-- Of two rows that are the same, one goes.
-- Told: lib.note: 1 row
-- Told: its grade is lossless, but this is lost: lib.note.book_id, lib.note.text

---- forward
-- Rollback: lossless
UPDATE lib.note SET text = 'READ' WHERE text = 'read';

---- rollback
UPDATE lib.note SET text = 'read' WHERE text = 'READ';
DELETE FROM lib.note WHERE book_id = 2 AND text = 'read';
