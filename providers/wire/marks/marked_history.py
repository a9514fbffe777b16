"""Look for marks in the parts of a parsed history. Pure.

Most histories have none. A search of the bytes for each mark takes 3.6 ms for 1 MB. The marks stand
in few fields of few parts, so a look at these takes a sixth of that:

    {"type": "text", "text": "…"}                                  no such field: skipped
    {"type": "tool_use", "id": "f_0__n_6f2b9c01d2e3", "input": {}}  a mark in `id`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.ir import JsonObject
from providers.wire.marks.marked_ids import ID_FIELDS
from providers.wire.rules.replay import SEAL
from providers.wire.tools.web_search import OWN_RESULT

_SEALED: Final = ("signature", "data", "encrypted_content")
_CITATIONS: Final = "citations"
_WATCHED: Final = frozenset({*ID_FIELDS, *_SEALED, _CITATIONS})
_ID_MARKS_START: Final = "__"
"""Of `ID_MARKS`. Vendors' ids do not have it, so a closer look at those that do is rare."""


def has_marks(body: JsonObject, wire_format: WireFormatName) -> bool:
    """Return whether any part of a history has a mark; `without_marks` then looks closer.

    Raises:
        KeyError: a format whose histories are searched as bytes.
    """
    return any(map(_is_marked, _PARTS[wire_format](body)))


def is_told(wire_format: WireFormatName) -> bool:
    """Return whether `has_marks` knows a format."""
    return wire_format in _PARTS


def _is_marked(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    watched = _WATCHED.intersection(part)
    return bool(watched) and any(_holds_mark(field, part[field]) for field in watched)


def _holds_mark(field: str, value: Any) -> bool:
    if field == _CITATIONS:
        return any(map(_is_others_citation, _list(value)))
    if not isinstance(value, str):
        return False
    if field in _SEALED:
        # Servers of other models do not sign their reasoning.
        return value.startswith(SEAL) or (field == "signature" and not value)
    return _ID_MARKS_START in value or OWN_RESULT in value


def _is_others_citation(citation: Any) -> bool:
    index = citation.get("encrypted_index") if isinstance(citation, dict) else None
    return isinstance(index, str) and index.startswith(SEAL)


def _blocks(body: JsonObject) -> Iterator[Any]:
    for message in _list(body.get("messages")):
        if isinstance(message, dict):
            yield from _list(message.get("content"))


def _messages_and_calls(body: JsonObject) -> Iterator[Any]:
    for message in _list(body.get("messages")):
        yield message
        if isinstance(message, dict):
            yield from _list(message.get("tool_calls"))


def _items(body: JsonObject) -> Iterator[Any]:
    yield from _list(body.get("input"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_PARTS: Final[dict[WireFormatName, Callable[[JsonObject], Iterator[Any]]]] = {
    ANTHROPIC_MESSAGES: _blocks,
    OPENAI_CHAT: _messages_and_calls,
    OPENAI_RESPONSES: _items,
}
"""Google's calls need a signature even where there is no mark, so they are not told here."""
