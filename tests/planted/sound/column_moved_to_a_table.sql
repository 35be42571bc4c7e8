-- The prices move into a table of their own, with the next one that comes, and back.
-- Proof: column order, ok, kept

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE
-- Rollback: lossless
CREATE TABLE lib.price (book_id bigint PRIMARY KEY REFERENCES lib.book, euros numeric(8, 2));
INSERT INTO lib.price SELECT id, price FROM lib.book WHERE price IS NOT NULL;
ALTER TABLE lib.book DROP COLUMN price;

---- rollback
ALTER TABLE lib.book ADD COLUMN price numeric(8, 2);
COMMENT ON COLUMN lib.book.price IS 'What was paid, in euros.';
UPDATE lib.book SET price = p.euros FROM lib.price AS p WHERE book_id = id;
DROP TABLE lib.price;

---- rows
INSERT INTO lib.book (name) VALUES ('Sanditon');
INSERT INTO lib.price SELECT id, 7.50 FROM lib.book WHERE name = 'Sanditon';
