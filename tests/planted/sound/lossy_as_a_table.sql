-- A table goes with its rows, and the header says so of the whole table.
-- Proof: identical, ok, lost

---- forward
-- Locks: none
-- Rollback: lossy: lib.wish
CREATE TABLE lib.wish (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text
);

---- rollback
DROP TABLE lib.wish;

---- rows
INSERT INTO lib.wish (name) VALUES ('Sanditon');
