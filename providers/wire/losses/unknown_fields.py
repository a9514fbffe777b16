"""Fields of a request that no decoder reads, at any depth. Each is a loss with its path.

The position in an array is left out, so that a field of every message is one loss:
`messages[].content[].clear_at`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE, WireFormatName
from providers.wire.core.google_keys import camel
from providers.wire.core.ir import JsonObject, Losses
from providers.wire.losses.known_fields import REQUEST_FIELDS, Level

_ARRAYS: Final = ("messages", "system", "tools", "functions", "input", "contents")
REASON: Final = "It has no counterpart in another vendor's format."


def list_unknown_fields(body: JsonObject, src: WireFormatName, losses: Losses) -> None:
    """Add a loss for each unknown field below the request's own ones."""
    found: dict[str, None] = {}
    any_case = src == GOOGLE_GENERATE
    top = camel(_inside(body)) if any_case else body
    for name, node in _nodes(src):
        value = top.get(name)
        if value is not None:
            walk(value if type(value) is list else [value], node, found, any_case)
    for path in found:
        losses.add(path, REASON)


_Below = tuple[tuple[str, "Node", "Node"], ...]
_MAX_SHAPES: Final = 64
"""Orders of keys that a node remembers. Clients write each kind of object in few of them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A level at its place in the request. The path of all its objects is the same."""

    known: frozenset[str]
    open: bool
    below: _Below
    """A field with the node for one object, and the node for each object of an array."""
    by_type: dict[str, Node]
    path: str
    plain_shapes: dict[tuple[str, ...], _Below] = field(default_factory=dict, compare=False)
    """The keys of objects in which all is known, with the entries of `below` that they have."""


@cache
def _nodes(src: WireFormatName) -> tuple[tuple[str, Node], ...]:
    """Return the request's own fields with what is below them, paths composed once."""
    levels = REQUEST_FIELDS.get(src, ())
    return tuple((name, node_of(level, name + _suffix(name))) for name, level in levels)


def _suffix(name: str) -> str:
    return "[]" if name in _ARRAYS else ""


def node_of(level: Level, path: str) -> Node:
    """Return a level as the node at a path; "" is the top."""
    below: list[tuple[str, Node, Node]] = []
    for key, inner in level.below:
        inside = joined(path, key)
        below.append((key, node_of(inner, inside), node_of(inner, f"{inside}[]")))
    by_type = {kind: node_of(inner, path) for kind, inner in level.by_type.items()}
    return Node(level.known, level.open, tuple(below), by_type, path)


def joined(path: str, key: str) -> str:
    """Return the path of a field: ("a", "b") → "a.b", ("", "b") → "b"."""
    return f"{path}.{key}" if path else key


def _inside(body: JsonObject) -> JsonObject:
    """Return the request inside Code Assist's envelope, or the body itself."""
    inner = body.get("request")
    return inner if isinstance(inner, dict) and "contents" not in body else body


def walk(items: list[Any], node: Node, found: dict[str, None], any_case: bool) -> None:
    """Look at the objects of one place, at all depths.

    Their paths are equal, so nothing is composed here.
    """
    by_type = node.by_type
    for item in items:
        if type(item) is not dict:
            continue
        level = node
        if by_type:
            # A type of none of these levels is a block or a tool that is kept or lost as a whole.
            named = item.get("type", "")
            level = by_type.get(named if type(named) is str else "")  # type: ignore[assignment]
            if level is None:
                continue
        shape = tuple(item)
        below = level.plain_shapes.get(shape)
        if below is None:
            if any_case:
                item = camel(item)
            below = _looked_at(item, level, found)
            # A shape in snake_case is other keys than those that are read below.
            if shape == tuple(item) and item.keys() <= level.known:
                _remember(level, shape, below)
        for key, one, each in below:
            value = item.get(key)
            # Most contents are plain text.
            kind = type(value)
            if kind is list:
                walk(value, each, found, any_case)
            elif kind is dict:
                walk([value], one, found, any_case)


def _looked_at(item: JsonObject, level: Node, found: dict[str, None]) -> _Below:
    """Add the unknown fields of one object; return what is to be looked at below it."""
    if not level.open:
        for key in item.keys() - level.known:
            if item[key] is not None:
                found[joined(level.path, key)] = None
    return tuple(entry for entry in level.below if entry[0] in item)


def _remember(level: Node, shape: tuple[str, ...], below: _Below) -> None:
    if len(level.plain_shapes) < _MAX_SHAPES:
        level.plain_shapes[shape] = below
