-- The check is for rows to come alone again. Nothing makes a valid check NOT VALID but
-- to drop and add it: a change of the catalog, which reads no row.
--
-- squawk-ignore-file ban-drop-constraint

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.documents
    DROP CONSTRAINT documents_language_not_null_check,
    ADD CONSTRAINT documents_language_not_null_check
        CHECK (language IS NOT NULL) NOT VALID;
