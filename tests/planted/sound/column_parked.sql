-- A column is dropped, its values are kept by key, and it comes back, as the last one.
-- Proof: column order, ok, kept

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE
-- Rollback: lossless
CREATE TABLE lib.price AS SELECT id, price FROM lib.book;
ALTER TABLE lib.book DROP COLUMN price;

---- rollback
ALTER TABLE lib.book ADD COLUMN price numeric(8, 2);
COMMENT ON COLUMN lib.book.price IS 'What was paid, in euros.';
UPDATE lib.book SET price = p.price FROM lib.price AS p WHERE p.id = book.id;
DROP TABLE lib.price;
