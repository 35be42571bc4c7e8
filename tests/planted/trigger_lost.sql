-- A trigger goes with its function, and only the function comes back.
-- Told: restore these in
-- Told: book_trimmed

---- forward
-- Rollback: lossless
DROP TRIGGER book_trimmed ON lib.book;
DROP FUNCTION lib.trimmed();

---- rollback
CREATE FUNCTION lib.trimmed() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.name := btrim(NEW.name);
    RETURN NEW;
END
$$;
