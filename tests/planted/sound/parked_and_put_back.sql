-- A table with ids is parked by its rollback, and put back by the next apply.

---- forward
-- Locks: none
-- Rollback: lossless
CREATE TABLE lib.wish (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text
);
DO $$ BEGIN
    IF to_regclass('parked.wish') IS NOT NULL THEN
        INSERT INTO lib.wish OVERRIDING SYSTEM VALUE SELECT * FROM parked.wish;
        PERFORM setval('lib.wish_id_seq', last_value, is_called) FROM parked.wish_id;
        DROP SCHEMA parked CASCADE;
    END IF;
END $$;

---- rollback
CREATE SCHEMA parked;
CREATE TABLE parked.wish AS TABLE lib.wish;
CREATE TABLE parked.wish_id AS SELECT last_value, is_called FROM lib.wish_id_seq;
DROP TABLE lib.wish;

---- rows
INSERT INTO lib.wish (name) VALUES ('Sanditon'), ('The Watsons'), (NULL);
DELETE FROM lib.wish WHERE id = 3;
