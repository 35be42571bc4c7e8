-- Nulls are filled in, and the table remembers where, so that they are null again.

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE
-- Rollback: lossless
CREATE TABLE lib.unpriced AS SELECT id FROM lib.book WHERE price IS NULL;
UPDATE lib.book SET price = 0 WHERE price IS NULL;
ALTER TABLE lib.book ALTER COLUMN price SET NOT NULL;

---- rollback
ALTER TABLE lib.book ALTER COLUMN price DROP NOT NULL;
UPDATE lib.book SET price = NULL WHERE id IN (SELECT id FROM lib.unpriced);
DROP TABLE lib.unpriced;

---- rows
INSERT INTO lib.book (name, price) VALUES ('Sanditon', 0);
