"""Laws of the splitter: each rule by example, then psql itself as the judge, then linear time."""

import os
import random
import re
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest
from yoyo.migrations import parse_metadata_from_sql_comments, read_sql_migration

from database import SQL, Database, run
from pgproof.binaries import find_binaries
from pgproof.errors import UserError
from pgproof.statements import decode, directives, header, split

FILES = sorted(SQL.glob("*.sql"))
each_file = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])

# By name: the text of a file, and each statement with its line.
LAWS: dict[str, tuple[str, dict[str, int]]] = {
    "nothing": ("", {}),
    "blanks only": (" \n\t\f\n", {}),
    "a comment only": ("-- a; b", {}),
    "a block comment only": ("/* a; b */", {}),
    "empty statements": (";;\n /* a */ ; -- b\n;", {}),
    "one statement": ("SELECT 1;", {"SELECT 1": 1}),
    "no semicolon at the end": ("SELECT 1;\nSELECT 2\n", {"SELECT 1": 1, "SELECT 2": 2}),
    "two on a line": ("SELECT 1; SELECT 2;", {"SELECT 1": 1, "SELECT 2": 1}),
    "the line of the first word": (
        "\n-- a\n/* b\n c */\n\n  SELECT\n 1;\nSELECT 2;",
        {"SELECT\n 1": 6, "SELECT 2": 8},
    ),
    "a comment after the last": ("SELECT 1; -- a\n/* b */", {"SELECT 1": 1}),
    "comments around": ("/* a */SELECT 1 -- b\n/* c */ ;", {"SELECT 1": 1}),
    "comments inside": (
        "SELECT /* ; */ 1 -- ;\n + 2;",
        {"SELECT /* ; */ 1 -- ;\n + 2": 1},
    ),
    "a return ends a comment": ("-- a\rSELECT 1;", {"SELECT 1": 1}),
    "nested comments": ("/* a /* ; */ ; */ SELECT 1; SELECT 2", {"SELECT 1": 1, "SELECT 2": 1}),
    "a comment edge shared": ("/*/ ; */ SELECT 1; /**/ SELECT 2", {"SELECT 1": 1, "SELECT 2": 1}),
    "a comment in an operator": (
        "SELECT 1 +/* ; */ 2 *-- ;\n3",
        {"SELECT 1 +/* ; */ 2 *-- ;\n3": 1},
    ),
    "a quote in a comment": (
        "-- it's\nSELECT 1; /* it's */ SELECT 2",
        {"SELECT 1": 2, "SELECT 2": 2},
    ),
    "a string": ("SELECT ';--/*'; SELECT 2", {"SELECT ';--/*'": 1, "SELECT 2": 1}),
    "a doubled quote": ("SELECT 'a'';'; SELECT 2", {"SELECT 'a'';'": 1, "SELECT 2": 1}),
    "a backslash is plain": (r"SELECT 'a\'; SELECT 2", {r"SELECT 'a\'": 1, "SELECT 2": 1}),
    "an escape string": (
        r"SELECT E'a\';', e'\\'; SELECT 2",
        {r"SELECT E'a\';', e'\\'": 1, "SELECT 2": 1},
    ),
    "a doubled quote in an escape string": (
        r"SELECT E'a''\';'; SELECT 2",
        {r"SELECT E'a''\';'": 1, "SELECT 2": 1},
    ),
    "an E that ends a word": (r"SELECT date'\'; SELECT 2", {r"SELECT date'\'": 1, "SELECT 2": 1}),
    "a string in two lines": ("SELECT 'a;\nb;'; SELECT 2", {"SELECT 'a;\nb;'": 1, "SELECT 2": 2}),
    "an escape string continued": (
        "SELECT E'a' -- b\n '\\';'; SELECT 2",
        {"SELECT E'a' -- b\n '\\';'": 1, "SELECT 2": 2},
    ),
    "an escape string not continued": (
        r"SELECT E'a' '\'; SELECT 2",
        {r"SELECT E'a' '\'": 1, "SELECT 2": 1},
    ),
    "strings of other kinds": (
        r"SELECT B'1;', X'f;', N'\', U&'\;', U&'\'; SELECT 2",
        {r"SELECT B'1;', X'f;', N'\', U&'\;', U&'\'": 1, "SELECT 2": 1},
    ),
    "an identifier": (
        r"""SELECT ";'" AS "a"";\", "\", U&"\;" FROM b; SELECT 2""",
        {r"""SELECT ";'" AS "a"";\", "\", U&"\;" FROM b""": 1, "SELECT 2": 1},
    ),
    "a dollar quote": ("SELECT $$;'$a$$; SELECT 2", {"SELECT $$;'$a$$": 1, "SELECT 2": 1}),
    "a dollar quote with a tag": (
        "SELECT $a$;$$;$b$;$A$;$a$; SELECT 2",
        {"SELECT $a$;$$;$b$;$A$;$a$": 1, "SELECT 2": 1},
    ),
    "a tag with other letters": (
        "SELECT $_é1$;$_é1$; SELECT 2",
        {"SELECT $_é1$;$_é1$": 1, "SELECT 2": 1},
    ),
    "an end that begins in a failed one": (
        "SELECT $a$;$b$a$; SELECT 2",
        {"SELECT $a$;$b$a$": 1, "SELECT 2": 1},
    ),
    "a dollar in a word": (
        "SELECT a$b$; SELECT é$$; SELECT 3",
        {
            "SELECT a$b$": 1,
            "SELECT é$$": 1,
            "SELECT 3": 1,
        },
    ),
    "a no-break space is a letter": (
        "SELECT \xa0$$; SELECT 2",
        {"SELECT \xa0$$": 1, "SELECT 2": 1},
    ),
    "a parameter": ("SELECT $1$;$2; SELECT 2", {"SELECT $1$": 1, "$2": 1, "SELECT 2": 1}),
    "a parameter in front": ("$1$;a$1$; SELECT 2", {"$1$": 1, "a$1$": 1, "SELECT 2": 1}),
    "a dollar quote after a sign": (
        "SELECT 1+$$;$$; SELECT 2",
        {"SELECT 1+$$;$$": 1, "SELECT 2": 1},
    ),
    "a dollar quote after a number": (
        "SELECT 1$$;$$; SELECT 2",
        {"SELECT 1$$;$$": 1, "SELECT 2": 1},
    ),
    "a number takes its word": (
        "SELECT 1a$$; SELECT $1b$$; SELECT .5e$$; SELECT 1_1$$; SELECT 1",
        {
            "SELECT 1a$$": 1,
            "SELECT $1b$$": 1,
            "SELECT .5e$$": 1,
            "SELECT 1_1$$": 1,
            "SELECT 1": 1,
        },
    ),
    "a number takes its E": (r"SELECT 1e'\'; SELECT 2", {r"SELECT 1e'\'": 1, "SELECT 2": 1}),
    "a parameter takes no minus": (
        "SELECT $1e--';\n; SELECT 2",
        {"SELECT $1e": 1, "SELECT 2": 2},
    ),
    "a number takes its minus": ("SELECT 1e--';'; SELECT 2", {"SELECT 1e--';'": 1, "SELECT 2": 1}),
    "parentheses": (
        "CREATE RULE a AS ON INSERT TO b DO ALSO (SELECT 1; (SELECT 2;)); SELECT 3",
        {"CREATE RULE a AS ON INSERT TO b DO ALSO (SELECT 1; (SELECT 2;))": 1, "SELECT 3": 1},
    ),
    "one parenthesis too many": ("SELECT 1); (SELECT 2; )", {"SELECT 1)": 1, "(SELECT 2; )": 1}),
    "a quoted parenthesis": (
        "SELECT '(' \"(\" $$($$ /* ( */; SELECT 2",
        {
            "SELECT '(' \"(\" $$($$": 1,
            "SELECT 2": 1,
        },
    ),
    "a body": (
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3",
        {"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END": 1, "SELECT 3": 1},
    ),
    "a body replaced": (
        "create/**/or -- a\nreplace procedure f() begin atomic select 1; end; select 3",
        {"create/**/or -- a\nreplace procedure f() begin atomic select 1; end": 1, "select 3": 2},
    ),
    "a body with CASE": (
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN b END; SELECT 2; END; SELECT 3",
        {
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN b END; SELECT 2; END": 1,
            "SELECT 3": 1,
        },
    ),
    "CASE before a body, and after": (
        "CREATE FUNCTION f(a int DEFAULT CASE 1 END) RETURN CASE a WHEN 1 THEN 2 END; SELECT 3",
        {
            "CREATE FUNCTION f(a int DEFAULT CASE 1 END) RETURN CASE a WHEN 1 THEN 2 END": 1,
            "SELECT 3": 1,
        },
    ),
    "words in parentheses do not count": (
        "CREATE FUNCTION f(begin int) RETURN (CASE 1 END); SELECT 2",
        {"CREATE FUNCTION f(begin int) RETURN (CASE 1 END)": 1, "SELECT 2": 1},
    ),
    "words in quotes do not count": (
        """CREATE FUNCTION "begin"() AS 'begin' /* begin */ ; SELECT 2""",
        {"""CREATE FUNCTION "begin"() AS 'begin'""": 1, "SELECT 2": 1},
    ),
    "BEGIN elsewhere": (
        "BEGIN; CREATE TABLE function (begin int); CREATE TRIGGER begin; END;",
        {
            "BEGIN": 1,
            "CREATE TABLE function (begin int)": 1,
            "CREATE TRIGGER begin": 1,
            "END": 1,
        },
    ),
    "BEGIN after a routine": (
        "CREATE FUNCTION f() RETURN 1; BEGIN; SELECT 1",
        {"CREATE FUNCTION f() RETURN 1": 1, "BEGIN": 1, "SELECT 1": 1},
    ),
    "a word that only looks like one": (
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT ca\u017fe, begin_at; END; SELECT 1",
        {
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT ca\u017fe, begin_at; END": 1,
            "SELECT 1": 1,
        },
    ),
    "CASE counts only in a body": (
        "CREATE FUNCTION s.case() RETURN 1; SELECT 2",
        {"CREATE FUNCTION s.case() RETURN 1": 1, "SELECT 2": 1},
    ),
    "a word glued to a number does not count": (
        "CREATE FUNCTION f() RETURN 1begin; SELECT 2",
        {"CREATE FUNCTION f() RETURN 1begin": 1, "SELECT 2": 1},
    ),
    "an open string": ("SELECT 1; SELECT 'a;\n", {"SELECT 1": 1, "SELECT 'a;\n": 1}),
    "an open escape string": ("SELECT E'a;\\", {"SELECT E'a;\\": 1}),
    "an open identifier": ('SELECT "a;', {'SELECT "a;': 1}),
    "an open dollar quote": ("SELECT $a$;$b$", {"SELECT $a$;$b$": 1}),
    "an open comment": ("SELECT 1; /* a /* b */;", {"SELECT 1": 1, "/* a /* b */;": 1}),
    "an open comment in a statement": ("SELECT 1 /* a;", {"SELECT 1 /* a;": 1}),
    "an open parenthesis": ("SELECT (1; SELECT 2;", {"SELECT (1; SELECT 2;": 1}),
    "an open body": (
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;\nSELECT 2; -- a",
        {"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;\nSELECT 2;": 1},
    ),
    "variables are passed on": (
        "SELECT :a, :'b', :\"c\", x::int;",
        {
            "SELECT :a, :'b', :\"c\", x::int": 1,
        },
    ),
    "backslash commands are passed on": ("\\echo a\nSELECT 1;", {"\\echo a\nSELECT 1": 1}),
    "a percent sign": ("SELECT 5 % 2, '%s';", {"SELECT 5 % 2, '%s'": 1}),
}

WORDS = {
    "create  unique index\n-- a\nconcurrently": "CREATE UNIQUE INDEX CONCURRENTLY",
    "CREATE/**/INDEX i": "CREATE INDEX I",
    """COMMENT ON TABLE "a  b;" IS 'begin'""": """COMMENT ON TABLE "a  b;" IS""",
    'alter table a."B""c" add U&"d"': 'ALTER TABLE A."B""c" ADD U&"d"',
    "DO $$begin commit; end$$ language plpgsql": "DO LANGUAGE PLPGSQL",
    r"SELECT E'\' commit', N'x' , 'a''b' || $1": "SELECT , , || $1",
    "select ca\u017fe, é": "SELECT CA\u017fE, é",
    "SELECT (1, 'a', (2))": "SELECT (1, , (2))",
    "/* open": "",
    'SELECT "open': 'SELECT "open',
}

# Complete and broken pieces, so that a random row of them is now a statement, now a trap.
SPACED = r"""
' ' '' "" " E' e'\'' E'\\' '\' U&' N' B' x' U&" 'a;' E'a;' "a;" $$ $$ $a$ $b$ $A$ $é$ $ $1 $1a$ a$b$
a$$ 1$$ 1e- 1e 1e+5a$$ .5 1.. 1_ 0x1f$$ _$$ -- -- - / /* */ /*;*/ /*/ * + ( ) ( ) ( ; ) ; ; ; ; ; ;
create or replace function procedure CREATE Function begin BEGIN atomic case end END End table x é
日本 % ::int := | ~ # @ & , . select
"""
PIECES = [
    *(*SPACED.split(), "\u00a0", "\u3000", "\u0301", "\u017f", "do $$ begin; end $$;"),
    *("\n", "\n", "\n\n", " ", " ", " ", "\t", "\f", "\v", "\r", "-- it's ; \n", "--\n"),
    *("create function f() begin atomic ", "create or replace procedure ", "create\nfunction "),
    *("select case when a then b end; ", " end; ", "/* /* ' */ ; */"),
]

# An E'' string that goes on in a line below, where psql forgets that backslashes escape.
FORGOTTEN = re.compile(r"[eE]'[\s\S]*'(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:\s|--[^\n\r]*[\n\r])*'")

# The texts of the rules, and more that a migration may hold.
CORPUS = [text for text, _ in LAWS.values()] + [
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$\nBEGIN\n -- $f\n;END;\n$f$;",
    "DO $$ BEGIN EXECUTE $q$ SELECT ';' $q$; END $$; SELECT 1",
    "CREATE VIEW v AS SELECT '{\"a\": \";\"}'::jsonb -> 'a' #>> '{b}' ; SELECT 2 @> 1 -- c",
    "INSERT INTO t VALUES ('it''s', E'\\n', $$a$$), ('--', '/*', '*/');\n\n\nSELECT 2",
    "CREATE OR REPLACE FUNCTION f(a text DEFAULT ')') RETURNS int BEGIN ATOMIC\n"
    "SELECT (CASE a WHEN 'END' THEN 1 END);\nSELECT 2;\nEND;\nSELECT 3;",
    "CREATE PROCEDURE p() BEGIN ATOMIC BEGIN; END; END; SELECT 3",
    "create unique index concurrently i on t (a) where b = ';' ; /* /* */ */",
    "SELECT 1 --;\n;SELECT 2--;",
    "SELECT U&'d\\0061t\\+000061' UESCAPE '!', U&\"d!0061\" UESCAPE '!'; SELECT 2",
    "SELECT 1 AS a$;SELECT 2",
    "SELECT 'a'\n'b;'\n-- c\n'd'; SELECT 2",
    "\ufeffSELECT 1;\nSELECT 2;",
    "SELECT 1;\r\nSELECT '\r\n';\r\n-- a\r\n",
    "PREPARE p AS SELECT $1::int, $2;EXECUTE p (1, 2)",
]


@pytest.mark.parametrize("law", LAWS)
def test_a_text_is_split_as_psql_reads_it(law: str) -> None:
    text, expected = LAWS[law]
    assert [(found.text, found.line) for found in split(text)] == list(expected.items())


@pytest.mark.parametrize("text", WORDS)
def test_the_words_of_a_statement_hold_no_comment_and_no_string(text: str) -> None:
    (statement,) = split(text)
    assert statement.words == WORDS[text]


# psql as the judge ------------------------------------------------------------------------


def find_psql() -> str:
    """Return the psql beside the server's binaries, else the one on PATH."""
    try:
        beside = shutil.which("psql", path=str(find_binaries()))
    except UserError:
        beside = None
    found = beside or shutil.which("psql")
    return found or pytest.skip("no psql beside the server's binaries, and none on PATH")


def sent_by_psql(texts: Sequence[str], db: Database, folder: Path) -> list[list[str] | None]:
    """Return what psql sends for each text; None where it took something for one of its commands.

    The texts are files that one psql includes. Its query log is what it sends, and since each
    file runs in a transaction that has failed, there is nothing else in that log.
    """
    script = []
    for number, text in enumerate(texts):
        (folder / f"{number}.sql").write_bytes(text.encode())
        script += ["BEGIN;", "SELECT 1/0;", f"SELECT 'file {number}';"]
        script += [f"\\i {number}.sql", f"SELECT 'after {number}';"]
    (folder / "all.psql").write_text("\n".join(script), encoding="utf-8")
    done = run(
        *(find_psql(), "-X", "-q", "-o", os.devnull, "-L", folder / "log", "-f", "all.psql"),
        environment={**db.environment, "PGCLIENTENCODING": "UTF8"},
        cwd=folder,
    )
    logged = (folder / "log").read_bytes().decode()
    sent: list[list[str]] = [[] for _ in texts]
    between: list[str] = []
    current = between
    for query in re.findall(r"^/?\*+ QUERY \*+/?\n(.*?)\n/?\*{20,}/?\n$", logged, re.M | re.S):
        if mark := re.fullmatch(r"SELECT '(file|after) (\d+)';", query):
            current = sent[int(mark[2])] if mark[1] == "file" else between
        else:
            current.append(query)
    refused = set(re.findall(r"^psql:(\d+)\.sql:\d+: error:", done.stderr, re.M))
    return [None if str(number) in refused else found for number, found in enumerate(sent)]


def without_comments_before(query: str) -> str:
    """Return a query from its first word on; psql keeps the block comments before it."""
    place = depth = opened = 0
    while place < len(query):
        if query.startswith("/*", place):
            opened, depth, place = place if not depth else opened, depth + 1, place + 2
        elif depth:
            closes = query.startswith("*/", place)
            depth, place = depth - closes, place + 1 + closes
        elif query.startswith("--", place):
            place = re.compile(r"[\n\r]|\Z").search(query, place).end()  # type: ignore[union-attr]
        elif query[place] in " \t\n\r\f\v":
            place += 1
        else:
            break
    return query[opened if depth else place :]


def judged(text: str, sent: Sequence[str]) -> str:
    """Return where `split` and psql differ, or nothing.

    psql sends the comments before and after a statement, the final semicolon, and statements of
    nothing else: so each of its queries must be comments, our statement, comments, a semicolon.
    It drops empty lines outside quotes, and the end of the last line: neither is compared.
    """
    ours = split(text.removesuffix("\n"))
    theirs = [kept for query in sent if (kept := without_comments_before(query)) not in ("", ";")]
    for our, their in zip_longest(ours, theirs):
        found, expected = (re.sub(r"\n+", "\n", x or "") for x in (our and our.text, their))
        after = without_comments_before(expected.removeprefix(found))
        if not our or not expected.startswith(found) or after not in ("", ";"):
            return f"{text!r}\npsql: {theirs}\nours: {[found.text for found in ours]}"
    lines = text.split("\n")
    wrong = [found for found in ours if found.text.split("\n")[0] not in lines[found.line - 1]]
    return f"{text!r}\nnot on its line: {wrong}" if wrong else ""


def test_psql_sends_the_same_statements_for_tricky_files(db: Database, tmp_path: Path) -> None:
    # What is not psql's own way is named in the module: these, and E'' strings in two lines.
    texts = [text for text in CORPUS if not re.search(r"\\echo|:a", text)]
    texts = [text for text in texts if not FORGOTTEN.search(text)]
    texts += [path.read_text(encoding="utf-8") for path in FILES]
    assert len(texts) >= 60
    for text, sent in zip(texts, sent_by_psql(texts, db, tmp_path), strict=True):
        assert sent is not None, f"psql took this for a command: {text!r}"
        read = [decode(query.encode(), tmp_path) for query in sent]
        assert not (difference := judged(decode(text.encode(), tmp_path), read)), difference


def test_psql_sends_the_same_statements_for_random_texts(db: Database, tmp_path: Path) -> None:
    seed = int(os.environ.get("PGPROOF_SEED", "1"))
    chance = random.Random(seed)
    texts = ["".join(chance.choices(PIECES, k=chance.randint(1, 30))) for _ in range(2000)]
    pairs = list(zip(texts, sent_by_psql(texts, db, tmp_path), strict=True))
    # A backslash outside quotes is psql's; what follows it there is not SQL.
    kept = [(text, sent) for text, sent in pairs if sent is not None]
    kept = [(text, sent) for text, sent in kept if not ("\\" in text and FORGOTTEN.search(text))]
    assert len(kept) > 1200, f"PGPROOF_SEED={seed}: too few cases are left to judge"
    for text, sent in kept:
        assert not (difference := judged(text, sent)), f"PGPROOF_SEED={seed}\n{difference}"


def test_the_server_reads_a_continued_escape_string_as_one(db: Database) -> None:
    first, second = split("SELECT E'a\\'' -- c\n  'b\\'; c';\nSELECT 2;")
    assert db.value(first.text) == "a'b'; c"
    assert (second.text, second.line) == ("SELECT 2", 3)


# The file and its header ------------------------------------------------------------------


@each_file
@pytest.mark.parametrize(
    "variant",
    [
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw.replace(b"\n", b"\r"),
        lambda raw: b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"),
    ],
    ids=["BOM", "CRLF", "CR", "BOM and CRLF"],
)
def test_bom_and_line_ends_do_not_matter(variant: Callable[[bytes], bytes], path: Path) -> None:
    raw = path.read_bytes()
    assert split(raw.decode())
    assert split(decode(variant(raw), path)) == split(raw.decode())
    assert directives(decode(variant(raw), path)) == directives(raw.decode())


def test_a_bom_is_dropped_once_and_only_in_front() -> None:
    assert decode("\ufeff\ufeffa\ufeff".encode(), Path("a.sql")) == "\ufeffa\ufeff"


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ("SELECT 'caf\xe9';".encode("latin-1"), "byte 11 (counted from 0) is 0xe9"),
        (b"\xef\xbb\xbf\r\n\xff", "byte 5 (counted from 0) is 0xff"),
        ("SELECT 1".encode("utf-16"), "byte 0 (counted from 0) is 0xff"),
        ("SELECT 1".encode("utf-16-le"), "byte 1 (counted from 0) is 0x00"),
    ],
)
def test_what_is_not_utf_8_is_refused(raw: bytes, place: str) -> None:
    with pytest.raises(UserError) as refused:
        decode(raw, Path("sql/0002_a.sql"))
    assert str(refused.value) == (
        f"sql/0002_a.sql: {place}, which is not UTF-8 text\nSave the file as UTF-8."
    )


def assert_read_as_by_yoyo(path: Path) -> None:
    text = decode(path.read_bytes(), path)
    by_yoyo, _, _ = read_sql_migration(str(path))
    assert directives(text) == {name: " ".join(value.split()) for name, value in by_yoyo.items()}
    _, comment, _ = parse_metadata_from_sql_comments(text)
    ours = [line for line in header(text) if not re.match(r"(transactional|depends)\s*:", line)]
    assert ours == comment.split("\n") or (ours, comment) == ([], "")


@each_file
def test_the_header_of_each_migration_is_what_yoyo_reads(path: Path) -> None:
    assert_read_as_by_yoyo(path)


def test_random_headers_are_what_yoyo_reads(tmp_path: Path) -> None:
    lines = [
        "-- depends: 0001_a", "-- depends: 0002_b  0003_c ", "--depends:0004_d", "-- depends:",
        "  --\tdepends : 0005_e", "-- Depends: 0006_f", "-- transactional: false",
        "-- transactional:true", "-- Why: a; b", "--", "", "   ", "---- a --", "-- - b", "-- 'c",
        "/* d */", "SELECT 1;", "-- depends: 0007_é", "SELECT 1; -- depends: 0008_h", ";",
    ]  # fmt: skip
    chance = random.Random(1)
    path = tmp_path / "0009_a.sql"
    for _ in range(500):
        text = "\n".join([*chance.choices(lines[:-5], k=chance.randint(0, 6)), *lines[-5:]])
        head = chance.sample(lines, chance.randint(0, 9))
        for whole in (text, "\n".join([*head, "SELECT 2;", ""])):
            path.write_text(whole, encoding="utf-8")
            assert_read_as_by_yoyo(path)


def test_a_blank_after_a_directive_does_not_count() -> None:
    assert directives("-- transactional: false \n--\n-- depends: a  b \n-- depends: c\nX") == {
        "transactional": "false",
        "depends": "a b c",
    }


# Time -------------------------------------------------------------------------------------


def seconds(text: str) -> float:
    def once() -> float:
        began = time.process_time()
        for statement in split(text)[-1:]:
            assert statement.words is not None
        return time.process_time() - began

    return min(once() for _ in range(3))


@pytest.mark.parametrize(
    "piece",
    [
        "INSERT INTO documents (tenant_id, filename) VALUES (1, 'it''s; a name', $$ b $$); -- c\n",
        *("'", "''", r"E'\'", "E'a'\n", "E'a' --\n", "$$ $", "$a$$b$", "$a", "/*", "/* */ ", "/*;"),
        *("(", "(a ", "()", "( ';", ")", "1_", "1.", "1e+", "a$", "+-", "- -", "--\n", "\n", ";"),
        *("create function f() begin atomic ", "create or ", "case ", '"', 'U&"a', "\\'", "é;"),
    ],
)
def test_time_grows_with_the_length_and_no_faster(piece: str) -> None:
    size = 10_000
    assert seconds(piece * 4 * size) < 8 * max(seconds(piece * size), 0.001)


@pytest.mark.parametrize("quote", ["'", "E'", '"', "$$"])
def test_one_string_of_50_mb_is_one_step(quote: str) -> None:
    began = time.process_time()
    (statement,) = split(f"SELECT {quote}{'a; ' * 17_000_000}{quote.removeprefix('E')};")
    assert len(statement.text) > 50_000_000
    assert time.process_time() - began < 5  # 0.1 to 0.3 s where this was written
