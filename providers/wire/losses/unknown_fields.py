"""Fields of a request that no decoder reads, at any depth. Each is a loss with its path.

The position in an array is left out, so that a field of every message is one loss:
`messages[].content[].clear_at`.
"""

from __future__ import annotations

from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE, WireFormatName
from providers.wire.core.google_keys import camel
from providers.wire.core.ir import JsonObject, Losses
from providers.wire.losses.known_fields import REQUEST_FIELDS, Level

_REASON: Final = "It has no counterpart in another vendor's format."


def list_unknown_fields(body: JsonObject, src: WireFormatName, losses: Losses) -> None:
    """Add a loss for each unknown field below the request's own ones."""
    found: dict[str, None] = {}
    walk = _Walk(found, any_case=src == GOOGLE_GENERATE)
    top = camel(_inside(body)) if walk.any_case else body
    for name, level in REQUEST_FIELDS.get(src, ()):
        value = top.get(name)
        if value is not None:
            walk.value(value, level, name)
    for path in found:
        losses.add(path, _REASON)


def _inside(body: JsonObject) -> JsonObject:
    """Return the request inside Code Assist's envelope, or the body itself."""
    inner = body.get("request")
    return inner if isinstance(inner, dict) and "contents" not in body else body


class _Walk:
    """One walk through a body. `any_case`: keys come in camelCase or snake_case."""

    def __init__(self, found: dict[str, None], *, any_case: bool) -> None:
        self.any_case = any_case
        self._found = found

    def value(self, value: Any, level: Level, path: str) -> None:
        """Look at an object, or at all objects of an array."""
        if isinstance(value, dict):
            self._object(value, level, path)
        elif isinstance(value, list):
            inside = path + "[]"
            for item in value:
                if isinstance(item, dict):
                    self._object(item, level, inside)

    def _object(self, item: JsonObject, level: Level, path: str) -> None:
        if self.any_case:
            item = camel(item)
        if level.by_type:
            # A type of none of these levels is a block or a tool that is kept or lost as a whole.
            picked = level.by_type.get(item.get("type") or "")
            if picked is None:
                return
            level = picked
        if not level.open and not item.keys() <= level.known:
            for key in item.keys() - level.known:
                if item[key] is not None:
                    self._found[f"{path}.{key}"] = None
        for key, below in level.below:
            value = item.get(key)
            # Most contents are plain text.
            if value is not None and type(value) is not str:
                self.value(value, below, f"{path}.{key}")
