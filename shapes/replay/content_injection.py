"""Injection of a request's content into the body of a shape.

Example, with the content fields `model`, `system` (prepend_shape:1) and `messages`:

    shape     {"model": "a", "system": [S], "betas": [1], "messages": []}
    incoming  {"messages": [M], "system": "be brief", "top_k": 3}
    result    {"system": [S, {"type": "text", "text": "be brief"}], "betas": [1], "messages": [M]}

`model` is absent, because the request has none; `top_k` is no content field, so it is not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from shapes.replay.merge_strategy import Strategy

Origin = Literal["client", "shape", "both"]
JsonObject = dict[str, Any]

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Injected:
    """A shaped body, the origin of each of its fields, and the request's fields it lacks."""

    body: JsonObject
    origins: dict[str, Origin]
    dropped: tuple[str, ...]


def inject(
    shape: Mapping[str, Any],
    incoming: Mapping[str, Any],
    content: Mapping[str, Strategy],
    key_order: Iterable[str] = (),
) -> Injected:
    """Return the body that has the shape's own fields and the request's content.

    Fields stand in the order in which the reference client sent them, then in the request's.
    Nothing is changed in place: values of both bodies are used as they are.

    Args:
        shape: body of the shape.
        incoming: body of the request.
        content: strategy of each content field.
        key_order: fields in the reference client's order, also of those that the shape lacks.
    """
    body: JsonObject = {}
    origins: dict[str, Origin] = {}
    for name in dict.fromkeys([*key_order, *shape, *incoming]):
        strategy = content.get(name)
        if strategy is None:
            # Not content: what the reference client sends counts, whatever the request has.
            if name in shape:
                body[name], origins[name] = shape[name], "shape"
            continue
        # Most content fields are the client's alone.
        if strategy.kind == "replace":
            if name in incoming:
                body[name], origins[name] = incoming[name], "client"
            continue
        value, origin = _merged(shape.get(name, _ABSENT), incoming.get(name, _ABSENT), strategy)
        if value is not _ABSENT:
            body[name], origins[name] = value, origin
    dropped = tuple(name for name in incoming if name not in body)
    return Injected(body, origins, dropped)


def _merged(ours: Any, theirs: Any, strategy: Strategy) -> tuple[Any, Origin]:
    """Return the value of a field that both may have, or `_ABSENT`. `ours` is the shape's."""
    if strategy.kind == "drop":
        return _ABSENT, "client"
    kept = _elements(ours)
    if strategy.limit is not None:
        kept = kept[: strategy.limit]
    added = _elements(theirs)
    if not kept:
        # A text stays a text, and an absent field absent, where the shape adds nothing.
        return theirs, "client"
    if not added:
        return kept, "shape"
    if strategy.kind == "prepend_shape":
        # A request that begins so already was shaped before.
        return (added if added[: len(kept)] == kept else [*kept, *added]), "both"
    return (added if added[-len(kept) :] == kept else [*added, *kept]), "both"


def _elements(value: Any) -> list[Any]:
    """Return a value as a list: a text is one text block, null and a missing field are empty."""
    if value is _ABSENT or value is None:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return [value]
