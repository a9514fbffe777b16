"""Tests of the product's prose against docs/glossary.md: docstrings, help texts, messages, pages, documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.syntax import nodes, statements

ROOT = Path(__file__).parent.parent
APPS = ("ccproxy_site", "flows", "interceptor", "jail", "providers", "shapes")

SHORT_TEXTS = "short texts"
EVERYWHERE = "everywhere"

TEXT_KEYWORDS = {"help_text", "help", "verbose_name", "verbose_name_plural", "description", "label"}
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
TEXT_ATTRIBUTES = {"title", "placeholder", "alt", "aria-label"}
FORBIDDEN_START = re.compile(r"(What|How|Which|Whether|Who|Whoever|The same)\b")


class Ban(NamedTuple):
    phrase: str
    everywhere: bool
    instead: str
    pattern: re.Pattern[str]

    @property
    def first_word(self) -> str:
        return self.phrase.split()[0].lower()


class Text(NamedTuple):
    """A text for people; `short` texts are held to all bans, others only to those that hold everywhere."""

    address: str
    content: str
    short: bool


class PythonTexts(NamedTuple):
    """The (address, text) pairs of a module."""

    docstrings: list[tuple[str, str]]
    messages: list[tuple[str, str]]


def read_bans() -> list[Ban]:
    """Parse the last table of the glossary."""
    section = (ROOT / "docs/glossary.md").read_text().split("## Words that a test refuses")[1]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    bans = []
    for phrases, where, instead, exceptions in rows:
        assert where.strip() in (SHORT_TEXTS, EVERYWHERE), where
        allowed = "".join(
            rf"(?!{text})" for text in map(_pattern, re.findall(r"`([^`]+)`", exceptions))
        )
        for phrase in re.findall(r"`([^`]+)`", phrases):
            pattern = re.compile(rf"\b{allowed}{_pattern(phrase)}(?:'s|s)?\b", re.IGNORECASE)
            bans.append(Ban(phrase, where.strip() == EVERYWHERE, instead.strip(), pattern))
    return bans


def _pattern(phrase: str) -> str:
    return r"\s+".join(re.escape(word) for word in phrase.split())


BANS = read_bans()


def prose(text: str) -> str:
    """Remove what is no prose: code in backticks, quoted examples, words in capitals."""
    text = re.sub(r"``?[^`]*``?", "`…`", text)
    return re.sub(r"\b[A-Z]{2,}\b", "…", text)


def faults(text: Text) -> list[str]:
    content = prose(text.content)
    lower = content.lower()
    return [
        f"{text.address}: “{ban.phrase}” → {ban.instead}: {text.content.strip()[:90]!r}"
        for ban in BANS
        # Most texts have not even the first word; to look for that is ten times as fast.
        if ban.first_word in lower
        and (text.short or ban.everywhere)
        and ban.pattern.search(content)
    ]


# Reading texts out of Python files


def docstrings(path: Path, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (address, docstring) of a module, its classes and its functions."""
    owners = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    for node in statements(tree):
        if isinstance(node, owners) and (text := ast.get_docstring(node)):
            line = node.body[0].lineno
            yield f"{path.relative_to(ROOT)}:{line}", text


def _strings(node: ast.AST) -> str:
    """Join the literal strings inside an expression; values that are put in become an ellipsis."""
    parts = []
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            parts.append(part.value)
    return "…".join(parts)


def _is_log_call(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in LOG_METHODS:
        return False
    return isinstance(function.value, ast.Name) and function.value.id in ("log", "logger")


def messages(path: Path, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (address, text) of help texts, exceptions' messages and log messages."""
    for node in nodes(tree):
        found: ast.AST | None = None
        if isinstance(node, ast.keyword) and node.arg in TEXT_KEYWORDS:
            found = node.value
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found = node.exc
        elif isinstance(node, ast.Call) and _is_log_call(node):
            found = node
        if found is not None and (text := _strings(found)):
            yield f"{path.relative_to(ROOT)}:{getattr(found, 'lineno', 0)}", text


@cache
def read_module(path: Path) -> PythonTexts:
    """Parse a module once for all tests."""
    tree = ast.parse(path.read_text())
    return PythonTexts([*docstrings(path, tree)], [*messages(path, tree)])


def python_texts(path: Path) -> Iterator[Text]:
    module = read_module(path)
    for address, text in module.docstrings:
        first, _, rest = text.partition("\n")
        yield Text(address, first, short=True)
        yield Text(address, rest, short=False)
    for address, text in module.messages:
        yield Text(address, text, short=True)


# Reading texts out of templates and documents


class _Page(HTMLParser):
    """Collects the texts and the readable attributes of a page, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[int, str]] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        for name, value in attrs:
            if name in TEXT_ATTRIBUTES and value:
                self.texts.append((self.getpos()[0], value))

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.texts.append((self.getpos()[0], data))


def template_texts(path: Path) -> Iterator[Text]:
    source = path.read_text()
    source = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", lambda tag: " " * len(tag[0]), source)
    page = _Page()
    page.feed(source)
    for line, text in page.texts:
        yield Text(f"{path.relative_to(ROOT)}:{line}", text, short=True)


def document_texts(path: Path) -> Iterator[Text]:
    """Yield a document's paragraphs without blocks of code; the glossary's own table is left out."""
    source = path.read_text().split("## Words that a test refuses")[0]
    source = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), source, flags=re.S)
    source = re.sub(r"\]\([^)]*\)", "]", source)
    line = 1
    for paragraph in source.split("\n\n"):
        yield Text(f"{path.relative_to(ROOT)}:{line}", paragraph, short=True)
        line += paragraph.count("\n") + 2


# Rooms


def _rooms() -> dict[str, list[Path]]:
    """Map each folder with texts to its files. Documents are rooms of their own."""
    rooms: dict[str, list[Path]] = {}
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                rooms.setdefault(str(path.parent.relative_to(ROOT)), []).append(path)
    for path in sorted((ROOT / "templates").rglob("*.html")):
        rooms.setdefault(str(path.parent.relative_to(ROOT)), []).append(path)
    for path in [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]:
        rooms[str(path.relative_to(ROOT))] = [path]
    return rooms


ROOMS = _rooms()
READERS = {".py": python_texts, ".html": template_texts, ".md": document_texts}


@pytest.mark.parametrize("room", list(ROOMS))
def test_texts_use_the_words_of_the_glossary(room: str) -> None:
    found = [
        fault
        for path in ROOMS[room]
        for text in READERS[path.suffix](path)
        for fault in faults(text)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("room", [room for room in ROOMS if ROOMS[room][0].suffix == ".py"])
def test_first_lines_of_docstrings_stand_alone(room: str) -> None:
    found = []
    for path in ROOMS[room]:
        for address, text in read_module(path).docstrings:
            first = text.partition("\n")[0]
            if FORBIDDEN_START.match(first):
                found.append(f"{address}: begins with {first.split()[0]}: {first}")
            if len(first) > 100:
                found.append(f"{address}: {len(first)} columns")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("ban", BANS, ids=[ban.phrase for ban in BANS])
def test_every_ban_is_found_in_a_text(ban: Ban) -> None:
    sentence = Text("here", f"It is {ban.phrase}, which is wrong.", short=True)
    assert any(ban.phrase in fault for fault in faults(sentence))
    code = sentence._replace(content=f"It is `{ban.phrase}`, which is code.")
    assert faults(code) == []


def test_bans_for_short_texts_leave_the_rest_of_a_docstring_alone() -> None:
    text = Text("here", "The whole head is read at once.", short=False)
    assert faults(text) == []
    assert len(faults(text._replace(short=True))) == 2


def test_exceptions_of_the_glossary_are_let_through() -> None:
    assert faults(Text("here", "At the head of the queue.", short=True)) == []
    assert faults(Text("here", "Send a HEAD request.", short=True)) == []
    assert faults(Text("here", "A whole number.", short=True)) == []


def test_messages_and_help_texts_are_read_from_the_code() -> None:
    source = """
def f(log):
    log.warning("nobody came: %s", 1)
    raise ValueError(f"a twin of {f}")
CharField(help_text="a brake " "for all")
"""
    found = [text for _, text in messages(ROOT / "here.py", ast.parse(source))]
    assert sorted(found) == ["a brake for all", "a twin of ", "nobody came: %s"]
