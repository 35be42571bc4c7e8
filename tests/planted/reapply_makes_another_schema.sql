-- What the migration makes hangs on what it finds, and the rollback leaves something.
-- Told: restore these in
-- Told: applying it again makes another schema

---- forward
-- Rollback: lossless
DO $$ BEGIN
    IF to_regclass('lib.wanted') IS NULL THEN
        CREATE TABLE lib.wanted (name text);
    ELSE
        ALTER TABLE lib.wanted ADD COLUMN twice boolean;
    END IF;
END $$;

---- rollback
COMMENT ON TABLE lib.wanted IS 'Rolled back.';

---- rows
INSERT INTO lib.wanted VALUES ('Sanditon');
