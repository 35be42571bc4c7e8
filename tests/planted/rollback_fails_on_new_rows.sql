-- NOT NULL cannot come back where a null was put in since.
-- Told: the rollback fails
-- Told: column "pages" of relation "book" contains null values

---- forward
-- Rollback: lossless
ALTER TABLE lib.book ALTER COLUMN pages DROP NOT NULL;

---- rollback
ALTER TABLE lib.book ALTER COLUMN pages SET NOT NULL;

---- rows
INSERT INTO lib.book (name, pages) VALUES ('Sanditon', NULL);
