-- A null is filled in, and is not null again.
-- Told: lib.book.price: 1 value
-- Told: its grade is lossless, but this is lost: lib.book.price

---- forward
-- Rollback: lossless
UPDATE lib.book SET price = 0 WHERE price IS NULL;

---- rollback
SELECT;
