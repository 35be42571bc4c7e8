-- The rollback gives a function back, but for another type of argument.
-- Told: restore these in
-- Told: -function lib.size(integer)
-- Told: applying it again fails
-- Told: +function lib.size(bigint)

---- forward
-- Rollback: lossless
DROP FUNCTION lib.size(integer);
CREATE FUNCTION lib.size(pages integer, is_folio boolean) RETURNS text
LANGUAGE sql RETURN CASE WHEN is_folio OR pages > 400 THEN 'large' ELSE 'small' END;

---- rollback
DROP FUNCTION lib.size(integer, boolean);
CREATE FUNCTION lib.size(pages bigint) RETURNS text
LANGUAGE sql RETURN CASE WHEN pages > 400 THEN 'large' ELSE 'small' END;
