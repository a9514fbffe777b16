"""Hooks of mkdocs: pages that stand outside docs/, and links that leave it.

README.md is the site's first page. CHANGELOG.md, CONTRIBUTING.md and SECURITY.md are pages too. A
link from a page to a file of the source becomes its path, because the site has no sources.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

# File at the root of the sources → its page on the site.
ROOT_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def slug(text: str, separator: str) -> str:
    """Return GitHub's anchor of a heading: "Behind a company's proxy" → behind-a-companys-proxy."""
    kept = re.sub(r"[^\w\- ]", "", text.strip().lower())
    return kept.replace(" ", separator)


def on_config(config: Any) -> Any:
    """Use GitHub's anchors, so that one link works in both places."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that stand at the root of the sources."""
    # Here, so that a test without mkdocs can import this file.
    from mkdocs.structure.files import File

    for source, page in ROOT_PAGES.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page from addresses in the sources to addresses on the site."""
    address = page.file.src_uri
    sources = {name: source for source, name in ROOT_PAGES.items()}
    source = sources.get(address, f"docs/{address}")

    def rewritten(match: re.Match[str]) -> str:
        return _on_the_site(match, source, address)

    # Code blocks hold no links.
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [_LINK.sub(rewritten, part) for part in parts[::2]]
    return "".join(parts)


def _on_the_site(match: re.Match[str], source: str, address: str) -> str:
    """Return a link as it stands on the site.

    README.md, [Quickstart](docs/quickstart.md) → [Quickstart](quickstart.md)
    docs/models.md, [facts](../providers/facts.toml) → facts (`providers/facts.toml`)
    """
    picture, text, target = match.groups()
    if re.match(r"[a-z]+:|#", target):
        return match[0]
    path, _, anchor = target.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if path in ROOT_PAGES:
        page = ROOT_PAGES[path]
    elif path.startswith("docs/") and not (ROOT / path).is_dir():
        page = path.removeprefix("docs/")
    else:
        return text if path in text.replace("`", "") else f"{text} (`{path}`)"
    page = posixpath.relpath(page, posixpath.dirname(address) or ".")
    return f"{picture}[{text}]({page}{'#' + anchor if anchor else ''})"
