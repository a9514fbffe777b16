"""Arguments that Google streams as JSON paths and values, collected into one object.

Source: Vertex AI, "Stream function call arguments": `partialArgs[]{jsonPath, stringValue |
numberValue | boolValue | nullValue, willContinue}`. Strings continue where they stopped.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from providers.base.errors import BadUpstreamStream
from providers.wire.core.google_keys import camel
from providers.wire.core.ir import JsonObject, ToolCall
from providers.wire.core.shape import a_string, maybe_string, objects

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

    @property
    def name(self) -> str:
        """Name of the function."""
        return str(self._first.get("name") or "")

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
        # "$.files[0]['a b']" → ["files", 0, "a b"]
        steps: list[int | str] = []
        for name, number, single, double in _STEP.findall(path.removeprefix("$")):
            steps.append(int(number) if number else name or single or double)
        if not steps:
            raise BadUpstreamStream(f"The provider's argument path {path[:80]!r} cannot be read.")
        container: Any = self._arguments
        for step, following in pairwise(steps):
            old = _item(container, step, path)
            if not isinstance(old, dict | list):
                # An index comes next, so a list belongs here; else an object.
                old = container[step] = [] if isinstance(following, int) else {}
            container = old
        last = steps[-1]
        old = _item(container, last, path)
        # A string continues where the part before it stopped.
        if isinstance(old, str) and isinstance(value, str):
            value = old + value
        container[last] = value


def _item(container: Any, step: int | str, path: str) -> Any:
    """Return an item of a list, made longer where needed, or of an object; None if there is none.

    Raises `BadUpstreamStream` for an index into an object, a key of a list or an absurd index.
    """
    is_index = isinstance(step, int)
    if is_index is not isinstance(container, list) or (is_index and int(step) > _MAX_ITEMS):
        raise BadUpstreamStream(
            f"The provider's argument path {path[:80]!r} does not fit the arguments before it."
        )
    if isinstance(step, int):
        container.extend([None] * (step + 1 - len(container)))
        return container[step]
    return container.get(step)


def _value(piece: JsonObject) -> Any:
    for key in ("stringValue", "numberValue", "boolValue"):
        if key in piece:
            value = piece[key]
            return int(value) if isinstance(value, float) and value.is_integer() else value
    return None if "nullValue" in piece else ""
