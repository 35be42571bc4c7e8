-- A function is made, and stays.
-- Told: restore these in
-- Told: +function lib.twice(integer)

---- forward
-- Rollback: lossless
CREATE OR REPLACE FUNCTION lib.twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * n';

---- rollback
SELECT lib.twice(2);
