"""docs/troubleshooting.md quotes messages that the product really has."""

from __future__ import annotations

import ast
import re

from tests.environment import ROOT

APPS = ("ccproxy_site", "flows", "interceptor", "jail", "providers", "shapes")
PAGE = (ROOT / "docs/troubleshooting.md").read_text()


def _texts() -> str:
    """All literal texts of the product, those of one expression together, in one line."""
    found = []
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
                    found.append("…".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return "\n".join(found)


def test_each_message_is_one_of_the_product() -> None:
    tables = PAGE.split("## At start")[1].split("## Nothing appears")[0]
    rows = [line.split("|") for line in tables.splitlines() if line.startswith("| ")]
    cells = [row[2] if row[1].strip()[:3].isdigit() else row[1] for row in rows]
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) >= 12
    texts = _texts()
    for text in quoted:
        for part in filter(None, (part.strip() for part in text.split("…"))):
            assert part in texts, f"no message says “{part}”"
