"""Messages of mitmproxy, as clients get them."""

from __future__ import annotations

import ast
from pathlib import Path

import mitmproxy.proxy.layers.http as http_layers
import pytest

from interceptor.mitm.error_page import error_sentence

ADVICE = ("mitmproxy", "Disable the", "validate_inbound_headers", "smuggling")


def texts_of_mitmproxy() -> list[str]:
    """Every literal of its HTTP layers, with placeholders filled in."""
    found = []
    for path in sorted(Path(http_layers.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "x" for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_no_text_of_mitmproxys_layers_advises_the_client() -> None:
    texts = texts_of_mitmproxy()
    assert any("validate_inbound_headers option" in text for text in texts)
    for text in texts:
        sentence = error_sentence(text, None)
        assert not [word for word in ADVICE if word in sentence], text


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Received message with both transfer-encoding and content-length headers from server,"
            " refusing to prevent request smuggling attacks. Disable the validate_inbound_headers"
            " option to skip this security check.",
            "it sent an ambiguous message: both transfer-encoding and content-length headers",
        ),
        ("[Errno 111] Connect call failed", "[Errno 111] Connect call failed"),
    ],
)
def test_a_message_keeps_its_reason(message: str, expected: str) -> None:
    assert error_sentence(message, None) == expected
