-- The schema of one database as facts: a subject, its fact (none if the subject says it all), and
-- whether the fact is a text of several lines. Read by catalog.py, which settles the session first;
-- by hand: psql -v parked= -v owner= -f catalog.sql
--
-- One statement, so one round trip and one snapshot. PostgreSQL 15 to 18 give the same facts for
-- the same DDL. A column of the system catalogs that only some of them have is read through
-- to_jsonb(), which lacks it quietly.

WITH

-- What a role is called. Whoever reads is <owner>: the text is not to depend on who migrates.
roles AS MATERIALIZED (
    SELECT
        oid,
        CASE WHEN rolname = coalesce(nullif(:'owner', ''), current_user) THEN '<owner>'
            ELSE quote_ident(rolname) END AS name
    FROM pg_roles
    UNION ALL
    SELECT 0, 'PUBLIC'
),

-- The database. Of itself it has no name here, and no owner: one schema may be in many.
this AS MATERIALIZED (
    SELECT oid, datdba, datacl
    FROM pg_database
    WHERE datname = current_database()
),

-- What is part of something else: of an extension, or of a range type, which has functions and
-- casts.
members AS MATERIALIZED (
    SELECT classid, objid
    FROM pg_depend
    WHERE deptype = 'e' OR (deptype = 'i' AND classid IN ('pg_proc'::regclass, 'pg_cast'::regclass))
),

-- The schemas looked into: not the system's, not temporary ones, not where rollbacks park rows.
schemas AS MATERIALIZED (
    SELECT oid, quote_ident(nspname) AS name
    FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', :'parked')
),

-- What has columns, and sequences: not yoyo's history, nor what an extension made.
relations AS MATERIALIZED (
    SELECT
        c.*,
        s.name || '.' AS prefix,
        s.name || '.' || quote_ident(c.relname) AS name,
        CASE c.relkind
            WHEN 'v' THEN 'view'
            WHEN 'm' THEN 'materialized view'
            WHEN 'S' THEN 'sequence'
            WHEN 'f' THEN 'foreign table'
            WHEN 'c' THEN 'type'
            ELSE 'table'
        END AS kind
    FROM pg_class AS c
    JOIN schemas AS s ON s.oid = c.relnamespace
    LEFT JOIN members AS m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
        AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock')
        AND m.objid IS NULL
),

-- The options of a sequence that are not what its type and direction give it anyway.
sequences AS MATERIALIZED (
    SELECT
        r.oid,
        r.name,
        format_type(q.seqtypid, NULL) AS type,
        concat(
            ' start ' || nullif(q.seqstart, CASE WHEN up THEN q.seqmin ELSE q.seqmax END),
            ' increment ' || nullif(q.seqincrement, 1),
            ' minimum ' || nullif(q.seqmin, CASE WHEN up THEN 1 ELSE -highest - 1 END),
            ' maximum ' || nullif(q.seqmax, CASE WHEN up THEN highest ELSE -1 END),
            ' cache ' || nullif(q.seqcache, 1),
            CASE WHEN q.seqcycle THEN ' cycle' END
        ) AS options,
        d.refobjid AS owner_relid,
        d.refobjsubid AS owner_attnum,
        coalesce(d.deptype = 'i', false) AS is_identity
    FROM pg_sequence AS q
    JOIN relations AS r ON r.oid = q.seqrelid
    CROSS JOIN LATERAL (
        SELECT
            q.seqincrement > 0,
            CASE q.seqtypid
                WHEN 'smallint'::regtype THEN 32767
                WHEN 'integer'::regtype THEN 2147483647
                ELSE 9223372036854775807
            END
    ) AS usual (up, highest)
    LEFT JOIN pg_depend AS d
        ON d.classid = 'pg_class'::regclass AND d.objid = q.seqrelid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
),

-- Columns. 17 and 18 give a partition its parent's identity: only the column that has the sequence
-- shows it.
columns AS MATERIALIZED (
    SELECT
        r.oid AS relid,
        a.attnum,
        a.attname,
        r.name || '.' || quote_ident(a.attname) AS name,
        r.relkind,
        r.relowner AS owner,
        a.attacl AS acl,
        a.attislocal,
        r.relispartition,
        concat(
            format_type(a.atttypid, a.atttypmod),
            ' collate ' || nullif(a.attcollation, t.typcollation)::regcollation,
            CASE WHEN a.attnotnull THEN ' not null' END,
            CASE a.attgenerated WHEN '' THEN ' default ' ELSE ' generated always as (' END
                || pg_get_expr(d.adbin, d.adrelid),
            CASE a.attgenerated WHEN 's' THEN ') stored' WHEN 'v' THEN ') virtual' END
        ) AS fact,
        CASE WHEN q.oid IS NOT NULL THEN concat(
            CASE a.attidentity WHEN 'a' THEN ' identity always' ELSE ' identity by default' END,
            ' (' || nullif(ltrim(concat(
                CASE WHEN q.name <> r.prefix || quote_ident(r.relname || '_' || a.attname || '_seq')
                    THEN 'sequence ' || q.name END,
                CASE WHEN q.type <> format_type(a.atttypid, NULL) THEN ' as ' || q.type END,
                q.options
            )), '') || ')'
        ) END AS identity,
        nullif(a.attstorage, t.typstorage) AS storage,
        nullif(a.attcompression, '') AS compression,
        nullif(a.attstattarget, -1) AS statistics_target,
        a.attoptions AS options,
        a.attfdwoptions AS fdw_options
    FROM relations AS r
    JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN sequences AS q
        ON q.is_identity AND q.owner_relid = a.attrelid AND q.owner_attnum = a.attnum
    WHERE r.relkind <> 'S'
),

-- Operator families, the system's too: a class may join one of these.
families AS MATERIALIZED (
    SELECT
        f.oid, f.opfowner, f.opfnamespace,
        quote_ident(n.nspname) || '.' || quote_ident(f.opfname) || ' using ' || m.amname AS name
    FROM pg_opfamily AS f
    JOIN pg_namespace AS n ON n.oid = f.opfnamespace
    JOIN pg_am AS m ON m.oid = f.opfmethod
),

-- Every object that can have an owner, privileges or a comment. One that is implied by another (the
-- index of a constraint, the sequence of an identity column, a plain NOT NULL, what a partition has
-- from its parent) has no line of its own.
candidates (classid, objid, kind, name, owner, acl_type, acl, implied, fact, is_text) AS (
    SELECT 'pg_namespace'::regclass::oid, n.oid, 'schema', s.name, n.nspowner, 'n'::"char",
    n.nspacl, false, NULL, false
    FROM pg_namespace AS n
    JOIN schemas AS s ON s.oid = n.oid

    UNION ALL
    SELECT
        'pg_class'::regclass, r.oid, r.kind, r.name, r.relowner, 'r', r.relacl, false,
        CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END, r.relkind IN ('v', 'm')
    FROM relations AS r
    WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')

    UNION ALL
    SELECT
        'pg_class'::regclass, q.oid, 'sequence', q.name, r.relowner, 's', r.relacl, q.is_identity,
        q.type || q.options || coalesce(' owned by ' || c.name, ''), false
    FROM sequences AS q
    JOIN relations AS r ON r.oid = q.oid
    LEFT JOIN columns AS c ON c.relid = q.owner_relid AND c.attnum = q.owner_attnum

    UNION ALL
    SELECT
        'pg_class'::regclass, c.oid, 'index',
        r.prefix || quote_ident(c.relname) || ' on ' || r.name,
        NULL, NULL, NULL, k.oid IS NOT NULL,
        CASE WHEN k.oid IS NULL THEN pg_get_indexdef(c.oid) END, false
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN relations AS r ON r.oid = i.indrelid
    LEFT JOIN pg_constraint AS k
        ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') AND k.conparentid = 0

    UNION ALL
    SELECT
        'pg_type'::regclass, t.oid, CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
        s.name || '.' || quote_ident(t.typname), t.typowner, 'T', t.typacl, false,
        CASE t.typtype
            WHEN 'e' THEN (
                SELECT concat(
                    'enum (', string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder), ')'
                )
                FROM pg_enum AS e
                WHERE e.enumtypid = t.oid
            )
            WHEN 'd' THEN concat(
                format_type(t.typbasetype, t.typtypmod),
                ' collate ' || nullif(t.typcollation, b.typcollation)::regcollation,
                CASE WHEN t.typnotnull THEN ' not null' END,
                ' default ' || pg_get_expr(t.typdefaultbin, 0)
            )
            WHEN 'r' THEN (
                SELECT concat(
                    'range of ', format_type(g.rngsubtype, NULL),
                    ' collate ' || nullif(nullif(g.rngcollation, u.typcollation), 0)::regcollation,
                    CASE WHEN NOT c.opcdefault THEN
                        ' operator class ' || quote_ident(c.opcname) END,
                    ' canonical ' || nullif(g.rngcanonical, 0::oid)::regproc,
                    ' difference ' || nullif(g.rngsubdiff, 0::oid)::regproc,
                    ', multirange ' || format_type(g.rngmultitypid, NULL)
                )
                FROM pg_range AS g
                JOIN pg_type AS u ON u.oid = g.rngsubtype
                JOIN pg_opclass AS c ON c.oid = g.rngsubopc
                WHERE g.rngtypid = t.oid
            )
            WHEN 'c' THEN 'composite'
            WHEN 'p' THEN 'shell'
            ELSE concat(
                'base, input ', t.typinput, ', output ', t.typoutput,
                ', receive ' || nullif(t.typreceive, 0::oid)::regproc,
                ', send ' || nullif(t.typsend, 0::oid)::regproc,
                ', modifier input ' || nullif(t.typmodin, 0::oid)::regproc,
                ', modifier output ' || nullif(t.typmodout, 0::oid)::regproc,
                ', analyze ' || nullif(t.typanalyze, 0::oid)::regproc,
                ', subscript ' || nullif(t.typsubscript, 0::oid)::regproc,
                ', length ', t.typlen, CASE WHEN t.typbyval THEN ', by value' END, ', align ',
                t.typalign,
                ', storage ', t.typstorage, ', category ', t.typcategory,
                CASE WHEN t.typispreferred THEN ' preferred' END,
                ', delimiter ', t.typdelim, ', element ' || nullif(t.typelem, 0)::regtype,
                ', default ' || t.typdefault,
                CASE WHEN t.typcollation <> 0 THEN ', collatable' END
            )
        END,
        false
    FROM pg_type AS t
    JOIN schemas AS s ON s.oid = t.typnamespace
    LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
    LEFT JOIN pg_type AS element ON element.typarray = t.oid
    LEFT JOIN relations AS r ON r.oid = t.typrelid
    WHERE element.oid IS NULL
        AND t.typtype <> 'm'
        AND (t.typtype <> 'c' OR r.relkind = 'c')

    UNION ALL
    SELECT
        'pg_proc'::regclass, p.oid,
        CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
        p.oid::regprocedure::text, p.proowner, 'f', p.proacl, false,
        CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE (
            SELECT concat_ws(
                ', ',
                '(' || pg_get_function_arguments(p.oid) || ')',
                'returns ' || pg_get_function_result(p.oid),
                CASE g.aggkind WHEN 'o' THEN 'ordered set' WHEN 'h' THEN 'hypothetical set' END,
                CASE p.proparallel
                    WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' END,
                'state ' || g.aggtransfn || ' ' || format_type(g.aggtranstype, NULL),
                'space ' || nullif(g.aggtransspace, 0),
                'initial ' || quote_literal(g.agginitval),
                'final ' || nullif(g.aggfinalfn, 0::oid)::regproc || ' ' || g.aggfinalmodify::text
                    || CASE WHEN g.aggfinalextra THEN ' extra' ELSE '' END,
                'combine ' || nullif(g.aggcombinefn, 0::oid)::regproc,
                'serialize ' || nullif(g.aggserialfn, 0::oid)::regproc,
                'deserialize ' || nullif(g.aggdeserialfn, 0::oid)::regproc,
                'moving state ' || nullif(g.aggmtransfn, 0::oid)::regproc
                    || ' ' || format_type(g.aggmtranstype, NULL),
                'moving space ' || nullif(g.aggmtransspace, 0),
                'moving initial ' || quote_literal(g.aggminitval),
                'moving inverse ' || nullif(g.aggminvtransfn, 0::oid)::regproc,
                'moving final ' || nullif(g.aggmfinalfn, 0::oid)::regproc
                    || ' ' || g.aggmfinalmodify::text
                    || CASE WHEN g.aggmfinalextra THEN ' extra' ELSE '' END,
                'sort ' || nullif(g.aggsortop, 0)::regoperator
            )
            FROM pg_aggregate AS g
            WHERE g.aggfnoid = p.oid
        ) END,
        p.prokind <> 'a'
    FROM pg_proc AS p
    JOIN schemas AS s ON s.oid = p.pronamespace

    -- A NOT NULL under a name of the server's making is plain: 18 has it as a constraint, 15 only
    -- as the column's property.
    UNION ALL
    SELECT
        'pg_constraint'::regclass, k.oid, 'constraint',
        coalesce(r.name, d.name) || ' ' || quote_ident(k.conname),
        NULL, NULL, NULL, implied, CASE WHEN NOT implied THEN pg_get_constraintdef(k.oid) END, false
    FROM pg_constraint AS k
    LEFT JOIN pg_constraint AS whole ON whole.oid = k.conparentid
    CROSS JOIN LATERAL (
        SELECT coalesce(whole.conrelid = k.conrelid, false)
            OR (k.convalidated AND (
                k.conparentid <> 0
                OR NOT k.conislocal
                OR (k.contype = 'n' AND k.conname ~ '_not_null\d*$' AND NOT k.connoinherit)
            ))
    ) AS plain (implied)
    LEFT JOIN relations AS r ON r.oid = k.conrelid
    LEFT JOIN (
        SELECT t.oid, s.name || '.' || quote_ident(t.typname) AS name
        FROM pg_type AS t
        JOIN schemas AS s ON s.oid = t.typnamespace
    ) AS d ON d.oid = k.contypid
    WHERE k.contype <> 't' AND coalesce(r.name, d.name) IS NOT NULL

    UNION ALL
    SELECT
        'pg_trigger'::regclass, t.oid, 'trigger', r.name || ' ' || quote_ident(t.tgname), NULL,
        NULL, NULL,
        t.tgparentid <> 0, pg_get_triggerdef(t.oid), false
    FROM pg_trigger AS t
    JOIN relations AS r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal

    UNION ALL
    SELECT
        'pg_rewrite'::regclass, w.oid, 'rule', r.name || ' ' || quote_ident(w.rulename), NULL, NULL,
        NULL,
        false, pg_get_ruledef(w.oid), true
    FROM pg_rewrite AS w
    JOIN relations AS r ON r.oid = w.ev_class
    WHERE NOT (w.rulename = '_RETURN' AND r.relkind IN ('v', 'm'))

    UNION ALL
    SELECT
        'pg_policy'::regclass, p.oid, 'policy', r.name || ' ' || quote_ident(p.polname), NULL, NULL,
        NULL, false,
        concat(
            CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            CASE p.polcmd
                WHEN 'r' THEN ' for select' WHEN 'a' THEN ' for insert' WHEN 'w' THEN ' for update'
                WHEN 'd' THEN ' for delete' ELSE ' for all'
            END,
            ' to ' || (
                SELECT string_agg(o.name, ', ' ORDER BY o.name COLLATE "C")
                FROM roles AS o
                WHERE o.oid = ANY (p.polroles)
            ),
            ' using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
            ' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'
        ), false
    FROM pg_policy AS p
    JOIN relations AS r ON r.oid = p.polrelid

    -- By name, not by pg_get_statisticsobjdef(): its columns come in the order they have in the
    -- table.
    UNION ALL
    SELECT
        'pg_statistic_ext'::regclass, x.oid, 'statistics', s.name || '.' || quote_ident(x.stxname),
        x.stxowner, NULL, NULL,
        false,
        concat(
            (SELECT string_agg(
                CASE kind
                    WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies'
                    WHEN 'm' THEN 'mcv' ELSE 'expressions'
                END,
                ', ' ORDER BY kind
            ) FROM unnest(x.stxkind) AS kind),
            ' on ',
            (SELECT string_agg(part, ', ' ORDER BY part COLLATE "C") FROM (
                SELECT quote_ident(a.attname)
                FROM pg_attribute AS a
                WHERE a.attrelid = x.stxrelid AND a.attnum = ANY (x.stxkeys)
                UNION ALL
                SELECT '(' || e || ')' FROM unnest(pg_get_statisticsobjdef_expressions(x.oid)) AS e
            ) AS parts (part)),
            ' from ', r.name
        ), false
    FROM pg_statistic_ext AS x
    JOIN schemas AS s ON s.oid = x.stxnamespace
    JOIN relations AS r ON r.oid = x.stxrelid

    UNION ALL
    SELECT
        'pg_operator'::regclass, o.oid, 'operator', o.oid::regoperator::text, o.oprowner, NULL,
        NULL, false,
        concat_ws(
            ', ',
            'function ' || nullif(o.oprcode, 0::oid)::regproc,
            'commutator ' || nullif(o.oprcom, 0)::regoperator,
            'negator ' || nullif(o.oprnegate, 0)::regoperator,
            'restrict ' || nullif(o.oprrest, 0::oid)::regproc,
            'join ' || nullif(o.oprjoin, 0::oid)::regproc,
            CASE WHEN o.oprcanmerge THEN 'merges' END,
            CASE WHEN o.oprcanhash THEN 'hashes' END
        ), false
    FROM pg_operator AS o
    JOIN schemas AS s ON s.oid = o.oprnamespace

    UNION ALL
    SELECT
        'pg_opfamily'::regclass, f.oid, 'operator family', f.name, f.opfowner, NULL, NULL, false,
        NULL, false
    FROM families AS f
    JOIN schemas AS s ON s.oid = f.opfnamespace

    UNION ALL
    SELECT
        'pg_opclass'::regclass, c.oid, 'operator class',
        s.name || '.' || quote_ident(c.opcname) || ' using ' || m.amname,
        c.opcowner, NULL, NULL, false,
        concat(
            'for ', format_type(c.opcintype, NULL), CASE WHEN c.opcdefault THEN ' default' END,
            ' family ', f.name, ' storage ' || format_type(nullif(c.opckeytype, 0), NULL)
        ), false
    FROM pg_opclass AS c
    JOIN schemas AS s ON s.oid = c.opcnamespace
    JOIN pg_am AS m ON m.oid = c.opcmethod
    JOIN families AS f ON f.oid = c.opcfamily

    UNION ALL
    SELECT
        'pg_collation'::regclass, c.oid, 'collation', s.name || '.' || quote_ident(c.collname),
        c.collowner, NULL, NULL, false,
        concat_ws(
            ', ',
            CASE c.collprovider
                WHEN 'c' THEN 'provider libc' WHEN 'i' THEN 'provider icu' ELSE 'provider builtin' END,
            'collate ' || c.collcollate, 'ctype ' || c.collctype,
            'locale ' || coalesce(j.row ->> 'colllocale', j.row ->> 'colliculocale'),
            'rules ' || (j.row ->> 'collicurules'),
            CASE WHEN NOT c.collisdeterministic THEN 'not deterministic' END
        ), false
    FROM pg_collation AS c
    JOIN schemas AS s ON s.oid = c.collnamespace
    CROSS JOIN LATERAL (SELECT to_jsonb(c)) AS j (row)

    UNION ALL
    SELECT
        'pg_conversion'::regclass, c.oid, 'conversion', s.name || '.' || quote_ident(c.conname),
        c.conowner, NULL, NULL, false,
        concat(
            CASE WHEN c.condefault THEN 'default ' END, 'for ',
            pg_encoding_to_char(c.conforencoding),
            ' to ', pg_encoding_to_char(c.contoencoding), ' from ', c.conproc
        ), false
    FROM pg_conversion AS c
    JOIN schemas AS s ON s.oid = c.connamespace

    UNION ALL
    SELECT
        'pg_ts_config'::regclass, c.oid, 'text search configuration', c.oid::regconfig::text,
        c.cfgowner, NULL, NULL, false,
        'parser ' || quote_ident(n.nspname) || '.' || quote_ident(p.prsname), false
    FROM pg_ts_config AS c
    JOIN schemas AS s ON s.oid = c.cfgnamespace
    JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
    JOIN pg_namespace AS n ON n.oid = p.prsnamespace

    UNION ALL
    SELECT
        'pg_ts_dict'::regclass, d.oid, 'text search dictionary', d.oid::regdictionary::text,
        d.dictowner, NULL, NULL, false,
        concat_ws(
            ', ', concat('template ', quote_ident(n.nspname), '.', quote_ident(t.tmplname)),
            d.dictinitoption
        ), false
    FROM pg_ts_dict AS d
    JOIN schemas AS s ON s.oid = d.dictnamespace
    JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
    JOIN pg_namespace AS n ON n.oid = t.tmplnamespace

    UNION ALL
    SELECT
        'pg_ts_parser'::regclass, p.oid, 'text search parser',
        s.name || '.' || quote_ident(p.prsname), NULL, NULL, NULL, false,
        concat(
            'start ', p.prsstart, ', token ', p.prstoken, ', end ', p.prsend,
            ', headline ' || nullif(p.prsheadline, 0::oid)::regproc, ', types ', p.prslextype
        ), false
    FROM pg_ts_parser AS p
    JOIN schemas AS s ON s.oid = p.prsnamespace

    UNION ALL
    SELECT
        'pg_ts_template'::regclass, t.oid, 'text search template',
        s.name || '.' || quote_ident(t.tmplname),
        NULL, NULL, NULL, false,
        concat('init ' || nullif(t.tmplinit, 0::oid)::regproc || ', ', 'lexize ', t.tmpllexize),
        false
    FROM pg_ts_template AS t
    JOIN schemas AS s ON s.oid = t.tmplnamespace

    UNION ALL
    SELECT
        'pg_cast'::regclass, c.oid, 'cast',
        '(' || format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL) || ')',
        NULL, NULL, NULL, false,
        concat(
            CASE c.castmethod
                WHEN 'f' THEN 'function ' || c.castfunc::regprocedure
                WHEN 'i' THEN 'inout'
                ELSE 'binary'
            END,
            CASE c.castcontext WHEN 'a' THEN ', assignment' WHEN 'i' THEN ', implicit' END
        ), false
    FROM pg_cast AS c

    UNION ALL
    SELECT
        'pg_transform'::regclass, t.oid, 'transform',
        'for ' || format_type(t.trftype, NULL) || ' language ' || quote_ident(l.lanname),
        NULL, NULL, NULL, false,
        concat_ws(
            ', ', 'from ' || nullif(t.trffromsql, 0::oid)::regprocedure,
            'to ' || nullif(t.trftosql, 0::oid)::regprocedure
        ), false
    FROM pg_transform AS t
    JOIN pg_language AS l ON l.oid = t.trflang

    UNION ALL
    SELECT
        'pg_language'::regclass, l.oid, 'language', quote_ident(l.lanname), l.lanowner, 'l',
        l.lanacl, false,
        concat(
            CASE WHEN l.lanpltrusted THEN 'trusted ' END, 'handler ', l.lanplcallfoid::regproc,
            ' inline ' || nullif(l.laninline, 0)::regproc,
            ' validator ' || nullif(l.lanvalidator, 0)::regproc
        ), false
    FROM pg_language AS l

    UNION ALL
    SELECT
        'pg_am'::regclass, a.oid, 'access method', quote_ident(a.amname), NULL, NULL, NULL, false,
        CASE a.amtype WHEN 't' THEN 'table' ELSE 'index' END || ' handler ' || a.amhandler, false
    FROM pg_am AS a

    UNION ALL
    SELECT
        'pg_extension'::regclass, e.oid, 'extension', quote_ident(e.extname), NULL, NULL, NULL,
        false,
        'version ' || e.extversion || ' schema ' || quote_ident(n.nspname), false
    FROM pg_extension AS e
    JOIN pg_namespace AS n ON n.oid = e.extnamespace

    UNION ALL
    SELECT
        'pg_event_trigger'::regclass, e.oid, 'event trigger', quote_ident(e.evtname), e.evtowner,
        NULL, NULL, false,
        concat(
            'on ', e.evtevent, ' when tag in (' || array_to_string(e.evttags, ', ') || ')',
            ' execute function ', e.evtfoid::regprocedure
        ), false
    FROM pg_event_trigger AS e

    UNION ALL
    SELECT
        'pg_publication'::regclass, p.oid, 'publication', quote_ident(p.pubname), p.pubowner, NULL,
        NULL, false,
        concat_ws(
            ', ',
            CASE WHEN p.puballtables THEN 'all tables' END, CASE WHEN p.pubinsert THEN 'insert' END,
            CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
            CASE WHEN p.pubtruncate THEN 'truncate' END,
            CASE WHEN p.pubviaroot THEN 'via partition root' END,
            'generated columns ' || nullif(to_jsonb(p) ->> 'pubgencols', 'n')
        ), false
    FROM pg_publication AS p

    -- PUBLIC may not read the connection string, and so not the row as a whole: a column that only
    -- a later version has is found, where it is missing, in `earlier`. substream became a letter
    -- in 16.
    UNION ALL
    SELECT
        'pg_subscription'::regclass, s.oid, 'subscription', quote_ident(s.subname), s.subowner,
        NULL, NULL, false,
        concat(
            'publications ',
            (SELECT string_agg(p, ', ' ORDER BY p COLLATE "C") FROM unnest(s.subpublications) AS p),
            ', slot ' || quote_ident(s.subslotname),
            CASE WHEN NOT s.subenabled THEN ', disabled' END,
            CASE WHEN s.subbinary THEN ', binary' END, ', streaming ', left(s.substream::text, 1),
            ', two phase ' || nullif(s.subtwophasestate, 'd')::text,
            CASE WHEN s.subdisableonerr THEN ', disabled on error' END,
            ', synchronous commit ' || nullif(s.subsynccommit, 'off'),
            ', origin ' || nullif(s.suborigin, 'any'),
            CASE WHEN NOT s.subpasswordrequired THEN ', no password required' END,
            CASE WHEN s.subrunasowner THEN ', run as owner' END,
            CASE WHEN s.subfailover THEN ', failover' END
        ), false
    FROM (
        SELECT
            'any'::text AS suborigin, true AS subpasswordrequired, false AS subrunasowner,
            false AS subfailover
    ) AS earlier
    CROSS JOIN LATERAL (
        SELECT
            oid, subname, subowner, subdbid, subpublications, subslotname, subenabled, subbinary,
            substream, subtwophasestate, subdisableonerr, subsynccommit, suborigin,
            subpasswordrequired, subrunasowner, subfailover
        FROM pg_subscription
    ) AS s
    WHERE s.subdbid = (SELECT oid FROM this)

    UNION ALL
    SELECT
        'pg_foreign_data_wrapper'::regclass, f.oid, 'foreign-data wrapper', quote_ident(f.fdwname),
        f.fdwowner, 'F', f.fdwacl,
        false,
        concat_ws(
            ', ', 'handler ' || nullif(f.fdwhandler, 0)::regproc,
            'validator ' || nullif(f.fdwvalidator, 0)::regproc,
            'options (' || array_to_string(f.fdwoptions, ', ') || ')'
        ), false
    FROM pg_foreign_data_wrapper AS f

    UNION ALL
    SELECT
        'pg_foreign_server'::regclass, v.oid, 'server', quote_ident(v.srvname), v.srvowner, 'S',
        v.srvacl, false,
        concat(
            'wrapper ', quote_ident(f.fdwname), ', type ' || quote_literal(v.srvtype),
            ', version ' || quote_literal(v.srvversion),
            ', options (' || array_to_string(v.srvoptions, ', ') || ')'
        ), false
    FROM pg_foreign_server AS v
    JOIN pg_foreign_data_wrapper AS f ON f.oid = v.srvfdw

    -- Nobody's password belongs into a text that is committed. PUBLIC sees no options at all.
    UNION ALL
    SELECT
        'pg_user_mapping'::regclass, u.umid, 'user mapping',
        'for ' || r.name || ' server ' || quote_ident(u.srvname),
        NULL, NULL, NULL, false,
        'options (' || (
            SELECT string_agg(regexp_replace(o, '^(\w*(password|secret)\w*)=.*', '\1', 'i'), ', ')
            FROM unnest(u.umoptions) AS o
        ) || ')', false
    FROM pg_user_mappings AS u
    JOIN roles AS r ON r.oid = u.umuser
),

-- 16384 is where the ids of objects begin that initdb did not make. Schema public counts as the
-- database's own.
objects AS MATERIALIZED (
    SELECT c.*
    FROM candidates AS c
    LEFT JOIN members AS m USING (classid, objid)
    WHERE m.objid IS NULL AND (c.objid >= 16384 OR c.kind = 'schema')
),

-- Whatever has an access control list: the subject, who owns it, the list, and what the list was
-- when it was nobody's doing.
granted AS (
    SELECT
        o.kind || ' ' || o.name AS subject,
        o.owner,
        o.acl_type,
        o.acl,
        coalesce(i.initprivs, acldefault(o.acl_type, o.owner)) AS usual
    FROM objects AS o
    LEFT JOIN pg_init_privs AS i ON i.classoid = o.classid AND i.objoid = o.objid AND i.objsubid = 0
    WHERE o.acl IS NOT NULL
    UNION ALL
    SELECT 'column ' || name, owner, 'c', acl, acldefault('c', owner)
    FROM columns
    WHERE acl IS NOT NULL
    UNION ALL
    SELECT
        concat(
            'default for ',
            CASE d.defaclobjtype
                WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences'
                WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
                WHEN 'n' THEN 'schemas' ELSE 'large objects'
            END,
            ' of ', r.name, ' in schema ' || s.name
        ),
        d.defaclrole, acl_type, d.defaclacl,
        -- In a schema they add to the usual; 'c' is the empty list, for a column
        acldefault(CASE WHEN d.defaclnamespace = 0 THEN acl_type ELSE 'c' END, d.defaclrole)
    FROM pg_default_acl AS d
    CROSS JOIN LATERAL (
        SELECT CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END
    ) AS t (acl_type)
    JOIN roles AS r ON r.oid = d.defaclrole
    LEFT JOIN schemas AS s ON s.oid = d.defaclnamespace
    WHERE d.defaclnamespace = 0 OR s.oid IS NOT NULL
    UNION ALL
    SELECT 'database', datdba, 'd', datacl, acldefault('d', datdba)
    FROM this
    WHERE datacl IS NOT NULL
    -- What initdb or an extension made, where somebody granted or revoked since
    UNION ALL
    SELECT
        b.subject, b.owner, b.acl_type, b.acl,
        coalesce(i.initprivs, acldefault(b.acl_type, b.owner))
    FROM (
        SELECT
            'pg_proc'::regclass, oid, 0, pronamespace, 'function ' || oid::regprocedure, proowner,
            'f'::"char", proacl
        FROM pg_proc
        UNION ALL
        SELECT
            'pg_class'::regclass, oid, 0, relnamespace,
            CASE relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || oid::regclass, relowner,
            CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relacl
        FROM pg_class
        UNION ALL
        SELECT
            'pg_class'::regclass, c.oid, a.attnum, c.relnamespace,
            'column ' || c.oid::regclass || '.' || quote_ident(a.attname), c.relowner, 'c', a.attacl
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        UNION ALL
        SELECT
            'pg_type'::regclass, oid, 0, typnamespace, 'type ' || oid::regtype, typowner, 'T',
            typacl
        FROM pg_type
        UNION ALL
        SELECT
            'pg_namespace'::regclass, oid, 0, oid, 'schema ' || quote_ident(nspname), nspowner, 'n',
            nspacl
        FROM pg_namespace
        UNION ALL
        SELECT
            'pg_language'::regclass, oid, 0, 'pg_catalog'::regnamespace,
            'language ' || quote_ident(lanname), lanowner, 'l', lanacl
        FROM pg_language
        UNION ALL
        SELECT
            'pg_foreign_data_wrapper'::regclass, oid, 0, NULL,
            'foreign-data wrapper ' || quote_ident(fdwname), fdwowner, 'F', fdwacl
        FROM pg_foreign_data_wrapper
        UNION ALL
        SELECT
            'pg_foreign_server'::regclass, oid, 0, NULL, 'server ' || quote_ident(srvname),
            srvowner, 'S', srvacl
        FROM pg_foreign_server
    ) AS b (classid, objid, subid, schema, subject, owner, acl_type, acl)
    LEFT JOIN pg_init_privs AS i
        ON i.classoid = b.classid AND i.objoid = b.objid AND i.objsubid = b.subid
    LEFT JOIN members AS m ON m.classid = b.classid AND m.objid = b.objid
    WHERE b.acl IS DISTINCT FROM i.initprivs AND b.acl IS NOT NULL
        AND (b.objid < 16384 AND b.schema = 'pg_catalog'::regnamespace OR m.objid IS NOT NULL)
),

-- What was granted beyond the usual, and what of the usual was revoked.
grants AS (
    SELECT g.subject, g.owner, g.acl_type, e.*
    FROM granted AS g
    CROSS JOIN LATERAL (
        WITH
            now AS (SELECT * FROM aclexplode(g.acl)),
            usually AS (SELECT * FROM aclexplode(g.usual))
        SELECT ' to ', '', x.*
        FROM (
            SELECT grantor, grantee, privilege_type FROM now
            EXCEPT
            SELECT grantor, grantee, privilege_type FROM usually
        ) AS x
        UNION ALL
        SELECT ' not to ', '', x.*
        FROM (
            SELECT grantor, grantee, privilege_type FROM usually
            EXCEPT
            SELECT grantor, grantee, privilege_type FROM now
        ) AS x
        UNION ALL
        SELECT ' to ', ' with grant option', grantor, grantee, privilege_type
        FROM now
        WHERE is_grantable
    ) AS e (direction, extent, grantor, grantee, privilege)
),

facts (subject, fact, is_text) AS (

    -- That an object is there, and its definition
    SELECT kind || ' ' || name, fact, is_text
    FROM objects
    WHERE NOT implied

    -- Owners
    UNION ALL
    SELECT o.kind || ' ' || o.name || ' owner', r.name, false
    FROM objects AS o
    JOIN roles AS r ON r.oid = o.owner
    WHERE NOT o.implied

    -- Comments and security labels
    UNION ALL
    SELECT n.kind || ' on ' || s.name, n.text, false
    FROM (
        SELECT 'comment', classoid, objoid, objsubid, description FROM pg_description
        UNION ALL
        SELECT 'comment', classoid, objoid, 0, description FROM pg_shdescription
        UNION ALL
        SELECT 'security label of ' || quote_ident(provider), classoid, objoid, objsubid, label
        FROM pg_seclabel
        UNION ALL
        SELECT 'security label of ' || quote_ident(provider), classoid, objoid, 0, label
        FROM pg_shseclabel
    ) AS n (kind, classid, objid, subid, text)
    JOIN (
        SELECT classid, objid, 0, kind || ' ' || name FROM objects
        UNION ALL
        SELECT 'pg_class'::regclass, relid, attnum, 'column ' || name FROM columns
        UNION ALL
        SELECT 'pg_database'::regclass, oid, 0, 'database' FROM this
    ) AS s (classid, objid, subid, name) USING (classid, objid, subid)

    -- What is dropped with an extension without being part of it
    UNION ALL
    SELECT
        concat(o.kind, ' ', o.name, ' depends on extension'),
        string_agg(quote_ident(e.extname), ', ' ORDER BY e.extname COLLATE "C"), false
    FROM pg_depend AS d
    JOIN objects AS o ON o.classid = d.classid AND o.objid = d.objid
    JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.deptype = 'x'
    GROUP BY o.kind, o.name

    -- Settings of the database
    UNION ALL
    SELECT
        concat('database setting ', split_part(c, '=', 1), ' of ' || r.name),
        substr(c, strpos(c, '=') + 1), false
    FROM pg_db_role_setting AS s
    JOIN this ON this.oid = s.setdatabase
    LEFT JOIN roles AS r ON r.oid = nullif(s.setrole, 0)
    CROSS JOIN LATERAL unnest(s.setconfig) AS c

    -- Privileges. All that a version knows is ALL: 17 brought MAINTAIN.
    UNION ALL
    SELECT
        concat(
            'privilege ', g.subject, g.direction, grantee.name, g.extent,
            CASE WHEN g.grantor <> g.owner THEN ' by ' || grantor.name END
        ),
        CASE WHEN count(*) = nullif(whole.size, 1) THEN 'ALL'
            ELSE string_agg(g.privilege, ', ' ORDER BY g.privilege) END,
        false
    FROM grants AS g
    JOIN roles AS grantee ON grantee.oid = g.grantee
    JOIN roles AS grantor ON grantor.oid = g.grantor
    CROSS JOIN LATERAL (
        SELECT count(*)
        FROM aclexplode(acldefault(g.acl_type, g.owner)) AS a
        WHERE a.grantee = g.owner
    ) AS whole (size)
    GROUP BY g.subject, g.direction, grantee.name, g.extent, g.grantor, g.owner, grantor.name,
    whole.size

    -- Columns: type, collation, null, default or generation, identity. An inherited column that is
    -- as its parent's is implied.
    UNION ALL
    SELECT
        'column ' || c.name,
        concat(
            c.fact, c.identity,
            CASE WHEN NOT c.attislocal AND NOT c.relispartition THEN ' inherited' END
        ), false
    FROM columns AS c
    LEFT JOIN (
        SELECT i.inhrelid, p.attname, p.fact
        FROM pg_inherits AS i
        JOIN columns AS p ON p.relid = i.inhparent
    ) AS parent
        ON parent.inhrelid = c.relid AND parent.attname = c.attname AND parent.fact = c.fact
        AND NOT c.attislocal AND c.identity IS NULL
    WHERE parent.inhrelid IS NULL

    -- Columns: storage, compression, statistics target, options
    UNION ALL
    SELECT 'column ' || c.name || ' ' || o.name, o.value, false
    FROM columns AS c
    CROSS JOIN LATERAL (
        VALUES
            ('storage', CASE c.storage
                WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external'
                WHEN 'm' THEN 'main' WHEN 'x' THEN 'extended' END),
            ('compression', CASE c.compression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END),
            ('statistics target', c.statistics_target::text),
            ('options', array_to_string(c.options, ', ')),
            ('foreign options', array_to_string(c.fdw_options, ', '))
    ) AS o (name, value)
    WHERE num_nonnulls(c.storage, c.compression, c.statistics_target, c.options, c.fdw_options) > 0
        AND o.value IS NOT NULL

    -- The order of columns, apart: a column that is dropped and added again stands last. A view's
    -- text tells its own.
    UNION ALL
    SELECT 'column order ' || r.name, string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum),
    false
    FROM relations AS r
    JOIN columns AS c ON c.relid = r.oid
    WHERE r.relkind NOT IN ('v', 'm')
    GROUP BY r.name

    -- Tables and their like: what is not usual about them
    UNION ALL
    SELECT r.kind || ' ' || r.name || ' ' || o.name, o.value, false
    FROM relations AS r
    LEFT JOIN pg_am AS am ON am.oid = r.relam
    LEFT JOIN pg_tablespace AS ts ON ts.oid = r.reltablespace
    LEFT JOIN pg_foreign_table AS ft ON ft.ftrelid = r.oid
    LEFT JOIN pg_foreign_server AS fs ON fs.oid = ft.ftserver
    CROSS JOIN LATERAL (
        VALUES
            ('persistence', CASE WHEN r.relpersistence = 'u' THEN 'unlogged' END),
            ('partitioned by', CASE WHEN r.relkind = 'p' THEN pg_get_partkeydef(r.oid) END),
            ('bound', pg_get_expr(r.relpartbound, r.oid)),
            ('of type', format_type(nullif(r.reloftype, 0), NULL)),
            ('row security', CASE WHEN r.relrowsecurity THEN 'enabled' END),
            ('row security of the owner', CASE WHEN r.relforcerowsecurity THEN 'forced' END),
            ('replica identity', CASE WHEN r.relkind IN ('r', 'p', 'm') THEN
                CASE r.relreplident
                    WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END END),
            ('access method', nullif(am.amname, 'heap')),
            ('tablespace', quote_ident(ts.spcname)),
            ('populated', CASE WHEN NOT r.relispopulated THEN 'no' END),
            ('server', quote_ident(fs.srvname)),
            ('foreign options', array_to_string(ft.ftoptions, ', '))
    ) AS o (name, value)
    WHERE o.value IS NOT NULL

    -- Inheritance and partitions
    UNION ALL
    SELECT
        concat(
            child.kind, ' ', child.name,
            CASE WHEN child.relispartition THEN ' partition of' ELSE ' inherits' END
        ),
        string_agg(
            concat(i.inhparent::regclass, CASE WHEN i.inhdetachpending THEN ' (detach pending)' END),
            ', ' ORDER BY i.inhseqno
        ), false
    FROM pg_inherits AS i
    JOIN relations AS child ON child.oid = i.inhrelid
    GROUP BY child.kind, child.name, child.relispartition

    -- Storage options of tables, views and of what is kept beside them
    UNION ALL
    SELECT 'storage option ' || r.kind || ' ' || r.name, o, false
    FROM relations AS r
    CROSS JOIN LATERAL unnest(r.reloptions) AS o
    UNION ALL
    SELECT 'storage option ' || r.kind || ' ' || r.name, 'toast.' || o, false
    FROM relations AS r
    JOIN pg_class AS t ON t.oid = r.reltoastrelid
    CROSS JOIN LATERAL unnest(t.reloptions) AS o

    -- Indexes: what their definition does not tell
    UNION ALL
    SELECT 'index ' || o.name || ' ' || f.name, f.value, false
    FROM objects AS o
    JOIN pg_class AS c ON c.oid = o.objid
    JOIN pg_index AS i ON i.indexrelid = c.oid
    LEFT JOIN pg_inherits AS h ON h.inhrelid = c.oid
    LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
    CROSS JOIN LATERAL (
        VALUES
            ('state', CASE WHEN NOT i.indisvalid THEN 'INVALID' END),
            ('replica identity', CASE WHEN i.indisreplident THEN 'yes' END),
            ('clustered', CASE WHEN i.indisclustered THEN 'yes' END),
            ('tablespace', quote_ident(ts.spcname)),
            -- A constraint's definition leaves them out, an index's does not
            ('storage options', CASE WHEN o.implied THEN array_to_string(c.reloptions, ', ') END),
            ('part of', h.inhparent::regclass::text)
    ) AS f (name, value)
    WHERE o.classid = 'pg_class'::regclass AND o.kind = 'index' AND f.value IS NOT NULL
    UNION ALL
    SELECT 'index ' || o.name || ' statistics target of column ' || a.attnum, a.attstattarget::text,
    false
    FROM objects AS o
    JOIN pg_attribute AS a ON a.attrelid = o.objid
    WHERE o.classid = 'pg_class'::regclass AND o.kind = 'index' AND a.attstattarget <> -1

    -- Triggers and rules that do not fire as usual. ALTER TABLE ... DISABLE TRIGGER ALL stops
    -- foreign keys too.
    UNION ALL
    SELECT DISTINCT subject || ' fires',
    CASE enabled WHEN 'D' THEN 'never' WHEN 'R' THEN 'on replicas' ELSE 'always' END, false
    FROM (
        SELECT 'trigger ' || o.name, t.tgenabled, coalesce(p.tgenabled, 'O')
        FROM objects AS o
        JOIN pg_trigger AS t ON t.oid = o.objid
        LEFT JOIN pg_trigger AS p ON p.oid = t.tgparentid
        WHERE o.classid = 'pg_trigger'::regclass
        UNION ALL
        SELECT
            concat('constraint ', of.name, ' ', quote_ident(k.conname), ', its trigger on ', r.name),
            t.tgenabled, coalesce(p.tgenabled, 'O')
        FROM pg_trigger AS t
        LEFT JOIN pg_trigger AS p ON p.oid = t.tgparentid
        JOIN pg_constraint AS k ON k.oid = t.tgconstraint
        JOIN relations AS r ON r.oid = t.tgrelid
        JOIN relations AS of ON of.oid = k.conrelid
        WHERE t.tgisinternal
        UNION ALL
        SELECT 'rule ' || o.name, w.ev_enabled, 'O'
        FROM objects AS o
        JOIN pg_rewrite AS w ON w.oid = o.objid
        WHERE o.classid = 'pg_rewrite'::regclass
        UNION ALL
        SELECT 'event trigger ' || o.name, e.evtenabled, 'O'
        FROM objects AS o
        JOIN pg_event_trigger AS e ON e.oid = o.objid
        WHERE o.classid = 'pg_event_trigger'::regclass
    ) AS t (subject, enabled, usual)
    WHERE enabled <> usual

    -- Statistics objects: how much they sample
    UNION ALL
    SELECT 'statistics ' || o.name || ' statistics target', x.stxstattarget::text, false
    FROM objects AS o
    JOIN pg_statistic_ext AS x ON x.oid = o.objid
    WHERE o.classid = 'pg_statistic_ext'::regclass AND x.stxstattarget <> -1

    -- What operator families are made of, and for which class
    UNION ALL
    SELECT
        concat('operator family ', f.name, ' ', p.role),
        p.member || coalesce(' of class ' || quote_ident(c.opcname), ''), false
    FROM (
        SELECT
            'pg_amop'::regclass, o.oid, o.amopfamily, 'operator ' || o.amopstrategy,
            o.amopopr::regoperator || coalesce(' for order by ' || sort.name, '')
        FROM pg_amop AS o
        LEFT JOIN families AS sort ON sort.oid = o.amopsortfamily
        UNION ALL
        SELECT
            'pg_amproc'::regclass, oid, amprocfamily,
            concat(
                'function ', amprocnum, ' (', format_type(amproclefttype, NULL), ', ',
                format_type(amprocrighttype, NULL), ')'
            ),
            amproc::regprocedure::text
        FROM pg_amproc
    ) AS p (classid, oid, family, role, member)
    JOIN families AS f ON f.oid = p.family
    LEFT JOIN pg_depend AS d
        ON d.classid = p.classid AND d.objid = p.oid AND d.refclassid = 'pg_opclass'::regclass
    LEFT JOIN pg_opclass AS c ON c.oid = d.refobjid
    LEFT JOIN members AS m
        ON (m.classid, m.objid) IN (
            ('pg_opfamily'::regclass, f.oid), ('pg_opclass'::regclass, c.oid)
        )
    WHERE p.oid >= 16384 AND m.objid IS NULL

    -- What text search configurations do with each kind of token
    UNION ALL
    SELECT
        concat('text search configuration ', o.name, ' ', k.alias),
        string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno), false
    FROM objects AS o
    JOIN pg_ts_config AS c ON c.oid = o.objid
    JOIN pg_ts_config_map AS m ON m.mapcfg = c.oid
    JOIN LATERAL ts_token_type(c.cfgparser) AS k ON k.tokid = m.maptokentype
    WHERE o.classid = 'pg_ts_config'::regclass
    GROUP BY o.name, k.alias

    -- What publications publish
    UNION ALL
    SELECT
        concat('publication ', o.name, ' table ', p.prrelid::regclass),
        nullif(concat_ws(
            ' ',
            '(' || (
                SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname COLLATE "C")
                FROM pg_attribute AS a
                WHERE a.attrelid = p.prrelid AND a.attnum = ANY (p.prattrs)
            ) || ')',
            'where ' || pg_get_expr(p.prqual, p.prrelid)
        ), ''), false
    FROM objects AS o
    JOIN pg_publication_rel AS p ON p.prpubid = o.objid
    JOIN pg_class AS c ON c.oid = p.prrelid
    JOIN schemas AS s ON s.oid = c.relnamespace
    WHERE o.classid = 'pg_publication'::regclass
    UNION ALL
    SELECT concat('publication ', o.name, ' schema ', s.name), NULL, false
    FROM objects AS o
    JOIN pg_publication_namespace AS p ON p.pnpubid = o.objid
    JOIN schemas AS s ON s.oid = p.pnnspid
    WHERE o.classid = 'pg_publication'::regclass
)

SELECT subject, fact, is_text
FROM facts
ORDER BY subject COLLATE "C", fact COLLATE "C"
