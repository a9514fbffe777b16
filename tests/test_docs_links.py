"""Every page of the documentation is in the navigation, and every link, anchor and picture of it exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.environment import ROOT

DOCS = ROOT / "docs"
MKDOCS = ROOT / ".venv/docs/bin/mkdocs"
MAX_PICTURE_BYTES = 150_000
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


def _site_pages() -> Any:
    spec = importlib.util.spec_from_file_location("site_pages", DOCS / "site_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SITE = _site_pages()
PAGES = [*(ROOT / name for name in SITE.ROOT_PAGES), *sorted(DOCS.rglob("*.md"))]


class Link(NamedTuple):
    picture: bool
    text: str
    target: str


@cache
def _text(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text())


def links(text: str) -> list[Link]:
    return [Link(bool(mark), words, target) for mark, words, target in LINK.findall(text)]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings; a repeated one gets a number."""
    found: set[str] = set()
    for heading in HEADING.findall(text):
        words = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = base = SITE.slug(words, "-")
        number = 0
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found.add(name)
    return found


def broken(page: Path, link: Link) -> str:
    """Say why a link leads nowhere; "" where it leads somewhere, or to another host."""
    if re.match(r"[a-z]+:", link.target):
        is_ours = link.target.startswith(("https://", "http://127.0.0.1:", "mailto:"))
        return "" if is_ours else f"{link.target} is not https"
    path, _, anchor = link.target.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return f"{link.target} does not exist"
    if anchor and anchor not in anchors(_text(target)):
        return f"{link.target}: no such heading"
    return ""


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [reason for link in links(_text(page)) if (reason := broken(page, link))] == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title's `word`\n\n## Again\n\n## Again\n")
    good = ("#a-titles-word", "page.md#again-1", "https://example.org/x", "http://127.0.0.1:8083/")
    bad = ("other.md", "#again-2", "page.md#title", "http://example.org")
    assert [broken(page, Link(False, "", target)) for target in good] == [""] * 4
    assert all(broken(page, Link(False, "", target)) for target in bad)


def _nav_pages(entry: Any) -> list[str]:
    """Return the pages of a part of mkdocs' `nav`, in order."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in _nav_pages(part)]


def test_the_navigation_has_every_page_once() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert sorted(_nav_pages(settings["nav"])) == sorted([*pages, *SITE.ROOT_PAGES.values()])


def test_every_page_is_reached_by_links_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = [link.target.partition("#")[0] for link in links(_text(page))]
        local = [target for target in targets if target and ":" not in target]
        waiting += [(page.parent / target).resolve() for target in local]
    assert [_name(page) for page in PAGES if page not in seen] == []


def test_pictures_are_used_small_and_described() -> None:
    shown: dict[Path, str] = {}
    for page in PAGES:
        for link in links(_text(page)):
            if link.picture:
                shown[(page.parent / link.target).resolve()] = link.text
    files = set((DOCS / "images").iterdir())
    assert sorted(map(_name, files - shown.keys())) == [], "pictures that no page shows"
    large = [_name(path) for path in files if path.stat().st_size > MAX_PICTURE_BYTES]
    assert large == []
    # The words are for those who cannot see the picture.
    assert [_name(path) for path, words in shown.items() if len(words) < 20] == []


@pytest.mark.parametrize("folder", ["console", "guides"])
def test_every_screen_and_every_guide_has_a_picture(folder: str) -> None:
    pages = sorted((DOCS / folder).glob("*.md"))
    assert len(pages) > 5
    bare = [page.name for page in pages if not any(link.picture for link in links(_text(page)))]
    assert bare == []


@pytest.mark.parametrize(
    ("page", "before", "after"),
    [
        ("index.md", "[Quickstart](docs/quickstart.md)", "[Quickstart](quickstart.md)"),
        ("index.md", "[Report](SECURITY.md#what-counts)", "[Report](reporting.md#what-counts)"),
        ("contributing.md", "![A list](docs/images/a.png)", "![A list](images/a.png)"),
        ("console/copy.md", "[keys](../console.md#keys)", "[keys](../console.md#keys)"),
        ("guides/ci.md", "[log](../../CHANGELOG.md)", "[log](../changelog.md)"),
        ("models.md", "[facts](../providers/a.toml)", "facts (`providers/a.toml`)"),
        ("models.md", "[`providers/a.toml`](../providers/a.toml)", "`providers/a.toml`"),
        ("models.md", "```\n[a](../b.md)\n```", "```\n[a](../b.md)\n```"),
        ("models.md", "[a](https://example.org) [b](#c)", "[a](https://example.org) [b](#c)"),
    ],
)
def test_links_are_rewritten_for_the_site(page: str, before: str, after: str) -> None:
    class Page:
        class file:
            src_uri = page

    assert SITE.on_page_markdown(before, Page) == after


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    if not MKDOCS.exists():
        pytest.skip("mkdocs is not installed: make docs installs it")
    command = [str(MKDOCS), "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Pages load nothing from another host.
    loaded = re.compile(r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="(?:https?:)?//')
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(PAGES)
    assert [page.name for page in pages if loaded.search(page.read_text())] == []
