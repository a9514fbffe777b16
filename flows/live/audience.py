"""Listeners of the live view's groups, in this process or, over Redis, in any other."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from channels.layers import InMemoryChannelLayer


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
