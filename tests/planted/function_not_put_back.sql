-- A function is replaced, and the rollback keeps the new body.
-- Told: restore these in
-- Told: -function lib.trimmed():     NEW.name := btrim(NEW.name);
-- Told: +function lib.trimmed():     NEW.name := upper(NEW.name);

---- forward
-- Rollback: lossless
CREATE OR REPLACE FUNCTION lib.trimmed() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.name := upper(NEW.name);
    RETURN NEW;
END
$$;

---- rollback
SELECT;
