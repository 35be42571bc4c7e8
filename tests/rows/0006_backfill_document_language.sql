-- Somebody finds out the language of a document that the backfill has filled.

UPDATE docmeta.documents SET language = 'fr' WHERE tenant_id = 1 AND id = 11;
