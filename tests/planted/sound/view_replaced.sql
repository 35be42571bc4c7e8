-- A view and a function are replaced by others, and replaced again, with all that hangs on them.

---- forward
-- Locks: lib.title ACCESS EXCLUSIVE
-- Rollback: lossless
CREATE OR REPLACE VIEW lib.title AS SELECT id, upper(name) AS name FROM lib.book;
CREATE OR REPLACE FUNCTION lib.trimmed() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.name := ltrim(NEW.name);
    RETURN NEW;
END
$$;

---- rollback
CREATE OR REPLACE FUNCTION lib.trimmed() RETURNS trigger
LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.name := btrim(NEW.name);
    RETURN NEW;
END
$$;
CREATE OR REPLACE VIEW lib.title AS SELECT id, name FROM lib.book;
