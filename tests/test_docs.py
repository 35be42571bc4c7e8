"""Laws of the documents: what is generated is up to date, no link is dead, nothing is untold."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from database import ROOT, Database, run
from pgproof import arguments, catalog, description, diagram, report_schema

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
PYTHON = sorted((ROOT / "scripts" / "pgproof").glob("*.py"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def migrate(*words: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    environment = {**Database("", "", "", None, "").environment}
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        del environment[name]
    return run(sys.executable, "-m", "pgproof", *words, environment=environment, code=code)


# What is generated ---------------------------------------------------------------------------


def test_the_generated_documents_are_up_to_date() -> None:
    done = migrate("docs", "--check", code=None)
    assert done.returncode == 0, f"{done.stdout}write them anew: scripts/migrate docs"


ODD = """\
-- Holds what shops sell, to their
-- customers: parts and odd things.
--
-- Why: to | sell.
-- Locks: none
-- Rollback: lossless
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
COMMENT ON TYPE shop.mood IS 'How | it is.';
CREATE TABLE shop."Odd Table" (id int PRIMARY KEY, "two words" text DEFAULT 'a|`b`');
COMMENT ON TABLE shop."Odd Table" IS 'It has <b>odd</b> _words_ | and *stars*.';
CREATE TABLE shop.parts (
    id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, odd int, mood shop.mood,
    twice int GENERATED ALWAYS AS (odd * 2) STORED,
    PRIMARY KEY (id, at),
    CONSTRAINT parts_odd_fkey FOREIGN KEY (odd) REFERENCES shop."Odd Table" (id),
    CONSTRAINT parts_odd_not_negative_check CHECK (odd >= 0),
    CONSTRAINT parts_even_check CHECK (odd % 2 = 0)
) PARTITION BY RANGE (at);
CREATE TABLE shop.parts_2024 PARTITION OF shop.parts
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
COMMENT ON CONSTRAINT parts_even_check ON shop.parts IS 'Only pairs are sold.';
CREATE INDEX parts_odd_idx ON shop.parts USING btree (odd) WHERE odd > 1;
COMMENT ON INDEX shop.parts_odd_idx IS 'The odd ones: SELECT id FROM shop.parts WHERE odd = $1';
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    AS $$ BEGIN RETURN NULL; END $$;
COMMENT ON FUNCTION shop.refuse() IS 'Keeps out.';
REVOKE EXECUTE ON FUNCTION shop.refuse() FROM PUBLIC;
CREATE TRIGGER parts_refuse BEFORE UPDATE OF odd ON shop.parts
    FOR EACH ROW WHEN (NEW.odd > 1) EXECUTE FUNCTION shop.refuse();
ALTER TABLE shop.parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY parts_mine ON shop.parts FOR SELECT TO PUBLIC USING (odd > (SELECT 1));
COMMENT ON POLICY parts_mine ON shop.parts IS 'One''s own.';
GRANT SELECT, INSERT ON shop.parts TO PUBLIC;
GRANT UPDATE (mood, odd) ON shop.parts TO PUBLIC;
CREATE VIEW shop.seen AS SELECT id FROM shop.parts;
"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of migrations that has nothing to do with docmeta."""
    folder = tmp_path_factory.mktemp("shop") / "sql"
    folder.mkdir()
    (folder / "0001_open.sql").write_text(ODD)
    (folder / "0001_open.rollback.sql").write_text("DROP SCHEMA shop CASCADE;\n")
    return folder


@pytest.fixture(scope="module")
def written(odd: Path) -> Path:
    """The documents of that folder."""
    to = odd.parent / "pages"
    migrate("docs", "--sql", odd, "--to", to)
    return to


def test_check_names_what_is_stale_and_the_command(
    odd: Path, written: Path, tmp_path: Path
) -> None:
    to = Path(shutil.copytree(written, tmp_path / "pages"))
    assert migrate("docs", "--check", "--sql", odd, "--to", to).stdout == ""
    (to / "schema.md").write_text("edited\n")
    (to / "schema.svg").unlink()
    done = migrate("docs", "--check", "--sql", odd, "--to", to, code=1)
    assert done.stdout == f"stale: {to}/schema.md\nstale: {to}/schema.svg\n"
    assert done.stderr == "Write them anew: migrate docs\n"
    assert (to / "schema.md").read_text() == "edited\n"
    again = migrate("docs", "--sql", odd, "--to", to)
    assert again.stdout == f"wrote {to}/schema.md\nwrote {to}/schema.svg\n"


@pytest.mark.parametrize(
    "line",
    [
        "| [parts](#parts) |  |",
        r"It has \<b\>odd\</b\> \_words\_ \| and \*stars\*.",
        "| `\"two words\"` | `text` | yes | `` 'a\\|`b`'::text `` |  |",
        "| **`id`** | `bigint` | no | `identity always` |  |",
        "| `twice` | `integer` | yes | `generated always as ((odd * 2)) stored` |  |",
        '| `parts_odd_fkey` | `odd` refers to ["Odd Table"](#odd-table) `id` |',
        "| `parts_odd_not_negative_check` | `odd` not negative | `(odd >= 0)` |",
        "| `parts_even_check` | Only pairs are sold. | `((odd % 2) = 0)` |",
        "| `parts_odd_idx` | `(odd) WHERE (odd > 1)` | "
        "The odd ones: `SELECT id FROM shop.parts WHERE odd = $1` |",
        "| `parts_refuse` | `before update of odd for each row when ((new.odd > 1))` | "
        "`shop.refuse()` |",
        "| `parts_mine` | select | `PUBLIC` | `(odd > ( SELECT 1))` | One's own. |",
        "| `PUBLIC` | INSERT, SELECT; UPDATE of `odd, mood` |",
        "| `shop.parts_2024` | `FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')` |",
        "Partitioned by `RANGE (at)`. Row security holds for all but the owner.",
        "| `refuse()` | `trigger` | its owner | Keeps out. | its owner |",
        r"| `shop.mood` | `enum ('good', 'bad')` | How \| it is. |",
        "A view.",
        '    Odd_Table |o--o{ parts : "odd"',
    ],
)
def test_the_page_tells(line: str, written: Path) -> None:
    assert line in (written / "schema.md").read_text()


def test_the_page_of_the_migrations_tells_headers_and_proof(written: Path) -> None:
    assert (written / "migrations.md").read_text().splitlines()[-1] == (
        "| 0001_open | Holds what shops sell, to their customers: parts and odd things. "
        r"| to \| sell. | none | lossless | "
        "holds; schema identical, rows not shown (0 carried); locks: none; 20 statements, 1 back |"
    )


def test_the_picture_shows_every_table_and_key() -> None:
    text = (ROOT / "docs" / "schema.svg").read_text()
    page = (ROOT / "docs" / "schema.md").read_text()
    shown = re.findall(r'<text class="name"[^>]*>([^<]+)<', text)
    assert sorted(shown) == sorted(re.findall(r"^    (\w+) \{$", page, re.M))
    assert text.count('<g class="relation">') == len(re.findall(r"^    \w+ \S+--\S+ ", page, re.M))
    assert "prefers-color-scheme: dark" in text


# The page with search, in a browser ----------------------------------------------------------


def in_chromium(page: Path, script: str, folder: Path, *more: str) -> dict[str, Any]:
    """Open a page, run a script in it whose last value is JSON, and return that, with errors."""
    text = page.read_text(encoding="utf-8")
    watch = "<script>const errors = []; addEventListener('error', e => errors.push(e.message));"
    watch += "addEventListener('securitypolicyviolation', e => errors.push(e.blockedURI));</script>"
    # Nothing may be fetched from anywhere.
    policy = (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    )
    run_it = (
        "<script>addEventListener('load', async () => { const result = await (async () => {"
        f"{script}}})(); document.documentElement.innerHTML = '<pre>' + encodeURIComponent("
        "JSON.stringify({...result, errors})) + '</pre>'; });</script>"
    )
    tried = folder / "tried.html"
    tried.write_text(text.replace("<head>", f"<head>{policy}{watch}") + run_it, encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            *QUIET,
            *more,
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            tried.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = re.search(r"<pre>(.*?)</pre>", done.stdout)
    assert found, done.stdout[-500:]
    result = json.loads(unquote(unescape(found[1])))
    assert isinstance(result, dict)
    return result


@in_browser
def test_the_page_opens_searches_and_leads_to_a_table(tmp_path: Path) -> None:
    script = """
        const shown = (selector) =>
            [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
        const field = document.getElementById("search");
        const type = (text) => { field.value = text; field.dispatchEvent(new Event("input")); };
        const all = shown("h2").length;
        type("legal_hold");
        const sections = shown("h2").map((e) => e.textContent);
        const others = shown("tbody tr").map((e) => e.textContent)
            .filter((text) => !text.includes("legal_hold"));
        const cells = shown("tbody tr").map((e) => e.cells[0].textContent);
        const pictures = shown("div svg").length;
        type("no such word");
        const nothing = shown("section").length;
        type("");
        const again = shown("h2").length;
        type("legal_hold");
        const link = [...document.querySelectorAll("td a")].find((a) => a.hash === "#tags");
        link.click();
        await new Promise((done) => setTimeout(done, 500));
        const top = document.getElementById("tags").getBoundingClientRect().top;
        const drawn = document.querySelector('svg a[href="#documents"]') !== null;
        const dead = [...document.querySelectorAll("a")].map((a) => a.getAttribute("href"))
            .filter((href) => !document.getElementById(href.slice(1)));
        return {all, sections, cells, others, pictures, nothing, again, top, drawn, dead,
            hash: location.hash, value: field.value};
    """
    found = in_chromium(ROOT / "docs" / "schema.html", script, tmp_path)
    assert found["errors"] == []
    assert found["sections"] == ["documents"]
    assert "legal_hold" in found["cells"]
    assert found["others"] == []
    assert found["pictures"] == found["nothing"] == 0
    assert found["again"] == found["all"] != 0
    assert (found["hash"], found["value"]) == ("#tags", "")
    assert 0 <= found["top"] < 200
    assert found["drawn"] is True
    assert found["dead"] == []


@in_browser
@pytest.mark.parametrize("width", [500, 1400])
def test_the_page_fits_its_window(width: int, tmp_path: Path) -> None:
    script = """
        const wide = [...document.querySelectorAll("main > section > *")]
            .filter((e) => e.getBoundingClientRect().right > innerWidth);
        return {width: innerWidth, wide: wide.map((e) => e.outerHTML.slice(0, 80))};
    """
    page = ROOT / "docs" / "schema.html"
    found = in_chromium(page, script, tmp_path, f"--window-size={width},900")
    assert found == {"width": width, "wide": [], "errors": []}


# Links ------------------------------------------------------------------------------------------


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The fragments by which GitHub names the headings of a page."""
    found: dict[str, int] = {}
    names = set()
    for mark, text in zip(tokens(page), tokens(page)[1:], strict=False):
        if mark.type == "heading_open":
            name = diagram.anchor("".join(child.content for child in text.children or []))
            names.add(f"{name}-{found[name]}" if name in found else name)
            found[name] = found.get(name, 0) + 1
    return names


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if isinstance(target, str):
                yield target


def dead(page: Path) -> list[str]:
    """The links of a page that lead nowhere; those to other sites are not tried."""
    found = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_page = target.suffix == ".md" and target.is_file()
        if not target.exists() or (fragment and is_page and fragment not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c\n[a](#a-b-c) [b](#b) [c](page.md#x) [d](none.md) [e](.) <https://x.y>\n"
    )
    assert dead(page) == ["#b", "page.md#x", "none.md"]


# The table of modules -----------------------------------------------------------------------------


def imported(path: Path) -> set[str]:
    """The modules of the package that a module imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "pgproof":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pgproof."):
            found.add((node.module or "").split(".")[1])
    return found


def test_a_module_imports_only_what_stands_below_it() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page.split("## Code")[1], re.M)
    order = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    modules = {path.stem: path for path in PYTHON if not path.stem.startswith("__")}
    assert sorted(order) == sorted(modules)
    upwards = [
        f"{name} imports {other}"
        for place, name in enumerate(order)
        for other in sorted(imported(modules[name]) & set(order[:place]))
    ]
    assert upwards == []


# Nothing is untold ------------------------------------------------------------------------------


def untold(schema: description.Schema) -> list[str]:
    """The objects without a comment. A check's name says its rule; a key's columns say all."""
    found = [f"schema {name}" for name, comment in schema.schemas.items() if not comment]
    for table in schema.tables:
        found += [table.name] if not table.comment else []
        found += [f"{table.name}.{c.name}" for c in table.columns if not c.comment]
        parts = [*table.indexes, *table.triggers, *table.policies]
        found += [f"{table.name} {part.name}" for part in parts if not part.comment]
    found += [function.name for function in schema.functions if not function.comment]
    return found + [part.name for part in schema.types if not part.comment]


def test_every_object_has_a_comment(docs: Database) -> None:
    assert untold(description.read(docs.connect(), parked="docmeta_parked")) == []


def test_an_object_without_a_comment_is_found(docs: Database) -> None:
    docs.query("""
        CREATE TABLE docmeta.mute (id int);
        CREATE INDEX mute_idx ON docmeta.mute (id);
        CREATE FUNCTION docmeta.mute() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE TRIGGER mute_mute BEFORE INSERT ON docmeta.mute EXECUTE FUNCTION docmeta.mute();
        CREATE POLICY mute_tenant ON docmeta.mute;
        CREATE TYPE docmeta.mood AS ENUM ();
    """)
    assert untold(description.read(docs.connect())) == [
        "docmeta.mute",
        "docmeta.mute.id",
        "docmeta.mute mute_idx",
        "docmeta.mute mute_mute",
        "docmeta.mute mute_tenant",
        "docmeta.mute()",
        "docmeta.mood",
    ]


def test_every_line_of_the_catalog_is_on_the_page(docs: Database) -> None:
    """No table, column, key, check, index, trigger, policy or function is passed over."""
    connection = docs.connect()
    facts = [subject for subject, _, _ in catalog.facts(connection, parked="docmeta_parked")]
    page = report_schema.markdown(description.read(connection, parked="docmeta_parked"))
    parts = {
        name for subject in facts if re.search(r" partition of$", subject)
        for name in [subject.split(" ")[1]]
    }  # fmt: skip
    kinds = ("table", "column", "constraint", "index", "trigger", "policy", "function")
    for subject in facts:
        kind, _, rest = subject.partition(" ")
        if kind not in kinds or rest.startswith("order ") or any(name in rest for name in parts):
            continue
        name = re.split(r" on | owner$", rest)[0].split(" ")[-1].removeprefix("docmeta.")
        assert name.rpartition(".")[2] in page, subject


def test_every_public_name_of_the_package_is_documented() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    undocumented = []
    for path in PYTHON:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = [n for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]
        inner = [n for c in public if isinstance(c, ast.ClassDef) for n in c.body]
        public += [n for n in inner if isinstance(n, kinds) and not n.name.startswith("_")]
        undocumented += [f"{path.name}: {n.name}" for n in public if not ast.get_docstring(n)]
    assert undocumented == []


def wording(node: ast.expr) -> str:
    """What an expression says, with … for what is known only when it is said."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(wording(part) for part in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "join" and isinstance(node.args[0], ast.List):
            return wording(node.args[0].elts[0])  # of several lines the first
        return wording(node.func.value)  # as it is before it is stripped
    return "…"


def messages_of_the_code() -> set[str]:
    """The first line of every expected error, and what the migrations raise or warn of."""
    nodes = [n for path in PYTHON for n in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    errors = {"UserError", "_moved"}  # the latter makes one of the line that it is given
    for node in nodes:
        if isinstance(node, ast.ClassDef) and "UserError" in map(ast.unparse, node.bases):
            errors.add(node.name)
    found = {
        wording(node.args[0]).splitlines()[0]
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) in errors and node.args
    }
    for node in nodes:  # each is a line of one error
        if isinstance(node, ast.FunctionDef) and node.name == "obstacles":
            found |= {
                wording(call.args[0])
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "found.append"
            }
    for path in ROOT.glob("sql/*.sql"):
        text = re.sub(r"^ *--.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
        for raised in re.findall(r"RAISE (?:EXCEPTION|WARNING)\s+((?:'(?:[^']|'')*'\s*)+)", text):
            whole = re.sub(r"'\s*\n\s*'", "", raised.strip())[1:-1]
            found.add(whole.replace("''", "'").replace("%", "…"))
    return {message for message in found if re.search("[a-z]", message)}


def test_every_message_is_explained_to_the_operator() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- messages: .*?-->(.*)<!-- end of messages -->", page, re.S)
    assert found
    explained = {
        cell.strip("` ")
        for row in re.findall(r"^\| (`.*?) \| .+ \|$", found[1], re.M)
        for cell in row.split("<br>")
    }
    assert explained == {message.strip("` ") for message in messages_of_the_code()}


@pytest.mark.parametrize("command", arguments.COMMANDS, ids=lambda command: command.name)
def test_every_command_and_option_is_documented(command: arguments.Command) -> None:
    """A command in README or docs/, an option by its own help."""
    assert command.does
    assert command.changes
    assert command.example.startswith(f"migrate {command.name}")
    told = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert f"scripts/migrate {command.name}" in told
    for name, how in {**command.options, **command.either}.items():
        assert how.get("help") or how.get("choices"), name
