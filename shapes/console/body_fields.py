"""Top-level fields of a shaped body, each with the side that supplies it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shapes.replay.merge_strategy import BadStrategy, Strategy, parse_strategy


@dataclass(frozen=True, slots=True)
class BodyField:
    """A field and its origin: `kind` is request, shape or both."""

    name: str
    kind: str
    words: str


def body_fields(
    body: Mapping[str, Any],
    key_order: Sequence[str],
    content_fields: Collection[str],
    merge_strategies: Mapping[str, str],
) -> list[BodyField]:
    """Return the fields in the order in which they leave.

    Example: with `system` as `prepend_shape:2`, `system` is of both: "the shape's first 2, then the
    request's".
    """
    order = dict.fromkeys((*key_order, *body, *content_fields))
    found = []
    for name in order:
        if name not in content_fields:
            if name in body:
                found.append(BodyField(name, "shape", "the shape"))
            continue
        strategy = _strategy(merge_strategies.get(name, "replace"))
        found.append(_field(name, strategy))
    return found


def _strategy(text: object) -> Strategy:
    try:
        return parse_strategy(text)
    except BadStrategy:
        # The profile is refused before a request could take it.
        return Strategy("drop")


def _field(name: str, strategy: Strategy) -> BodyField:
    if strategy.kind == "replace":
        return BodyField(name, "request", "the request")
    if strategy.kind == "drop":
        return BodyField(name, "request", "left out")
    amount = "all" if strategy.limit is None else f"first {strategy.limit}"
    if strategy.kind == "prepend_shape":
        return BodyField(name, "both", f"the shape’s {amount}, then the request’s")
    return BodyField(name, "both", f"the request’s, then the shape’s {amount}")
