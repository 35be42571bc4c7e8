-- The rollback parks the rows, but for one column.
-- Told: lib.wish.priority: 1 value
-- Told: its grade is lossless, but this is lost: lib.wish.priority

---- forward
-- Rollback: lossless
CREATE TABLE lib.wish (name text PRIMARY KEY, priority integer);
DO $$ BEGIN
    IF to_regclass('parked.wish') IS NOT NULL THEN
        INSERT INTO lib.wish SELECT * FROM parked.wish;
        DROP SCHEMA parked CASCADE;
    END IF;
END $$;

---- rollback
CREATE SCHEMA parked;
CREATE TABLE parked.wish AS SELECT name FROM lib.wish;
DROP TABLE lib.wish;

---- rows
INSERT INTO lib.wish VALUES ('Sanditon', 1), ('The Watsons', NULL);
