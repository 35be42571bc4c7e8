-- That every document has a language is checked for old rows as well.
--
-- Why: a step of its own. VALIDATE reads the whole table, but lets readers and writers
--     go on; together with the SET NOT NULL of 0008, which has to wait for a lock that
--     stops them, it would read all again at each try to get that lock.
-- Locks: docmeta.documents SHARE UPDATE EXCLUSIVE; as long as it takes to read the
--     table once, in which VACUUM and other changes of the schema wait, and nobody
--     else.
-- Rollback: lossless; the check stays, and goes back to NOT VALID.
--
-- depends: 0006_backfill_document_language

SET LOCAL lock_timeout = '200ms';

ALTER TABLE docmeta.documents VALIDATE CONSTRAINT documents_language_not_null_check;
