-- A key becomes integer and bigint again, its sequence with it, and goes on counting.

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE, lib.title ACCESS EXCLUSIVE, and it rewrites lib.book
-- Rollback: lossless
DROP VIEW lib.title;
ALTER TABLE lib.book ALTER COLUMN id TYPE integer;
ALTER SEQUENCE lib.book_id_seq AS integer;
CREATE VIEW lib.title AS SELECT id, name FROM lib.book;

---- rollback
DROP VIEW lib.title;
ALTER TABLE lib.book ALTER COLUMN id TYPE bigint;
ALTER SEQUENCE lib.book_id_seq AS bigint;
CREATE VIEW lib.title AS SELECT id, name FROM lib.book;
COMMENT ON VIEW lib.title IS 'What stands on the spine.';
GRANT SELECT ON lib.title TO planted_reader;

---- rows
INSERT INTO lib.book (name) VALUES ('Sanditon');
