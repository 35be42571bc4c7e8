-- A trigger notes each change of a price, and the notes stay: that is what they are for.

---- forward
-- Locks: lib.book SHARE ROW EXCLUSIVE
-- Rollback: lossless
ALTER TABLE lib.book DISABLE TRIGGER book_trimmed;
INSERT INTO lib.note SELECT id, 'price ' || clock_timestamp() FROM lib.book;
ALTER TABLE lib.book ENABLE TRIGGER book_trimmed;

---- rollback
INSERT INTO lib.note SELECT id, 'no price ' || clock_timestamp() FROM lib.book;
