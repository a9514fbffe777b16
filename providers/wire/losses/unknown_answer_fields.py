"""Fields of a response that no decoder reads, buffered and streamed. Each is a loss with its path.

Streams have thousands of events of the same few shapes. A shape is the keys of an event's objects;
one that was looked at once is not looked at again, unless a part of it may hold more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.google_keys import camel
from providers.wire.core.ir import JsonObject, Losses
from providers.wire.losses.known_answer_fields import ANSWER_FIELDS, EVENT_FIELDS
from providers.wire.losses.unknown_fields import REASON, Node, node_of, walk

_Shape = tuple[str, ...]
MAX_SHAPES: Final = 200


class AnswerWatch:
    """Looks at the objects of one response of a provider, and lists what no decoder reads."""

    def __init__(self, src: WireFormatName) -> None:
        self.losses = Losses()
        self._src = src
        self._found: dict[str, None] = {}
        self._shapes: set[_Shape] = set()
        self._shape_of = _SHAPES[src]

    @staticmethod
    def knows(src: WireFormatName) -> bool:
        """Return whether the fields of a format are known."""
        return src in ANSWER_FIELDS

    def look_at_response(self, body: JsonObject) -> None:
        """Look at a complete response."""
        self._look(_inside(body), _answer_node(self._src))

    def look_at_event(self, body: JsonObject) -> None:
        """Look at the object of one event."""
        body = _inside(body)
        shape = self._shape_of(body)
        if shape is not None and shape in self._shapes:
            return
        node = _event_node(self._src)
        kind = body.get("type")
        if node.by_type and (type(kind) is not str or kind not in node.by_type):
            self._add_kind(kind)
            return
        self._look(body, node)
        if shape is not None and len(self._shapes) < MAX_SHAPES and _is_flat(shape):
            self._shapes.add(shape)

    def _look(self, body: JsonObject, node: Node) -> None:
        found: dict[str, None] = {}
        walk([body], node, found, self._src == GOOGLE_GENERATE)
        self._add(found)

    def _add_kind(self, kind: Any) -> None:
        # A failure is told in the client's own words.
        if isinstance(kind, str) and kind not in ("error", "response.failed"):
            self._add({kind: None})

    def _add(self, found: dict[str, None]) -> None:
        for path in found.keys() - self._found.keys():
            self._found[path] = None
            self.losses.add(path, REASON)


def _inside(body: JsonObject) -> JsonObject:
    """Return the response inside Code Assist's envelope, or the body itself."""
    inner = body.get("response")
    is_envelope = isinstance(inner, dict) and "candidates" in inner
    return inner if is_envelope else body  # type: ignore[return-value]


@cache
def _answer_node(src: WireFormatName) -> Node:
    return node_of(ANSWER_FIELDS[src], "")


@cache
def _event_node(src: WireFormatName) -> Node:
    return node_of(EVENT_FIELDS[src], "")


# Fields that may hold objects; the functions below look at the others themselves.
_HOLDERS: Final = frozenset(
    [
        *("citation", "annotations", "audio", "function_call", "reasoning_details", "message"),
        *("inlineData", "fileData", "functionCall", "groundingMetadata", "promptFeedback"),
        *("citations", "search_results", "item", "part", "response", "annotation"),
        # Only the other spelling of it is compared.
        "usage_metadata",
    ]
)


def _is_flat(shape: _Shape) -> bool:
    """Return whether equal keys mean equal fields at all depths; Google has two spellings."""
    return _HOLDERS.isdisjoint(shape) and _HOLDERS.isdisjoint(camel(dict.fromkeys(shape)))


def _anthropic_shape(body: JsonObject) -> _Shape | None:
    delta = body.get("delta")
    if body.get("type") != "content_block_delta" or type(delta) is not dict:
        return None
    return (*body, "", *delta)


def _chat_shape(body: JsonObject) -> _Shape | None:
    choices = body.get("choices")
    if type(choices) is not list or len(choices) != 1 or body.get("usage") is not None:
        return None
    choice = choices[0]
    delta = choice.get("delta") if type(choice) is dict else None
    if type(delta) is not dict or choice.get("logprobs") is not None:
        return None
    if type(delta.get("content")) is list:
        return None
    shape = (*body, "", *choice, "", *delta)
    if "tool_calls" not in delta:
        return shape
    calls = delta["tool_calls"]
    if type(calls) is not list or len(calls) != 1 or type(calls[0]) is not dict:
        return None
    function = calls[0].get("function")
    return (*shape, "", *calls[0], "", *function) if type(function) is dict else None


def _responses_shape(body: JsonObject) -> _Shape | None:
    kind = body.get("type")
    if type(kind) is not str or not kind.endswith(".delta"):
        return None
    return (kind, *body)


def _google_shape(body: JsonObject) -> _Shape | None:
    candidates = body.get("candidates")
    if type(candidates) is not list or len(candidates) != 1 or type(candidates[0]) is not dict:
        return None
    candidate = candidates[0]
    content = candidate.get("content")
    if type(content) is not dict:
        return None
    parts = content.get("parts")
    if type(parts) is not list or len(parts) != 1 or type(parts[0]) is not dict:
        return None
    counts = _counts_shape(body.get("usageMetadata"))
    if counts is None:
        return None
    return (*body, "", *candidate, "", *content, "", *parts[0], "", *counts)


def _counts_shape(usage: Any) -> _Shape | None:
    """Return the keys of Google's counts, which come with each chunk, and of the details in them.

    {"totalTokenCount": 3, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]} →
    ("totalTokenCount", "promptTokensDetails", "modality", "tokenCount")
    """
    if usage is None:
        return ()
    if type(usage) is not dict:
        return None
    keys = [*usage]
    for value in usage.values():
        if type(value) is dict:
            return None
        for entry in value if type(value) is list else ():
            if type(entry) is not dict:
                return None
            keys += entry
    return tuple(keys)


_SHAPES: Final[dict[WireFormatName, Callable[[JsonObject], _Shape | None]]] = {
    ANTHROPIC_MESSAGES: _anthropic_shape,
    OPENAI_CHAT: _chat_shape,
    OPENAI_RESPONSES: _responses_shape,
    GOOGLE_GENERATE: _google_shape,
}
"""For each format, the keys of an event that is one more piece of text; None for other events.

"" stands between the keys of two objects."""
