-- A document of before is written while its language is still null: the trigger fills it.

UPDATE docmeta.documents SET page_count = 7 WHERE tenant_id = 2 AND id = 12;
