-- The rollback parks the rows; the next apply puts back only some.
-- Told: lib.wish: 1 row
-- Told: its grade is lossless, but this is lost: lib.wish.name, lib.wish.priority
-- Proof: identical, ok, lost

---- forward
-- Rollback: lossless
CREATE TABLE lib.wish (name text, priority integer);
DO $$ BEGIN
    IF to_regclass('parked.wish') IS NOT NULL THEN
        INSERT INTO lib.wish SELECT * FROM parked.wish WHERE priority > 0;
        DROP SCHEMA parked CASCADE;
    END IF;
END $$;

---- rollback
CREATE SCHEMA parked;
CREATE TABLE parked.wish AS TABLE lib.wish;
DROP TABLE lib.wish;

---- rows
INSERT INTO lib.wish VALUES ('Sanditon', 1), ('The Watsons', NULL);
