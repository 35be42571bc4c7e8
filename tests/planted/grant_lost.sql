-- A view is made anew, and nobody may read it any more.
-- Told: restore these in
-- Told: planted_reader

---- forward
-- Rollback: lossless
DROP VIEW lib.title;

---- rollback
CREATE VIEW lib.title AS SELECT id, name FROM lib.book;
COMMENT ON VIEW lib.title IS 'What stands on the spine.';
