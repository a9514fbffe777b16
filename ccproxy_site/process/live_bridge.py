"""Bridge of the live view between the console and the recorder, without Redis.

The console says `{"groups": [...]}` whenever the audience changes, and `{"message"}` to a group
that the recorder joined. The recorder says `{"group", "message"}` and `{"channel", "message"}`
for the console's pages, `{"join": group}` for what it wants to hear, and `{"recording":
sentence}` when flows are not stored. The end of the stream tells either side that the other is
gone. Lossy like the live view itself: what does not fit is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from ccproxy_site.process.bridge import Bridge

MAX_HEARD = 100


class PagesLayer(InMemoryChannelLayer):
    """Channel layer of a console without Redis, which tells when pages join or leave."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.changed = asyncio.Event()
        """Set whenever a page joins or leaves a group; cleared by who waits for it."""

    async def group_add(self, group: str, channel: str) -> None:
        """Let a page hear what is said to `group`."""
        await super().group_add(group, channel)
        self.changed.set()

    async def group_discard(self, group: str, channel: str) -> None:
        """Let a page hear no more of `group`."""
        await super().group_discard(group, channel)
        self.changed.set()


class ConsoleLayer(BaseChannelLayer):
    """Channel layer of the recorder, which has no pages: every message goes to the console.

    Without a console there are no listeners.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bridge: Bridge | None = None
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_HEARD)
        self._joined: set[str] = set()
        self.groups: frozenset[str] = frozenset()
        """What the console's pages have joined."""
        self.changed = asyncio.Event()
        """Set whenever they join or leave; cleared by who waits for it."""

    @property
    def is_heard(self) -> bool:
        """A page has joined a group."""
        return bool(self.groups)

    def use(self, bridge: Bridge) -> None:
        """Talk with this console from now on."""
        self._bridge = bridge
        self.groups = frozenset()
        for group in self._joined:
            bridge.say(join=group)

    def leave(self, bridge: Bridge) -> None:
        """Forget a console that is gone, unless another took its place."""
        if self._bridge is bridge:
            self._bridge = None
            self.heard_groups([])

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Pass a message on to the console's pages."""
        self._say(group=group, message=message)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Pass a message on to one channel of the console."""
        self._say(channel=channel, message=message)

    async def listened_to(self, groups: Collection[str]) -> set[str]:
        """Return those of `groups` that a page has joined."""
        return set(self.groups.intersection(groups))

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return the name of the one channel of this side."""
        return f"{prefix}!recorder"

    async def group_add(self, group: str, channel: str) -> None:
        """Have the console pass on what its pages say to `group`."""
        self._joined.add(group)
        self._say(join=group)

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the next message to a group that was joined."""
        return await self._heard.get()

    def heard_groups(self, groups: Collection[str]) -> None:
        """Remember what the console's pages have joined.

        Without what this side has joined itself: the console joins that too, to pass it on, and
        every running flow would count as looked at.
        """
        self.groups = frozenset(groups) - self._joined
        self.changed.set()

    def heard(self, message: dict[str, Any]) -> None:
        """Keep a message of the console, unless too many wait."""
        if not self._heard.full():
            self._heard.put_nowait(message)

    def _say(self, **words: Any) -> None:
        if self._bridge is not None:
            self._bridge.say(**words)


async def follow_console(bridge: Bridge, layer: ConsoleLayer) -> None:
    """Read at the recorder's end, until the console is gone: the audience, and pages' messages."""
    layer.use(bridge)
    while (words := await bridge.hear()) is not None:
        if "groups" in words:
            layer.heard_groups(words["groups"])
        else:
            layer.heard(words["message"])
    layer.leave(bridge)


async def follow_recorder(
    bridge: Bridge, layer: Any, on_recording: Callable[[str], None] = lambda problem: None
) -> None:
    """Read at the console's end, until the recorder is gone, and pass its messages on.

    `on_recording` gets why flows are not stored now, "" when they are.
    """
    joined: set[asyncio.Task[None]] = set()
    try:
        while (words := await bridge.hear()) is not None:
            if "group" in words:
                await layer.group_send(words["group"], words["message"])
            elif "channel" in words:
                await layer.send(words["channel"], words["message"])
            elif "recording" in words:
                on_recording(words["recording"])
            else:
                joined.add(asyncio.create_task(_pass_on(layer, words["join"], bridge)))
    finally:
        for task in joined:
            task.cancel()


async def tell_audience(bridge: Bridge, layer: PagesLayer) -> None:
    """Tell the recorder which groups the pages have joined, whenever that changes."""
    told: frozenset[str] | None = None
    while True:
        groups = frozenset(layer.groups)
        if groups != told:
            told = groups
            bridge.say(groups=list(groups))
        await layer.changed.wait()
        layer.changed.clear()


async def _pass_on(layer: Any, group: str, bridge: Bridge) -> None:
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    try:
        while True:
            message = await layer.receive(channel)
            # The page that asks has joined: the recorder must know before it answers, or what comes
            # between the two would be lost.
            bridge.say(groups=list(layer.groups))
            bridge.say(message=message)
    finally:
        await layer.group_discard(group, channel)
