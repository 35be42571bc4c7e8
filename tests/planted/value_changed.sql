-- Names are written small; as they were, nobody knows.
-- Told: lib.book.name: 3 values
-- Told: its grade is lossless, but this is lost: lib.book.name
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
UPDATE lib.book SET name = lower(name);

---- rollback
SELECT;
