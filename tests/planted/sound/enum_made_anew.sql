-- A value of an enum is taken away by making the type anew.

---- forward
-- Locks: none
-- Rollback: lossless
ALTER TYPE lib.state ADD VALUE 'lost';

---- rollback
ALTER TYPE lib.state RENAME TO state_before;
CREATE TYPE lib.state AS ENUM ('new', 'ready');
ALTER TABLE lib.book
    ALTER COLUMN state DROP DEFAULT,
    ALTER COLUMN state TYPE lib.state USING state::text::lib.state,
    ALTER COLUMN state SET DEFAULT 'new';
DROP TYPE lib.state_before;
