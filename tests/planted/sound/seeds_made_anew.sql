-- Rows that the migration brings by itself have another moment and another uuid each time.
-- Proof: identical, ok, kept

---- forward
-- Locks: none
-- Rollback: lossless
CREATE TABLE lib.kind (
    id      uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    name    text,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO lib.kind (name) VALUES ('novel'), ('novella');

---- rollback
DROP TABLE lib.kind;
