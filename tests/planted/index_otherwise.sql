-- An index comes back over another column.
-- Told: restore these in
-- Told: book_name_idx

---- forward
-- Rollback: lossless
DROP INDEX lib.book_name_idx;

---- rollback
CREATE INDEX book_name_idx ON lib.book (lower(name));
