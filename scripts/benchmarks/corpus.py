"""A database of documents as a pipeline leaves it, made from a seed: the same one every time.

    corpus.fill(server.parameters("bench"), Corpus(1_000_000), tell=print)

Three tenants of 80, 15 and 5 %; batches of very different size; one document in eight bears a
content that others bear, a few contents very often; names from a word to 1,024 characters, in
several scripts; one document in fifty without a language; tags and categories of which some are
everywhere; four audit rows a document, in order of time over two years. Every value is drawn from
the hash of seed, row and purpose, so that parts can be made in any order, and found again without
a look: `Corpus.digest` says what content a document has.

The rows are made in the database by two sessions, in parts of their own transactions. Foreign keys
hold by construction (the test of this module looks), and are not looked at row by row.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions

SESSIONS = 2
PART = 25_000  # documents of one transaction
CLASSES = 20  # the class of a row is its id modulo this; a tenant has some of them
TENANTS: Mapping[int, tuple[int, int]] = {1: (0, 15), 2: (16, 18), 3: (19, 19)}  # their classes
TAGS = 66  # tags of a class, times three
UNTIL = "2026-01-01 00:00+00"  # when the youngest document came; the oldest came two years before

# Only here is the seed: a draw is a number from 0 to 1 that belongs to a row and a purpose.
_FUNCTIONS = """
    CREATE FUNCTION pg_temp.draw(of_row bigint, purpose integer) RETURNS float8
    IMMUTABLE LANGUAGE sql
    RETURN (hashint8extended(of_row, {seed} * 1000 + purpose) & 2147483647) / 2147483648.0::float8;

    CREATE FUNCTION pg_temp.tenant(of_row bigint) RETURNS bigint
    IMMUTABLE LANGUAGE sql
    RETURN CASE WHEN of_row % 20 < 16 THEN 1 WHEN of_row % 20 < 19 THEN 2 ELSE 3 END;

    CREATE FUNCTION pg_temp.pick(words text[], of_row bigint, purpose integer) RETURNS text
    IMMUTABLE LANGUAGE sql
    RETURN words[1 + floor(cardinality(words) * pg_temp.draw(of_row, purpose))::integer];

    CREATE FUNCTION pg_temp.came(of_row bigint) RETURNS timestamptz
    IMMUTABLE LANGUAGE sql
    RETURN timestamptz '{until}' - interval '2 years' * (1 - of_row::float8 / {documents});
"""

_FIRST = """
    INSERT INTO docmeta.import_batches (tenant_id, id, source_kind, source_uri, idempotency_key,
        status, expected_count, imported_count, initiated_by, created_at, started_at, finished_at)
    OVERRIDING SYSTEM VALUE
    SELECT pg_temp.tenant(n), n,
        pg_temp.pick('{{upload,filesystem,object_store,email,api,crawler}}', n, 1),
        's3://inbox/' || n, 'run-' || n, 'succeeded', 250, 250, 'importer', at, at,
        at + interval '1 hour' * pg_temp.draw(n, 2)
    FROM (SELECT n, timestamptz '{until}' - interval '2 years' AS at
          FROM generate_series({classes}::bigint, {classes} * ({groups} + 1) - 1) AS n) AS made;

    INSERT INTO docmeta.tags (tenant_id, id, name, colour, created_at, created_by, updated_at,
        updated_by)
    OVERRIDING SYSTEM VALUE
    SELECT pg_temp.tenant(n), n, 'Tag ' || n, '#' || substr(md5(n::text), 1, 6), at, 'anna', at,
        'anna'
    FROM (SELECT timestamptz '{until}' - interval '2 years' AS at) AS begun,
        generate_series({classes}::bigint, {classes} * ({tags} * 3 + 1) - 1) AS n;
"""

_COLUMNS = """tenant_id, id, public_id, batch_id, content_sha256, filename,
        title, author, mime_type, language, page_count, document_date, source_system, source_id,
        source_uri, status, legal_hold, retain_until, attributes, row_version,
        created_at, created_by, updated_at, updated_by, deleted_at, deleted_by, delete_reason"""

# The documents from %(first)s to %(last)s.
_DOCUMENTS = """
    SELECT tenant, n, md5({seed} || ':' || n)::uuid,
        {classes} * (1 + floor({groups} * power(pg_temp.draw(n, 10), 3))::bigint) + n %% {classes},
        sha256(convert_to({seed} || ':' || tenant || ':' || CASE WHEN pg_temp.draw(n, 11) < 0.125
            THEN -1 - floor({popular} * power(pg_temp.draw(n, 12), 4))::bigint ELSE n END, 'UTF8')),
        CASE WHEN pg_temp.draw(n, 13) < 0.02
            THEN left(repeat(kind || ' Größe 規程 ' || word || ' ', 200),
                200 + floor(820 * pg_temp.draw(n, 14))::integer) || '.pdf'
            ELSE kind || ' ' || n || ' ' || word || pg_temp.pick('{{.pdf,.tif,.eml,.docx}}', n, 15)
        END,
        CASE WHEN pg_temp.draw(n, 16) < 0.8 THEN concat_ws(' ', kind, word, 'of',
            pg_temp.pick('{{Berlin,Lyon,Osaka,Porto,Leeds,Turin,Malmö,Gdańsk}}', n, 17),
            substr(md5(n::text), 1, 4 + n::integer %% 5)) END,
        pg_temp.pick('{{Anna,Bo,Chloé,Dmitri,Emeka,Fatima,NULL}}', n, 18),
        pg_temp.pick('{{application/pdf,application/pdf,image/tiff,message/rfc822}}', n, 19),
        CASE WHEN pg_temp.draw(n, 20) < 0.02 THEN {gap}
            ELSE pg_temp.pick('{{en,en,en,de,de,fr,ja,pt-BR}}', n, 21) END,
        1 + floor(40 * power(pg_temp.draw(n, 22), 3)), at::date - n::integer %% 90,
        CASE WHEN pg_temp.draw(n, 23) < 0.7 THEN 'dms' END,
        CASE WHEN pg_temp.draw(n, 23) < 0.7 THEN 'object-' || n END,
        's3://inbox/' || n, pg_temp.pick('{{ready,ready,ready,ready,ready,ready,archived,failed,'
            'received,quarantined}}', n, 24),
        pg_temp.draw(n, 25) < 0.01,
        CASE WHEN pg_temp.draw(n, 26) < 0.1 THEN at + interval '10 years' END,
        jsonb_build_object('scanner', n %% 7, 'box', 'B-' || n / 500), 4,
        at, 'importer', at, 'importer',
        CASE WHEN is_gone THEN at + interval '1 day' END,
        CASE WHEN is_gone THEN 'bo' END, CASE WHEN is_gone THEN 'not ours' END
    FROM generate_series(%(first)s::bigint, %(last)s) AS n
    CROSS JOIN LATERAL (SELECT pg_temp.tenant(n) AS tenant, pg_temp.came(n) AS at,
        pg_temp.draw(n, 27) < 0.03 AS is_gone,
        pg_temp.pick('{{Invoice,Contract,Letter,Report,Minutes,Receipt,Rechnung,Vertrag}}', n, 28)
            AS kind,
        pg_temp.pick('{{annual,quarterly,draft,final,signed,urgent,copy,old}}', n, 29) AS word
    ) AS drawn
"""

# What hangs on them.
_LINKED = """
    INSERT INTO docmeta.document_classifications (tenant_id, document_id, category, confidence,
        is_primary, source, model_name, model_version, classified_by, classified_at, superseded_at)
    SELECT pg_temp.tenant(n), n, 'category ' || floor(50 * power(pg_temp.draw(n, 30 + j), 2)),
        0.5 + pg_temp.draw(n, 33) / 2, j = 1, 'model', 'layout', '1.' || j, 'classifier',
        pg_temp.came(n), CASE WHEN j = 2 THEN pg_temp.came(n) + interval '1 day' END
    FROM generate_series(%(first)s::bigint, %(last)s) AS n, generate_series(1, 2) AS j
    WHERE j = 1 OR pg_temp.draw(n, 34) < 0.2;

    INSERT INTO docmeta.document_tags (tenant_id, document_id, tag_id, source, tagged_by, tagged_at)
    SELECT pg_temp.tenant(n), n, {classes} * (3 * floor({tags} * power(pg_temp.draw(n, 40 + j), 2))
        ::bigint + j) + n %% {classes}, 'import', 'importer', pg_temp.came(n)
    FROM generate_series(%(first)s::bigint, %(last)s) AS n, generate_series(1, 3) AS j
    WHERE pg_temp.draw(n, 43 + j) < 0.6;

    INSERT INTO docmeta.audit_log (tenant_id, id, occurred_at, entity_type, entity_id, document_id,
        action, old_row, new_row, actor, db_user, request_id, transaction_id)
    OVERRIDING SYSTEM VALUE
    SELECT pg_temp.tenant(n), 4 * n + j, pg_temp.came(n) + interval '1 microsecond' * j,
        'documents', n, n, CASE WHEN j = 0 THEN 'insert' ELSE 'update' END,
        CASE WHEN j > 0 THEN jsonb_build_object('status', 'received', 'row_version', j) END,
        jsonb_build_object('status', 'ready', 'row_version', j + 1, 'filename', 'object ' || n),
        'importer', 'importer', 'run-' || n / 100, (3 + n)::text::xid8
    FROM generate_series(%(first)s::bigint, %(last)s) AS n, generate_series(0, 3) AS j;

    INSERT INTO docmeta.error_log (tenant_id, batch_id, document_id, stage, error_class, message,
        retryable, next_retry_at, occurred_at, resolved_at, resolved_by, resolution)
    SELECT pg_temp.tenant(n), {classes} + n %% {classes}, n,
        pg_temp.pick('{{fetch,hash,extract,classify}}', n, 50), 'Timeout',
        'the tool gave no answer in time', true,
        CASE WHEN is_open THEN pg_temp.came(n) + interval '1 hour' END, pg_temp.came(n),
        CASE WHEN NOT is_open THEN pg_temp.came(n) + interval '1 day' END,
        CASE WHEN NOT is_open THEN 'anna' END, CASE WHEN NOT is_open THEN 'done again' END
    FROM generate_series(%(first)s::bigint, %(last)s) AS n
    CROSS JOIN LATERAL (SELECT pg_temp.draw(n, 51) < 0.3 AS is_open) AS drawn
    WHERE pg_temp.draw(n, 52) < 0.02;
"""
_PART = f"""
    INSERT INTO docmeta.documents ({_COLUMNS}) OVERRIDING SYSTEM VALUE {_DOCUMENTS};
    {_LINKED}
"""

# What follows from the documents as a whole; after it the sequences go on where the rows end.
_LAST = (
    """
    INSERT INTO docmeta.hash_index (tenant_id, sha256, size_bytes, storage_uri, verify_status,
        first_seen_at, last_verified_at)
    SELECT tenant_id, content_sha256, 1000 + min(id) * 7919 %% 9000000,
        's3://contents/' || encode(content_sha256, 'hex'),
        CASE WHEN min(id) %% 2 = 0 THEN 'match' ELSE 'unverified' END,
        min(created_at), CASE WHEN min(id) %% 2 = 0 THEN min(created_at) + interval '30 days' END
    FROM docmeta.documents GROUP BY tenant_id, content_sha256
    """,
    """
    INSERT INTO docmeta.duplicate_log (tenant_id, batch_id, existing_document_id, new_document_id,
        sha256, size_bytes, filename, decision, decided_by, decided_at)
    SELECT tenant_id, batch_id, first_id, id, content_sha256, 1000, filename, 'kept_both',
        'importer', created_at
    FROM docmeta.documents JOIN (
        SELECT tenant_id, content_sha256, min(id) AS first_id FROM docmeta.documents
        GROUP BY tenant_id, content_sha256 HAVING count(*) > 1
    ) AS several USING (tenant_id, content_sha256)
    WHERE id > first_id
    """,
    """
    SELECT setval(pg_get_serial_sequence('docmeta.' || name, 'id'), last) FROM (VALUES
        ('import_batches', (SELECT max(id) FROM docmeta.import_batches)),
        ('tags', (SELECT max(id) FROM docmeta.tags)),
        ('documents', (SELECT max(id) FROM docmeta.documents)),
        ('audit_log', (SELECT max(id) FROM docmeta.audit_log))
    ) AS ends (name, last)
    """,
    "VACUUM (FREEZE, ANALYZE)",
    "CHECKPOINT",
)
_NULLABLE = """
    SELECT NOT attnotnull FROM pg_attribute
    WHERE attrelid = 'docmeta.documents'::regclass AND attname = 'language'
"""


@dataclass(frozen=True)
class Corpus:
    """How many documents, and the seed that all is drawn from."""

    documents: int
    seed: int = 1

    @property
    def groups(self) -> int:
        """Batches of each class: 250 documents a batch on the average."""
        return max(1, self.documents // (250 * CLASSES))

    def digest(self, tenant: str, document: str) -> str:
        """Return the SQL of the digest that seven documents in eight have, of two expressions."""
        text = f"{self.seed} || ':' || ({tenant})::text || ':' || ({document})::text"
        return f"sha256(convert_to({text}, 'UTF8'))"

    @property
    def documents_query(self) -> str:
        """SQL of the documents from %(first)s to %(last)s as a table, for a `session`."""
        documents = _filled_in(_DOCUMENTS, self, gap="'und'")
        return f"({documents}) AS document ({_COLUMNS})"


def fill(
    parameters: Mapping[str, Any], corpus: Corpus, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Put the documents into a database that has the schema docmeta and no rows."""
    started = time.monotonic()
    with closing(session(parameters, corpus)) as connection:
        cursor = connection.cursor()
        cursor.execute(_NULLABLE)
        ((nullable,),) = cursor.fetchall()
        gap = "NULL" if nullable else "'und'"
        cursor.execute(_filled_in(_FIRST, corpus, gap) % ())
        parts = _parts(corpus.documents)
        text = _filled_in(_PART, corpus, gap)
        _together(parameters, corpus, text, parts, tell)
        for statement in _LAST:
            cursor.execute(statement % () if "%" in statement else statement)
    tell(f"{corpus.documents:,} documents in {time.monotonic() - started:.0f} s")


def _parts(documents: int) -> Sequence[dict[str, int]]:
    return [
        {"first": first, "last": min(first + PART - 1, documents)}
        for first in range(1, documents + 1, PART)
    ]


def _together(
    parameters: Mapping[str, Any],
    corpus: Corpus,
    text: str,
    parts: Sequence[dict[str, int]],
    tell: Callable[[str], None],
) -> None:
    """Make the parts in several sessions; raises what the first that fails raises."""
    left: Iterator[dict[str, int]] = iter(parts)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with closing(session(parameters, corpus)) as connection:
                while not failures:
                    with lock:
                        part = next(left, None)
                    if part is None:
                        return
                    connection.cursor().execute(text, part)
                    tell(f"documents up to {part['last']:,} of {corpus.documents:,}")
        except psycopg2.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(SESSIONS, len(parts)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def session(parameters: Mapping[str, Any], corpus: Corpus) -> extensions.connection:
    """Return a session in which no trigger fires, not even a foreign key's."""
    connection: extensions.connection = psycopg2.connect(**parameters)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET session_replication_role = replica")
    cursor.execute(_filled_in(_FUNCTIONS, corpus, ""))
    return connection


def _filled_in(text: str, corpus: Corpus, gap: str) -> str:
    return text.format(
        seed=corpus.seed,
        documents=corpus.documents,
        groups=corpus.groups,
        popular=max(1, corpus.documents // 40),
        classes=CLASSES,
        tags=TAGS,
        until=UNTIL,
        gap=gap,
    )
