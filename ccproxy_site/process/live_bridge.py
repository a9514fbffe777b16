"""Bridge of the live view between one parent and its workers, without Redis.

Lines of JSON; bytes in a message are base64 under "b64". The parent says `{"endpoints"}` first,
`{"groups": [...]}` whenever the audience changes, and `{"message"}` to a group that the worker
joined. The worker says `{"ready": true}` or `{"failed": sentence}` once, then `{"group",
"message"}` and `{"channel", "message"}` for the parent's pages, and `{"join": group}` for what it
wants to hear. The end of the stream tells either side that the other is gone. Lossy like the live
view itself: what does not fit is dropped.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import socket
from collections.abc import Callable, Collection
from typing import Any

from channels.layers import BaseChannelLayer

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 8 * 1024 * 1024
MAX_UNSENT_BYTES = 8 * 1024 * 1024
MAX_HEARD = 100


class Bridge:
    """One end of a socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, end: socket.socket) -> Bridge:
        """Talk over this end of a socket pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end, limit=MAX_LINE_BYTES))

    def say(self, **words: Any) -> None:
        """Send one line, or drop it when the other side does not keep up."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() >= MAX_UNSENT_BYTES:
            return
        line = json.dumps(words, default=_bytes_as_text)
        self._writer.write(line.encode() + b"\n")

    async def hear(self) -> dict[str, Any] | None:
        """Return the next line; None once the other side is gone."""
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as exc:
            # A line over the limit is a ValueError; the bridge cannot find the next line then.
            logger.debug("live bridge: %s", exc)
            return None
        return json.loads(line, object_hook=_text_as_bytes) if line.endswith(b"\n") else None

    async def close(self) -> None:
        """Send what is left, then close the socket, so that the other side reads its end."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


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


def _bytes_as_text(value: Any) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} cannot cross the bridge")


def _text_as_bytes(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["b64"]) if value.keys() == {"b64"} else value
