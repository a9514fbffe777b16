"""Top-level members of a JSON body, changed without a change of any other byte.

A body for a provider of the same wire format must stay what the client sent; only the model's name
may change.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from providers.wire.core.jsonio import loads_request

# One token. Possessive, so that no string can make the matcher backtrack or grow a stack.
_TOKEN: Final = re.compile(
    rb'\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]:,]|[^\s"{}\[\]:,]++)', re.DOTALL
)
# Everything up to the next bracket that is not inside a string: nested values are crossed in C.
_QUOTE: Final = ord('"')
_TO_BRACKET: Final = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)


def read_model(body: bytes) -> str | None:
    """Return the top-level `model` string of a JSON object, or None."""
    spans = _model_spans(body)
    if not spans:
        return None
    # Python's and most vendors' parsers use the last of duplicate keys.
    start, end = spans[-1]
    try:
        return str(loads_request(body[start:end])[0])
    except ValueError:
        return None


def replace_model(body: bytes, new_model: str) -> bytes | None:
    """Replace the body's top-level `model` string; every other byte stays.

    None if the body is no JSON object or has no such string. If the key is given twice all of them
    change, because parsers differ in which one they use.
    """
    spans = _model_spans(body)
    if not spans:
        return None
    value = json.dumps(new_model).encode("ascii")
    # From the end, so that the offsets of earlier spans stay right.
    for start, end in reversed(spans):
        body = body[:start] + value + body[end:]
    return body


def with_member(body: bytes, name: str, value: str | list[str]) -> bytes:
    """Return a JSON object with one more member, the first; other bodies stay.

    {"a": 1} → {"name":"value","a": 1}
    """
    opening = _opening(body)
    if opening is None:
        return body
    closes = body[opening:].lstrip()[:1] == b"}"
    member = f"{json.dumps(name)}:{json.dumps(value)}".encode("ascii")
    return body[:opening] + member + (b"" if closes else b",") + body[opening:]


def without_model(body: bytes) -> bytes:
    """Return a JSON object without its top-level `model` strings; other bodies stay.

    {"a": 1, "model": "x", "b": 2} → {"a": 1,"b": 2}
    """
    return _without(body, _model_members(body))


def without_member(body: bytes, name: str) -> bytes:
    """Return a JSON object without its top-level members of a name that hold one plain value.

    ({"a": 1, "stream": true}, "stream") → {"a": 1}
    """
    return _without(body, _members(body, name))


def _without(body: bytes, members: list[_Member]) -> bytes:
    for member in reversed(members):
        before = body[: member.key].rstrip()
        behind = body[member.end :].lstrip()
        # The comma before the member goes with it; the first member takes the one behind it.
        if before.endswith(b","):
            before = before[:-1]
        else:
            behind = behind.removeprefix(b",")
        body = before + behind
    return body


class _Member(NamedTuple):
    """Offsets of a member: its key, its value, and the end of its value."""

    key: int
    value: int
    end: int


def _model_spans(body: bytes) -> list[tuple[int, int]]:
    """Return the byte ranges of the top-level `model` strings, quotes included."""
    return [(member.value, member.end) for member in _model_members(body)]


def _opening(body: bytes) -> int | None:
    """Return the offset behind the bracket that opens a JSON object, or None."""
    opening = _TOKEN.match(body, 3 if body[:3] == b"\xef\xbb\xbf" else 0)
    return opening.end() if opening is not None and opening[1] == b"{" else None


def _model_members(body: bytes) -> list[_Member]:
    """Return the top-level members `model` that are strings."""
    return [member for member in _members(body, "model") if body[member.value] == _QUOTE]


def _members(body: bytes, name: str) -> list[_Member]:
    """Return the top-level members of a name that are neither objects nor arrays.

    Empty when the body is no well-nested object.
    """
    members: list[_Member] = []
    position = _opening(body)
    if position is None:
        return []
    expects_key, is_wanted, key_at = True, False, 0
    # {"a": {…}, "model": "x"} is read as the tokens "a" : { (crossed) , "model" : "x" }
    while (token := _TOKEN.match(body, position)) is not None:
        text, position = token[1], token.end()
        if text == b"}":
            # Bytes after the object make it no JSON; such a body is forwarded unchanged.
            has_more = bool(body[position:].strip())
            return [] if has_more else members
        if text in (b"{", b"["):
            position = _behind_nested(body, position)
        elif text == b",":
            expects_key, is_wanted = True, False
        elif text == b":":
            continue
        elif expects_key:
            expects_key, is_wanted, key_at = False, _is_key(text, name), token.start(1)
        elif is_wanted:
            members.append(_Member(key_at, *token.span(1)))
    return []


def _behind_nested(body: bytes, position: int) -> int:
    """Return the offset after the bracket that closes the one before `position`.

    The body's length if none does.
    """
    depth = 1
    while depth:
        position = _TO_BRACKET.match(body, position).end()  # type: ignore[union-attr]  # it matches the empty string
        if position >= len(body) or body[position] == _QUOTE:  # a quote that is never closed
            return len(body)
        depth += 1 if body[position] in b"{[" else -1
        position += 1
    return position


def _is_key(key: bytes, name: str) -> bool:
    if key == f'"{name}"'.encode():
        return True
    # Only a key with escapes can be another notation of it: "\u006dodel".
    if b"\\" not in key:
        return False
    try:
        return bool(json.loads(key) == name)
    except ValueError:
        return False
