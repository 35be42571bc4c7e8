-- No header at all: nothing is promised, and nothing is lost.

---- forward
CREATE INDEX book_price_idx ON lib.book (price);
ALTER TABLE lib.shelf ALTER COLUMN name DROP NOT NULL;

---- rollback
ALTER TABLE lib.shelf ALTER COLUMN name SET NOT NULL;
DROP INDEX lib.book_price_idx;
