-- A view stands in the way of a type, is dropped, and stays so.
-- Told: restore these in
-- Told: -view lib.title
-- Told: applying it again fails

---- forward
-- Rollback: lossless
DROP VIEW lib.title;

---- rollback
SELECT;
