"""Listeners of the live view's groups, in this process or, over Redis, in any other."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels.layers import InMemoryChannelLayer


def may_be_heard(layer: Any) -> bool:
    """Return False if no group has listeners; True also where only a request would tell."""
    if layer is None:
        return False
    if isinstance(layer, InMemoryChannelLayer):
        return bool(layer.groups)
    is_heard: bool = getattr(layer, "is_heard", True)
    return is_heard


async def listened_to(layer: Any, groups: Collection[str]) -> set[str]:
    """Return those of `groups` that have listeners.

    A layer that cannot say counts as having listeners everywhere.
    """
    if layer is None or not groups:
        return set()
    if isinstance(layer, InMemoryChannelLayer):
        return {group for group in groups if layer.groups.get(group)}
    ask = getattr(type(layer), "listened_to", None)
    if ask is None:
        return set(groups)
    return set(await ask(layer, groups))
