-- A foreign key locks the table that it points to, too; the header names one of the two.
-- Told: it takes SHARE ROW EXCLUSIVE on lib.book; its Locks: line says none

---- forward
-- Locks: lib.note SHARE ROW EXCLUSIVE, while it is read
-- Rollback: lossless
ALTER TABLE lib.note
    ADD CONSTRAINT note_book_id_fkey FOREIGN KEY (book_id) REFERENCES lib.book ON DELETE CASCADE;

---- rollback
ALTER TABLE lib.note DROP CONSTRAINT note_book_id_fkey;
