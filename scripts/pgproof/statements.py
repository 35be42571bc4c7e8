"""The text of a migration file: read as UTF-8, and split into statements where psql splits it.

yoyo asks sqlparse, which ends a nested comment too early, makes an empty statement of a comment
after the last one, and takes a BOM for a word. The rules here are those of psql's own lexer.

    python -c "from pgproof import statements; print(statements.split('SELECT 1; /* /* */; */'))"

What differs from psql, each on purpose: backslash commands and `:variables` go to the server as
they are; an E'' string that goes on in the next line keeps its escapes there, as the server reads
it (psql forgets them); empty lines stay; comments alone are not sent; CR and CRLF become LF.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

from pgproof.errors import UserError

# The pieces follow psqlscan.l, where the longest match wins: so a number takes the word glued to it
# (`1e$$` begins no dollar quote), and `1e-` the first of two dashes. Every repetition is atomic: no
# text can make the expression go back and try again, which keeps it linear. Those of groups are
# written (?>...), for Python before 3.11.5 goes wrong where a group before *+ fails half-way. A
# bound on runs keeps the memory of one match small; the next match takes what is left.
_BLANK = r"[ \t\n\r\f\v]"
# To PostgreSQL all that is not ASCII is a letter; classes that name ASCII alone compile in no time.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_WORD = rf"{_LETTER}[^\x00-#%-/:-@\[-^`{{-\x7f]*+"
_TAG = rf"{_LETTER}[^\x00-/:-@\[-^`{{-\x7f]*+"
_DIGITS = r"[0-9](?>(?:_?[0-9])*)"
_NUMBER = rf"""(?:
    (?:{_DIGITS}(?>\.(?>{_DIGITS}|)|)|\.{_DIGITS})[eE][-+](?>[0-9]++(?>{_WORD}|)|)
  | (?:[0-9]++(?>\.[0-9]*+|)|\.[0-9]++)(?>{_WORD}|))"""
_SIGN = r"[\x00-\x08\x0e-\x1f!#%&*+,.:<=>?@\[\\\]^`{|}~\x7f]|-(?!-)|/(?!\*)"
_OTHER = rf"(?:{_NUMBER}|\$[0-9]++(?>{_WORD}|)|{_SIGN})"
_DASHES = r"--[^\n\r]*+"
_ESCAPED = r"'(?>(?:[^'\\]++|\\[\s\S]|'')*)"
# Literals with a line end between them are one literal.
_CONTINUED = rf"(?>(?:[ \t\f\v]|{_DASHES})*)[\n\r](?>(?:{_BLANK}++|{_DASHES}[\n\r])*)(?=')"
_APART = rf"""
    (?P<string>
        [eE]{_ESCAPED}(?>(?:'{_CONTINUED}{_ESCAPED})*)(?:'|\\?\Z)
      | (?>[bBnNxX]|[uU]&|)'[^']*+(?>(?:''[^']*+)*)(?:'|\Z)
    )
  | (?P<identifier>(?>[uU]&|)"[^"]*+(?>(?:""[^"]*+)*)(?:"|\Z))
  | (?P<dollar>\$(?>{_TAG}|)\$)
  | (?P<block>/\*)
  | (?P<gap>(?>(?:{_BLANK}++|{_DASHES})+))
  | (?P<semicolon>;)
  | (?P<open>\()
  | (?P<close>\))"""
# By word where words count; elsewhere by run, with the parentheses in it that hold no others.
_BY_WORD = re.compile(rf"{_APART} | (?P<word>{_WORD}) | (?P<rest>(?>{_OTHER}{{1,500}})|\$)", re.X)
_PLAIN = rf"(?:{_BLANK}*+(?:(?![eEbBnNxX]'|[uU]&['\"]){_WORD}|{_OTHER}))"
_RUN = rf"(?>(?:{_PLAIN}|{_BLANK}*+\((?>{_PLAIN}{{0,500}}){_BLANK}*+\)){{1,500}})"
_BY_RUN = re.compile(rf"(?P<run>{_RUN}) | {_APART} | (?P<rest>\$)", re.X)
_BLOCK_EDGE = re.compile(r"/\*|\*/")

# Not str.upper(), to which a word beyond ASCII can become a keyword: U+017F becomes an S.
_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
# As in psql, BEGIN, CASE and END count only in a statement that begins with these words.
_ROUTINE = {
    ("CREATE", *how, what) for how in ((), ("OR", "REPLACE")) for what in ("FUNCTION", "PROCEDURE")
}
_TO_ROUTINE = {words[:size] for words in _ROUTINE for size in range(1, len(words))}

# yoyo's own expressions (parse_metadata_from_sql_comments), so that both read a header alike.
_LEADING = re.compile(r"\s*(--.*)?")
_DIRECTIVE = re.compile(r"\s*--\s*(transactional|depends)\s*:\s*(.*)")


@dataclass(frozen=True)
class Statement:
    """One statement: `text` as sent, without its `;`, from `line` (counted from 1) of the file."""

    text: str
    line: int

    @cached_property
    def words(self) -> str:
        """The text in upper case, one blank for all comments and strings; names in "" stay."""
        pieces, names, position = list[str](), list[str](), 0
        while token := _BY_RUN.match(self.text, position):
            position, _ = _past(self.text, token)
            if token.lastgroup == "identifier":
                names.append(token[0])
                pieces.append('"')  # stands for the name while the rest is folded
            elif token.lastgroup in ("gap", "block", "string", "dollar"):
                pieces.append(" ")
            else:
                pieces.append(token[0])
        folded = re.sub(rf"{_BLANK}+", " ", "".join(pieces)).strip(" ").translate(_UPPER)
        kept = iter(names)
        return re.sub('"', lambda _: next(kept), folded)


def decode(raw: bytes, path: str | Path) -> str:
    r"""Return the text of a file: UTF-8, without a BOM, each CRLF and CR as LF.

    So yoyo reads line ends too, and a file is one migration, with one checksum, on every system.
    Raises UserError for what is not UTF-8, and for a NUL, which no statement can hold.
    """
    try:
        text, bad = raw.decode("utf-8"), raw.find(0)
    except UnicodeDecodeError as error:
        text, bad = "", error.start
    if bad >= 0:
        raise UserError(
            f"{path}: byte {bad} (counted from 0) is 0x{raw[bad]:02x}, which is not UTF-8 text\n"
            "Save the file as UTF-8."
        )
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split(text: str) -> list[Statement]:
    """Return the statements of a file's text, in its order, without the empty ones.

    A string, comment, dollar quote, parenthesis or BEGIN ATOMIC that does not end makes the rest
    of the text the last statement: the server then names the error.
    """
    found, line, counted = list[Statement](), 1, 0
    for start, end in _spans(text):
        line, counted = line + text.count("\n", counted, start), start
        found.append(Statement(text[start:end], line))
    return found


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each statement begins and ends."""
    position, expression = 0, _BY_WORD
    start, end, parentheses, begins = -1, -1, 0, 0  # of the statement under way; -1: none is
    head: tuple[str, ...] = ()
    while position < len(text):
        token = expression.match(text, position)
        if token is None:  # never; better a loud end than a file of which the rest is not run
            raise AssertionError(f"no token at {position}: {text[position : position + 20]!r}")
        kind, begun = token.lastgroup, position
        position, closed = (
            _past(text, token) if kind in ("dollar", "block") else (token.end(), True)
        )
        if kind == "gap" or (kind == "block" and closed):
            continue
        if kind == "semicolon" and not parentheses and not begins:
            if start >= 0:
                yield start, end
            start, head, expression = -1, (), _BY_WORD
            continue
        start, end = begun if start < 0 else start, position
        if kind == "open":
            parentheses += 1
        elif kind == "close":
            parentheses = max(0, parentheses - 1)
        elif kind == "word" and head in _ROUTINE:
            begins = begins if parentheses else _depth(begins, token[0].translate(_UPPER))
        elif kind == "word":
            head = (*head, token[0].translate(_UPPER))
            if head not in _TO_ROUTINE and head not in _ROUTINE:
                expression = _BY_RUN  # no word of this statement matters any more
    if start >= 0:
        yield start, end


def _past(text: str, token: re.Match[str]) -> tuple[int, bool]:
    """Return where a token ends, and whether it is closed there: two kinds are beyond a regex."""
    if token.lastgroup == "dollar":
        close = text.find(token[0], token.end())
        return (len(text), False) if close < 0 else (close + len(token[0]), True)
    if token.lastgroup == "block":
        depth = 0
        for edge in _BLOCK_EDGE.finditer(text, token.start()):
            depth += 1 if edge[0] == "/*" else -1
            if not depth:
                return edge.end(), True
        return len(text), False
    return token.end(), True


def _depth(begins: int, word: str) -> int:
    """Return how many BEGINs are open after a word; inside one, CASE ends with END too."""
    if word == "BEGIN" or (word == "CASE" and begins):
        return begins + 1
    return max(0, begins - 1) if word == "END" else begins


def header(text: str) -> list[str]:
    """Return the leading `--` and empty lines, directives too, without their dashes and blanks."""
    return [line.strip().lstrip("-").strip() for line in _leading(text)]


def directives(text: str) -> dict[str, str]:
    """Return yoyo's directives, `depends` and `transactional`; several of one kind are joined.

    Blanks are folded: yoyo keeps one at the end, and then fails on `-- transactional: false `.
    """
    found: dict[str, list[str]] = {}
    for line in _leading(text):
        if match := _DIRECTIVE.fullmatch(line):
            found.setdefault(match[1], []).extend(match[2].split())
    return {name: " ".join(values) for name, values in found.items()}


def _leading(text: str) -> Iterator[str]:
    return takewhile(_LEADING.fullmatch, text.split("\n"))
