-- Takes the search index away. IF EXISTS, for stock yoyo runs this to undo a build that
-- failed before there was an index. No lock_timeout, for it would count the wait for
-- older transactions as well.
--
-- squawk-ignore-file require-lock-timeout

DROP INDEX CONCURRENTLY IF EXISTS docmeta.documents_search_idx;
