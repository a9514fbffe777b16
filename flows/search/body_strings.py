"""Strings of a JSON value, as lines that a search finds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from flows.reading.json_text import parse_json

_OPAQUE_CHARS: Final = 512
_BASE64: Final = re.compile(r"(data:[a-z/+.-]+;base64,)?[A-Za-z0-9+/=_-]{400}")
_PLAIN_KEYS: Final = frozenset({"text", "content", "thinking", "output", "input_text", "refusal"})
_NOISE_KEYS: Final = frozenset(
    {"type", "cache_control", "signature", "thoughtSignature", "encrypted_content"}
)
_JSON_KEYS: Final = frozenset({"arguments", "partial_json"})
MAX_DEPTH: Final = 60


def is_opaque(text: str) -> bool:
    """Return whether a text is encoded data, such as an image: long, and all base64."""
    return len(text) >= _OPAQUE_CHARS and _BASE64.match(text) is not None


def lines_of(value: Any, key: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the leaves of a value, those of objects with their key.

    Example: `{"command": "ls", "args": ["a"]}` → "command: ls", "a".
    """
    if depth > MAX_DEPTH or key in _NOISE_KEYS:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from lines_of(inner, str(name), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from lines_of(inner, "", depth + 1)
    elif isinstance(value, str):
        yield from _line(value, key, depth)
    elif value is not None and key:
        yield f"{key}: {value}"


def _line(text: str, key: str, depth: int) -> Iterator[str]:
    if key in _JSON_KEYS:
        arguments = arguments_of(text)
        if not isinstance(arguments, str):
            yield from lines_of(arguments, "", depth + 1)
            return
    if not text or is_opaque(text):
        return
    yield f"{key}: {text}" if key and key not in _PLAIN_KEYS else text


def arguments_of(text: str) -> Any:
    """Return the arguments of a tool call, which some formats write as a text of JSON."""
    if not text.startswith("{"):
        return text
    parsed = parse_json(text.encode("utf-8", "surrogatepass"))
    return text if parsed.error else parsed.value
