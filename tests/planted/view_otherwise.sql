-- A view is given a column more; a view can be given columns by OR REPLACE, but not be taken any.
-- Told: the rollback fails
-- Told: cannot drop columns from view

---- forward
-- Rollback: lossless
CREATE OR REPLACE VIEW lib.title AS SELECT id, name, pages FROM lib.book;

---- rollback
CREATE OR REPLACE VIEW lib.title AS SELECT id, name FROM lib.book;
