-- The rows are put back, and left in the parking schema, too.
-- Told: applying it again leaves rows in the parking schema
-- Proof: identical, ok, kept

---- forward
-- Rollback: lossless
CREATE TABLE lib.wish (name text PRIMARY KEY);
DO $$ BEGIN
    IF to_regclass('parked.wish') IS NOT NULL THEN
        INSERT INTO lib.wish SELECT * FROM parked.wish;
    END IF;
END $$;

---- rollback
CREATE SCHEMA parked;
CREATE TABLE parked.wish AS TABLE lib.wish;
DROP TABLE lib.wish;

---- rows
INSERT INTO lib.wish VALUES ('Sanditon');
