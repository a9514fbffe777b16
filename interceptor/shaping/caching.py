"""Inner hooks for cache breakpoints: Anthropic accepts four of them in one request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook

MAX_BREAKPOINTS: Final = 4
_KEY: Final = "cache_control"


class StripParams(BaseModel):
    """Parameters of `caching.strip`: paths such as system.*.cache_control."""

    model_config = ConfigDict(extra="forbid")

    paths: list[str] = Field(max_length=50)


class InsertParams(BaseModel):
    """Parameters of `caching.insert`: one path such as system.-1.cache_control, and its value."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1)
    value: Any = {"type": "ephemeral"}


@hook(stage=Stage.OUTBOUND, reads={"body"}, writes={"body"}, params=StripParams)
def strip(ex: Exchange, params: StripParams) -> None:
    """Remove the values at some paths; what is missing is fine."""
    body = ex.body.peek()
    if not isinstance(body, dict):
        return
    for path in params.paths:
        _update(body, path, _without)


@hook(stage=Stage.OUTBOUND, reads={"body"}, writes={"body"}, params=InsertParams)
def insert(ex: Exchange, params: InsertParams) -> None:
    """Set the value at a path; a path without a parent is left alone, as is a fifth breakpoint."""
    body = ex.body.peek()
    if not isinstance(body, dict):
        return
    is_breakpoint = params.path.endswith(f".{_KEY}")
    if is_breakpoint and count_breakpoints(body) >= MAX_BREAKPOINTS:
        return

    def with_value(parent: dict[str, Any], key: str) -> dict[str, Any]:
        return {**parent, key: params.value}

    _update(body, params.path, with_value)


_Change = Callable[[dict[str, Any], str], dict[str, Any]]


def _without(parent: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in parent:
        return parent
    return {name: value for name, value in parent.items() if name != key}


def _update(body: dict[str, Any], path: str, change: _Change) -> None:
    """Change the objects that have the last key of a path.

    Objects and lists on the way are replaced by changed copies: they may be the client's own.
    `system.*.cache_control` → the key `cache_control` of every object in the list `system`.
    """
    first, *rest = path.split(".")
    if not rest:
        changed = change(body, first)
        body.clear()
        body.update(changed)
    elif first in body:
        body[first] = _changed(body[first], rest, change)


def _changed(value: Any, path: list[str], change: _Change) -> Any:
    key, *rest = path
    if isinstance(value, dict):
        if not rest:
            return change(value, key)
        names = list(value) if key == "*" else [key]
        found = {name: _changed(value[name], rest, change) for name in names if name in value}
        is_same = all(found[name] is value[name] for name in found)
        return value if is_same else {**value, **found}
    # The last part of a path names a key of an object, never an index.
    if not isinstance(value, list) or not rest:
        return value
    items = list(value)
    for index in _indexes(key, len(items)):
        items[index] = _changed(items[index], rest, change)
    is_same = all(new is old for new, old in zip(items, value, strict=True))
    return value if is_same else items


def _indexes(key: str, length: int) -> list[int]:
    """Return the indexes that a part of a path names: "*" → all, "-1" → the last."""
    if key == "*":
        return list(range(length))
    try:
        index = int(key)
    except ValueError:
        return []
    return [index % length] if -length <= index < length else []


def count_breakpoints(body: dict[str, Any]) -> int:
    """Return the number of cache breakpoints of an Anthropic request."""
    count = _marked([body])
    for name in ("tools", "system"):
        count += _marked(body.get(name))
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            count += _marked(message.get("content"))
    return count


def _marked(blocks: Any) -> int:
    """Return the number of blocks in a list that are breakpoints; a text has none."""
    count = 0
    if isinstance(blocks, list):
        for block in blocks:
            if isinstance(block, dict) and _KEY in block:
                count += 1
    return count
