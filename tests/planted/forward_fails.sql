-- The migration cannot be applied: a table of that name is there.
-- Told: it cannot be applied
-- Told: line 2: relation "shelf" already exists
-- Proof: -, -, -

---- forward
-- Rollback: lossless
CREATE TABLE lib.shelf (width integer);

---- rollback
DROP TABLE lib.shelf;
