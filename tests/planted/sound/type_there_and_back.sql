-- A number becomes text and a number again.

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE, for it rewrites lib.book
-- Rollback: lossless
ALTER TABLE lib.book
    DROP CONSTRAINT book_pages_positive_check,
    ALTER COLUMN pages DROP DEFAULT,
    ALTER COLUMN pages TYPE text USING pages::text;

---- rollback
ALTER TABLE lib.book
    ALTER COLUMN pages TYPE integer USING pages::integer,
    ALTER COLUMN pages SET DEFAULT 1,
    ADD CONSTRAINT book_pages_positive_check CHECK (pages > 0);
