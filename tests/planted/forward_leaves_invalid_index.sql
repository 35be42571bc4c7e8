-- A unique index cannot be built over doubled rows, and is left behind INVALID.
-- Told: it cannot be applied
-- Told: index lib.note_text_idx is INVALID

---- forward
-- Rollback: lossless
-- transactional: false
CREATE UNIQUE INDEX CONCURRENTLY note_text_idx ON lib.note (text);

---- rollback
DROP INDEX CONCURRENTLY lib.note_text_idx;
