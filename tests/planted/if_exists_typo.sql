-- A typo behind IF EXISTS: nothing is dropped, and nothing fails.
-- Told: restore these in
-- Told: table "pictrue" does not exist, skipping
-- Told: lib.picture

---- forward
-- Rollback: lossless
CREATE TABLE IF NOT EXISTS lib.picture (path text);

---- rollback
DROP TABLE IF EXISTS lib.pictrue;

---- rows
INSERT INTO lib.picture VALUES ('emma.png');
