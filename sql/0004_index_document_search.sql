-- Documents can be searched by the words of their filename and title.
--
-- Why: LIKE '%word%' reads every document of every tenant. A generated tsvector column
--     would rewrite the table under ACCESS EXCLUSIVE and store each name twice; an
--     index on the expression does neither. Its configuration is named, for the setting
--     default_text_search_config may change and the index would then be wrong;
--     'simple', because names come in every language. The parser takes invoice_2026.pdf
--     for one word, the name of a file: what joins words in names is made a blank
--     before, here and in what is searched for.
--     Built CONCURRENTLY, and so outside a transaction: cut off, it leaves an INVALID
--     index, which `migrate up` drops and builds anew. With stock yoyo DROP INDEX
--     CONCURRENTLY it by hand; IF NOT EXISTS would record success over it.
--     New words are gathered in a pending list, which every search reads from end to
--     end, and which the one writer who fills it must empty. It is held to 64 kB, the
--     least: at the default of 4 MB both become slow, and without a list (fastupdate
--     off) each document writes to as many pages as it has words, three times the log.
-- Locks: docmeta.documents SHARE UPDATE EXCLUSIVE; long, but readers and writers go on.
--     It waits twice for transactions that are older than itself to end. At its end the
--     build logs the whole index at once: who commits then waits until the disk has
--     that, too.
-- Rollback: lossless; an index holds no row of its own.
--
-- depends: 0003_grant_roles
-- transactional: false

-- No lock_timeout, for it would count the wait for older transactions as well.
-- squawk-ignore-file require-lock-timeout, prefer-robust-stmts
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY documents_search_idx
    ON docmeta.documents USING gin (
        to_tsvector(
            'simple', translate(filename || ' ' || coalesce(title, ''), '._-', '   ')
        )
    )
    WITH (gin_pending_list_limit = 64);

COMMENT ON INDEX docmeta.documents_search_idx IS
    'Live documents by words of their filename and title: '
    'SELECT id FROM docmeta.documents '
    'WHERE tenant_id = $1 AND deleted_at IS NULL '
    'AND to_tsvector(''simple'', '
    'translate(filename || '' '' || coalesce(title, ''''), ''._-'', ''   '')) '
    '@@ websearch_to_tsquery(''simple'', '
    'regexp_replace($2, ''(?<=[^[:space:]])[._-]'', '' '', ''g''))';
