-- A table with a key goes into another one, and comes out again; its sequence goes with it.

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE, lib.shelf ACCESS EXCLUSIVE
-- Rollback: lossless
CREATE TABLE lib.place AS TABLE lib.shelf;
ALTER TABLE lib.book DROP CONSTRAINT book_shelf_id_fkey;
DROP TABLE lib.shelf;

---- rollback
CREATE TABLE lib.shelf (
    id   bigint GENERATED ALWAYS AS IDENTITY,
    name text   NOT NULL,

    CONSTRAINT shelf_pkey PRIMARY KEY (id)
);
INSERT INTO lib.shelf OVERRIDING SYSTEM VALUE TABLE lib.place;
SELECT setval('lib.shelf_id_seq', max(id)) FROM lib.shelf;
ALTER TABLE lib.book
    ADD CONSTRAINT book_shelf_id_fkey
    FOREIGN KEY (shelf_id) REFERENCES lib.shelf ON DELETE CASCADE;
DROP TABLE lib.place;
