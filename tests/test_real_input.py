"""Real input: every file of Python's own library goes in, is found again, and survives a cycle."""

import hashlib
import io
import mimetypes
import os
import sysconfig
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from database import MIGRATE, YOYO, Database


@dataclass(frozen=True)
class File:
    """What the file system says of one regular file."""

    path: bytes
    sha256: bytes
    size: int
    modified: datetime


@pytest.fixture(scope="module")
def files() -> list[File]:
    """Every regular file below Python's library folder, and a few with odd names."""
    found = []
    root = os.fsencode(sysconfig.get_paths()["stdlib"])
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - pathlib knows no bytes
            if os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114
                content = Path(os.fsdecode(path)).read_bytes()
                modified = datetime.fromtimestamp(os.stat(path).st_mtime, UTC)  # noqa: PTH116
                found.append(File(path, hashlib.sha256(content).digest(), len(content), modified))
    odd = [b"r\xe9sum\xe9.txt", b"tab\there", b"new\nline", b"back\\slash", b'quo"te', b"\\N",
           b"\\.", "\u2028 \U0001f4c4 \u202e".encode(), b" ", b"x" * 255]  # fmt: skip
    empty = hashlib.sha256(b"").digest()
    return found + [File(b"/odd/" + name, empty, 0, datetime.now(UTC)) for name in odd]


def copied(value: object) -> str:
    """Write one value in the text format of COPY."""
    if value is None:
        return r"\N"
    if isinstance(value, bytes):
        return r"\\x" + value.hex()
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    for letter, escape in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
        text = text.replace(letter, escape)
    return text


def ingest(db: Database, files: list[File]) -> int:
    """Claim each content, then write the documents and the duplicates; return the batch."""
    batch = db.value(
        "INSERT INTO docmeta.import_batches (source_kind, status, started_at, expected_count) "
        "VALUES ('filesystem', 'running', now(), %s) RETURNING id",
        [len(files)],
    )
    lines = []
    for file in files:
        folder, _, name = file.path.rpartition(b"/")
        try:
            text, raw = name.decode(), None
        except UnicodeDecodeError:
            text, raw = name.decode(errors="replace"), file.path
        mime, _ = mimetypes.guess_type(text)
        uri = "file://" + os.fsdecode(folder)
        row = (file.sha256, file.size, text, raw, mime, uri, file.modified)
        lines.append("\t".join(map(copied, row)) + "\n")
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE met (n bigint GENERATED ALWAYS AS IDENTITY, sha256 bytea, "
            "size_bytes bigint, filename text, raw bytea, mime text, uri text, "
            "modified timestamptz)"
        )
        cursor.copy_expert(
            "COPY met (sha256, size_bytes, filename, raw, mime, uri, modified) FROM STDIN",
            io.StringIO("".join(lines)),
        )
        cursor.execute(
            """
            INSERT INTO docmeta.hash_index (sha256, size_bytes)
                SELECT DISTINCT sha256, size_bytes FROM met ON CONFLICT DO NOTHING;
            INSERT INTO docmeta.documents (batch_id, content_sha256, filename, source_path_raw,
                    mime_type, source_uri, source_modified_at)
                SELECT %(batch)s, sha256, filename, raw, mime, uri, modified FROM met ORDER BY n;
            INSERT INTO docmeta.duplicate_log (batch_id, existing_document_id, new_document_id,
                    sha256, size_bytes, filename, decision)
                SELECT %(batch)s, first, id, content_sha256, size_bytes, filename, 'kept_both'
                FROM (SELECT *, min(id) OVER (PARTITION BY content_sha256) AS first
                    FROM docmeta.documents) d
                JOIN docmeta.hash_index h ON h.sha256 = content_sha256
                WHERE id <> first ORDER BY id;
            UPDATE docmeta.import_batches SET status = 'succeeded', finished_at = now(),
                imported_count = (SELECT count(*) FROM docmeta.documents),
                duplicate_count = (SELECT count(*) FROM docmeta.duplicate_log)
                WHERE id = %(batch)s;
            """,
            {"batch": batch},
        )
    return int(batch)


def pages(db: Database, size: int = 1000) -> list[tuple[int, str, bytes]]:
    """List all live documents, the newest first, page after page by key."""
    listed: list[tuple[int, str, bytes]] = []
    last = 1 << 62
    while page := db.query(
        "SELECT id, filename, content_sha256 FROM docmeta.documents WHERE tenant_id = 1 "
        "AND id < %s AND deleted_at IS NULL ORDER BY id DESC LIMIT %s",
        [last, size],
    ):
        assert len(page) <= size
        listed += [(id_, name, bytes(digest)) for id_, name, digest in page]
        last = page[-1][0]
    return listed


def test_a_python_library_goes_in_and_survives_the_cycle(docs: Database, files: list[File]) -> None:
    assert len(files) > 1000
    by_digest = defaultdict(list)
    for file in files:
        by_digest[file.sha256].append(file)
    doubles = len(files) - len(by_digest)
    assert doubles > 10, "the library has duplicates: every empty __init__.py is one"

    batch = ingest(docs, files)

    def agrees_with_the_file_system() -> None:
        assert docs.value("SELECT count(*) FROM docmeta.documents") == len(files)
        assert docs.value("SELECT count(*) FROM docmeta.hash_index") == len(by_digest)
        assert docs.value("SELECT count(*) FROM docmeta.duplicate_log") == doubles
        total = docs.value("SELECT sum(size_bytes) FROM docmeta.hash_index")
        assert total == sum(group[0].size for group in by_digest.values())
        listed = pages(docs)
        assert [digest for _, _, digest in reversed(listed)] == [file.sha256 for file in files]
        names = [file.path.rpartition(b"/")[2].decode(errors="replace") for file in files]
        assert [name for _, name, _ in reversed(listed)] == names
        largest = max(by_digest.values(), key=len)
        found = docs.query(
            "SELECT id FROM docmeta.documents WHERE tenant_id = 1 AND content_sha256 = %s",
            [largest[0].sha256],
        )
        assert len(found) == len(largest)
        raw = docs.query("SELECT source_path_raw FROM docmeta.documents "
                         "WHERE source_path_raw IS NOT NULL")  # fmt: skip
        assert b"/odd/r\xe9sum\xe9.txt" in {bytes(path) for (path,) in raw}
        counts = docs.query(
            "SELECT status, imported_count, duplicate_count FROM docmeta.import_batches "
            "WHERE id = %s", [batch],
        )  # fmt: skip
        assert counts == [("succeeded", len(files), doubles)]

    agrees_with_the_file_system()
    rows, sequences = docs.rows(), docs.sequences()
    for runner in (YOYO, MIGRATE):
        runner.down(docs)
        assert docs.value("SELECT count(*) FROM docmeta_parked.documents") == len(files)
        runner.up(docs)
        assert docs.rows() == rows
        assert docs.sequences() == sequences
    agrees_with_the_file_system()

    # Life goes on: the next document takes the next id, and known content is found by its digest.
    first = files[0]
    known = "INSERT INTO docmeta.hash_index (sha256, size_bytes) VALUES (%s, %s) " \
            "ON CONFLICT DO NOTHING RETURNING sha256"  # fmt: skip
    assert docs.query(known, [first.sha256, first.size]) == []
    next_id = docs.value(
        "INSERT INTO docmeta.documents (content_sha256, filename) VALUES (%s, 'again') "
        "RETURNING id",
        [first.sha256],
    )
    assert next_id == len(files) + 1
