"""Tests of the product's layout, computed from its files and imports: folders, circles, names, density, the map."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.syntax import nodes, statements

ROOT = Path(__file__).parent.parent
APPS = ("ccproxy_site", "flows", "interceptor", "jail", "providers", "shapes")

MODULES_PER_FOLDER = 16
NODES_PER_LINE = 8.5
COMMENTS_PER_100_LINES = 1.0

# A small app has too few lines for a ratio to mean anything.
MEASURED_FROM_LINES = 1000

# Names that Django, its REST framework or its routing give.
FRAMEWORK_NAMES = {"__init__", "admin", "api", "apps", "forms", "models", "urls", "views"}

# Every wire format has the same files, so that a reader of one finds the way in all.
WIRE_FORMAT_NAMES = {"codec", "request_decode", "request_encode", "response", "stream"}

# Basenames that stand twice in an app, with the reason.
DUPLICATES = {
    ("interceptor", "client_hello"): "the addon that keeps it, and its parser",
    ("interceptor", "dispatch"): "the demo provider's, and the proxy's own",
    ("interceptor", "overrides"): "of hooks, and of mitmproxy's WireGuard",
    ("interceptor", "server"): "the server's settings, and two servers",
    ("jail", "cell"): "the launcher's end, and the stage that becomes the command",
    ("jail", "uplink"): "the launcher's end, and the stage that moves the packets",
    ("providers", "base"): "protocols of credential sources and of wire formats",
    ("providers", "errors"): "exceptions, and the wire formats' error bodies",
}


def product_files() -> list[Path]:
    found = [path for app in APPS for path in (ROOT / app).rglob("*.py")]
    return sorted(path for path in found if "migrations" not in path.parts)


FILES = product_files()


def module_name(path: Path) -> str:
    """Return the dotted name: flows/live/bus.py → flows.live.bus, flows/__init__.py → flows."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in FILES}


# Folders and names


def test_no_folder_has_too_many_modules() -> None:
    counts = Counter(path.parent for path in FILES if path.stem != "__init__")
    full = {str(folder.relative_to(ROOT)): n for folder, n in counts.items()}
    assert {folder: n for folder, n in full.items() if n > MODULES_PER_FOLDER} == {}


def test_no_basename_stands_twice_in_an_app() -> None:
    homes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in FILES:
        relative = path.relative_to(ROOT)
        # A command and a library of template tags are called as the user calls them.
        if relative.parent.name in ("commands", "templatetags") or path.stem in FRAMEWORK_NAMES:
            continue
        if relative.parts[:2] == ("providers", "wire") and path.stem in WIRE_FORMAT_NAMES:
            continue
        homes[relative.parts[0], path.stem].append(str(relative))
    twice = {key: paths for key, paths in homes.items() if len(paths) > 1}
    assert {key: paths for key, paths in twice.items() if key not in DUPLICATES} == {}
    assert sorted(DUPLICATES.keys() - twice.keys()) == [], "no longer needed"


# Circles


def imported(path: Path) -> set[str]:
    """Return the product's modules that a file imports, also inside functions and for types alone."""
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from flows.live import bus` imports the module flows.live.bus.
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found.update(submodules or {node.module})
    return found & MODULES.keys()


@cache
def product_imports() -> dict[str, set[str]]:
    """What each module imports; not read before a test of this file runs."""
    return {name: imported(path) for name, path in MODULES.items()}


def arrows_between_children(package: str, imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return which direct children of a package import which others.

    flows: {"flows.live.bus": {"flows.models"}} → {"live": {"models"}}
    """
    prefix = package + "."
    arrows: dict[str, set[str]] = defaultdict(set)
    for importer, targets in imports.items():
        if not importer.startswith(prefix):
            continue
        child = importer.removeprefix(prefix).split(".")[0]
        for target in targets:
            other = target.removeprefix(prefix).split(".")[0]
            if target.startswith(prefix) and other != child:
                arrows[child].add(other)
    return arrows


def circle_in(arrows: dict[str, set[str]]) -> list[str]:
    """Return the names of one circle, or nothing."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


PACKAGES = sorted({module_name(path) for path in FILES if path.stem == "__init__"})


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_or_rooms_import_each_other(package: str) -> None:
    assert circle_in(arrows_between_children(package, product_imports())) == []


def test_a_circle_between_rooms_is_found() -> None:
    imports = {"app.one.a": {"app.two.b"}, "app.two.b": {"app.three"}, "app.three": {"app.one.c"}}
    assert set(circle_in(arrows_between_children("app", imports))) == {"one", "two", "three"}
    assert circle_in(arrows_between_children("app", imports | {"app.three": {"app"}})) == []


# Density


class Measure(NamedTuple):
    """Sizes of one app: AST nodes, lines with code, all lines, comments on lines of their own."""

    nodes: int
    code: int
    lines: int
    comments: int

    @property
    def nodes_per_line(self) -> float:
        return self.nodes / self.code

    @property
    def comments_per_100_lines(self) -> float:
        return 100 * self.comments / self.lines


def docstring_lines(tree: ast.Module) -> set[int]:
    found: set[int] = set()
    owners = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    for node in statements(tree):
        if isinstance(node, owners) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            found.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return found


def measure(sources: Iterable[str]) -> Measure:
    node_count = code = total = comments = 0
    for source in sources:
        tree = ast.parse(source)
        texts = docstring_lines(tree)
        lines = source.splitlines()
        node_count += sum(1 for _ in nodes(tree))
        total += len(lines)
        for number, line in enumerate(lines, 1):
            if number in texts or not line.strip():
                continue
            if line.lstrip().startswith("#"):
                comments += 1
            else:
                code += 1
    return Measure(node_count, code, total, comments)


@pytest.mark.parametrize("app", APPS)
def test_code_is_not_too_dense(app: str) -> None:
    sources = [path.read_text() for path in FILES if path.relative_to(ROOT).parts[0] == app]
    size = measure(sources)
    print(
        f"{app}: {size.nodes_per_line:.2f} nodes a line, "
        f"{size.comments_per_100_lines:.2f} comments per 100 lines, {size.lines} lines"
    )
    if size.lines >= MEASURED_FROM_LINES:
        assert size.nodes_per_line <= NODES_PER_LINE
        assert size.comments_per_100_lines >= COMMENTS_PER_100_LINES


def test_measures_count_neither_docstrings_nor_comments_as_code() -> None:
    size = measure(['"""Text\nand more."""\n\n# Reason.\nx = 1\n'])
    # Module, Expr, Constant, Assign, Name, Store, Constant
    assert size == Measure(nodes=7, code=1, lines=5, comments=1)


# The map in docs/architecture.md


def mapped_folders() -> dict[str, str]:
    """Read the tree under "Where things are": folder → its line."""
    document = (ROOT / "docs/architecture.md").read_text()
    tree = document.split("## Where things are")[1].split("```")[1]
    found: dict[str, str] = {}
    above: list[str] = []
    for line in tree.strip("\n").splitlines():
        match = re.fullmatch(r"((?:  )*)([\w/]+)/ +(\S.*)", line)
        assert match, line
        depth = len(match[1]) // 2
        above[depth:] = [match[2]]
        found["/".join(above)] = match[3]
    return found


def test_the_map_lists_every_room() -> None:
    folders = {str(path.parent.relative_to(ROOT)) for path in FILES}
    # A folder that holds nothing but the next one is written with it: management/commands.
    folders -= {folder for folder in folders if folder.endswith("/management")}
    assert sorted(mapped_folders()) == sorted(folders)
