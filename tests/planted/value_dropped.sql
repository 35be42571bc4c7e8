-- A column is dropped, and comes back with nothing in it.
-- Told: lib.book.price: 2 values
-- Told: its grade is lossless, but this is lost: lib.book.price
-- Proof: column order, ok, lost

---- forward
-- Rollback: lossless
ALTER TABLE lib.book DROP COLUMN price;

---- rollback
ALTER TABLE lib.book ADD COLUMN price numeric(8, 2);
COMMENT ON COLUMN lib.book.price IS 'What was paid, in euros.';
