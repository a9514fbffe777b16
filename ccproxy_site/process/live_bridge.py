"""Bridge of the live view between one parent and its workers, without Redis.

The parent says `{"endpoints"}` first, `{"groups": [...]}` whenever the audience changes, and
`{"message"}` to a group that the worker joined. The worker says `{"ready": true}` or
`{"failed": sentence}` once, then `{"group", "message"}` and `{"channel", "message"}` for the
parent's pages, and `{"join": group}` for what it wants to hear. The end of the stream tells either
side that the other is gone. Lossy like the live view itself: what does not fit is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from channels.layers import BaseChannelLayer

from ccproxy_site.process.bridge import Bridge

MAX_HEARD = 100


class BridgeLayer(BaseChannelLayer):
    """Channel layer of a worker without pages of its own: every message goes to the parent."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_HEARD)
        self.groups: frozenset[str] = frozenset()
        """What the parent's pages have joined."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Pass a message on to the parent's pages."""
        self._bridge.say(group=group, message=message)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Pass a message on to one channel of the parent."""
        self._bridge.say(channel=channel, message=message)

    async def listened_to(self, groups: Collection[str]) -> set[str]:
        """Return those of `groups` that a page has joined."""
        return set(self.groups.intersection(groups))

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return the name of the one channel of this side."""
        return f"{prefix}!worker"

    async def group_add(self, group: str, channel: str) -> None:
        """Have the parent pass on what its own pages say to `group`."""
        self._bridge.say(join=group)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the next message to a group that was joined."""
        return await self._heard.get()

    def heard(self, message: dict[str, Any]) -> None:
        """Keep a message of the parent, unless too many wait."""
        if not self._heard.full():
            self._heard.put_nowait(message)


async def follow_parent(bridge: Bridge, layer: BridgeLayer, on_gone: Callable[[], None]) -> None:
    """Read at the worker's end, until the parent is gone: the audience, and messages of pages."""
    while (words := await bridge.hear()) is not None:
        if "groups" in words:
            layer.groups = frozenset(words["groups"])
        else:
            layer.heard(words["message"])
    on_gone()


async def follow_worker(
    bridge: Bridge, layer: Any, on_ready: Callable[[dict[str, Any]], None]
) -> None:
    """Read at the parent's end, until the worker is gone, and pass its messages on."""
    joined: set[asyncio.Task[None]] = set()
    try:
        while (words := await bridge.hear()) is not None:
            if "group" in words:
                await layer.group_send(words["group"], words["message"])
            elif "channel" in words:
                await layer.send(words["channel"], words["message"])
            elif "join" in words:
                joined.add(asyncio.create_task(_pass_on(layer, words["join"], bridge)))
            else:
                on_ready(words)
    finally:
        for task in joined:
            task.cancel()


async def _pass_on(layer: Any, group: str, bridge: Bridge) -> None:
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    try:
        while True:
            message = await layer.receive(channel)
            # The page that asks has joined: the worker must know before it answers, or what comes
            # between the two would be lost.
            bridge.say(groups=list(layer.groups))
            bridge.say(message=message)
    finally:
        await layer.group_discard(group, channel)
