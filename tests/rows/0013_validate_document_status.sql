-- Two documents wait for a person; one is changed again before anybody looks.

UPDATE docmeta.documents SET status = 'needs_review' WHERE id IN (5, 12);
UPDATE docmeta.documents SET title = 'Letter' WHERE id = 12;
