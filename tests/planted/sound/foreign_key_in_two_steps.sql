-- A foreign key comes NOT VALID and is validated: no lock that a reader notices.

---- forward
-- Locks: lib.note SHARE ROW EXCLUSIVE, lib.book SHARE ROW EXCLUSIVE
-- Rollback: lossless
ALTER TABLE lib.note
    ADD CONSTRAINT note_book_id_fkey
    FOREIGN KEY (book_id) REFERENCES lib.book ON DELETE CASCADE NOT VALID;
ALTER TABLE lib.note VALIDATE CONSTRAINT note_book_id_fkey;

---- rollback
ALTER TABLE lib.note DROP CONSTRAINT note_book_id_fkey;
