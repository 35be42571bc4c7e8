-- A table, a column, an index and a constraint are renamed, and renamed again.

---- forward
-- Locks: lib.book ACCESS EXCLUSIVE, for a moment
-- Rollback: lossless
ALTER TABLE lib.book RENAME TO work;
ALTER TABLE lib.work RENAME COLUMN name TO title;
ALTER TABLE lib.work RENAME CONSTRAINT book_pages_positive_check TO work_pages_positive_check;
ALTER INDEX lib.book_name_idx RENAME TO work_title_idx;

---- rollback
ALTER INDEX lib.work_title_idx RENAME TO book_name_idx;
ALTER TABLE lib.work RENAME CONSTRAINT work_pages_positive_check TO book_pages_positive_check;
ALTER TABLE lib.work RENAME COLUMN title TO name;
ALTER TABLE lib.work RENAME TO book;
