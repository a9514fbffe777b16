"""docs/troubleshooting.md quotes messages that the product really has."""

from __future__ import annotations

import ast
import re

from tests.environment import ROOT
from tests.syntax import nodes

APPS = ("ccproxy_site", "flows", "interceptor", "jail", "providers", "shapes")
PAGE = (ROOT / "docs/troubleshooting.md").read_text()


def _texts(source: str) -> str:
    """All literal texts of a module, those of one expression together."""
    found = []
    for node in nodes(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            found.append("…".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return "\n".join(found)


def test_each_message_is_one_of_the_product() -> None:
    """A text may stand in several lines, but a module without one of its words has it not."""
    tables = PAGE.split("## At start")[1].split("## Nothing appears")[0]
    rows = [line.split("|") for line in tables.splitlines() if line.startswith("| ")]
    cells = [row[2] if row[1].strip()[:3].isdigit() else row[1] for row in rows]
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) >= 12
    missing = {part.strip() for text in quoted for part in text.split("…")} - {""}
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        source = path.read_text()
        if likely := {text for text in missing if all(word in source for word in text.split())}:
            texts = _texts(source)
            missing -= {text for text in likely if text in texts}
    assert not missing, f"no message says {missing}"
