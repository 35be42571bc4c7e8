-- A price goes through integer and back: the schema is the same, the cents are gone.
-- Told: lib.book.price: 2 values
-- Told: its grade is lossless, but this is lost: lib.book.price
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN price TYPE integer;

---- rollback
ALTER TABLE lib.book ALTER COLUMN price TYPE numeric(8, 2);
