-- A document cannot be without a language.
--
-- Why: SET NOT NULL reads the table under ACCESS EXCLUSIVE, unless a valid check proves
--     what it would find (since PostgreSQL 12): 0007 has seen to that. The check stays,
--     though it now says the same twice: dropped, it could only come back in a rollback
--     by reading the table under that lock, or NOT VALID, which is not what it was. The
--     trigger of 0005 goes: NOT NULL that quietly takes NULL would deceive who reads
--     the schema. From here on a client that sends NULL gets an error; one that does
--     not name the column still gets und. To see whether any still sends it, apply this
--     later: with track_functions = 'pl', pg_stat_user_functions counts the calls of
--     docmeta.fill_document_language, which is called for nulls alone.
-- Locks: docmeta.documents ACCESS EXCLUSIVE, for a change of the catalog alone.
-- Rollback: lossless; no row changes.
--
-- depends: 0007_validate_document_language

SET LOCAL lock_timeout = '200ms';

-- Proved by the check of 0007, and so not looked for.
-- squawk-ignore adding-not-nullable-field
ALTER TABLE docmeta.documents ALTER COLUMN language SET NOT NULL;

DROP TRIGGER documents_fill_language ON docmeta.documents;

-- Nobody but the trigger could call it.
-- squawk-ignore ban-drop-function
DROP FUNCTION docmeta.fill_document_language();

COMMENT ON COLUMN docmeta.documents.language IS
    'BCP 47 tag, such as de or pt-BR; und while unknown.';
