-- Two documents wait for a person; one is changed again before anybody looks.

UPDATE docmeta.documents SET status = 'needs_review' WHERE id IN (5, 12);
UPDATE docmeta.documents SET title = 'Letter' WHERE id = 12;

-- As after an append that was rolled back.
SELECT nextval('docmeta.audit_log_id_seq');
