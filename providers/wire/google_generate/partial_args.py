"""Arguments that Google streams as JSON paths and values, collected into one object.

Source: Vertex AI, "Stream function call arguments": `partialArgs[]{jsonPath, stringValue |
numberValue | boolValue | nullValue, willContinue}`. Strings continue where they stopped.
"""

from __future__ import annotations

import re
from typing import Any, Final

from providers.base.errors import BadUpstreamStream
from providers.wire.core.ir import JsonObject, ToolCall
from providers.wire.core.shape import a_string, maybe_string, objects
from providers.wire.google_generate.keys import camel

_STEP: Final = re.compile(
    r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]"
)
_MAX_ITEMS: Final = 100_000


class PartialArguments:
    """Collector of one call's arguments."""

    def __init__(self, first: JsonObject, signature: str | None) -> None:
        self._first = first
        self._signature = signature
        self._arguments: JsonObject = {}

    def add(self, raw: JsonObject) -> None:
        """Add the values of one part."""
        for piece in objects(raw.get("partialArgs") or [], "partialArgs"):
            piece = camel(piece)
            self._set(a_string(piece.get("jsonPath"), "partialArgs.jsonPath"), _value(piece))
        if isinstance(args := raw.get("args"), dict):
            self._arguments.update(args)

    def call(self, default_id: str) -> ToolCall:
        """Return the complete call."""
        name = a_string(self._first.get("name"), "functionCall.name")
        return ToolCall(
            maybe_string(self._first, "id") or default_id,
            name,
            self._arguments,
            signature=self._signature,
        )

    def _set(self, path: str, value: Any) -> None:
        steps = [
            int(n) if n else a or b or c for a, n, b, c in _STEP.findall(path.removeprefix("$"))
        ]
        if not steps:
            raise BadUpstreamStream(f"The provider's argument path {path[:80]!r} cannot be read.")
        place: Any = self._arguments
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if isinstance(step, int) is not isinstance(place, list) or (
                isinstance(step, int) and step > _MAX_ITEMS
            ):
                raise BadUpstreamStream(
                    f"The provider's argument path {path[:80]!r} does not fit what came before."
                )
            if isinstance(step, int):
                place.extend([None] * (step + 1 - len(place)))
            old = place[step] if isinstance(step, int) else place.get(step)
            if following is None:
                place[step] = (
                    old + value if isinstance(old, str) and isinstance(value, str) else value
                )
            else:
                place[step] = (
                    old
                    if isinstance(old, dict | list)
                    else []
                    if isinstance(following, int)
                    else {}
                )
            place = place[step]


def _value(piece: JsonObject) -> Any:
    for key in ("stringValue", "numberValue", "boolValue"):
        if key in piece:
            value = piece[key]
            return int(value) if isinstance(value, float) and value.is_integer() else value
    return None if "nullValue" in piece else ""
