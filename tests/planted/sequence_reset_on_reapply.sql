-- The rows are put back, but ids begin at 1 again: the next INSERT fails, or worse.
-- Told: lib.wish_id_seq: the sequence went back from 3 to 1
-- Told: its grade is lossless, but this is lost

---- forward
-- Rollback: lossless
CREATE TABLE lib.wish (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
DO $$ BEGIN
    IF to_regclass('parked.wish') IS NOT NULL THEN
        INSERT INTO lib.wish OVERRIDING SYSTEM VALUE SELECT * FROM parked.wish;
        DROP SCHEMA parked CASCADE;
    END IF;
END $$;

---- rollback
CREATE SCHEMA parked;
CREATE TABLE parked.wish AS TABLE lib.wish;
DROP TABLE lib.wish;

---- rows
INSERT INTO lib.wish (name) VALUES ('Sanditon'), ('The Watsons');
