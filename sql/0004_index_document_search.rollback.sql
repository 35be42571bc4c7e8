-- Takes the search index away. IF EXISTS, for stock yoyo runs this to undo a build that
-- failed before there was an index.

DROP INDEX CONCURRENTLY IF EXISTS docmeta.documents_search_idx;
