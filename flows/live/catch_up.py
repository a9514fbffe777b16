"""Catching up on a running response, from this process or from the one whose proxy holds it.

Group `flow.owners` gets `{"type": "segments.wanted", "flow_id", "reply"}`; the one that holds the
response sends `{"type": "segments.found", "segments"}` to the channel `reply`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer

from flows.live.bus import LiveBus, Segment, current_bus

logger = logging.getLogger(__name__)

OWNERS: Final = "flow.owners"
ANSWER_TIMEOUT_S: Final = 1.0
RETRY_S: Final = 5.0

Fetch = Callable[[str], Awaitable[None]]
"""Asks for the bytes of a running response, by the flow's id, and returns when they are there or
will not come."""


async def segments_of(layer: Any, flow_id: str) -> list[Segment] | None:
    """Return the plain bytes of a running response so far; None when no process holds them."""
    bus = current_bus()
    if bus is not None:
        found = await sync_to_async(bus.segments, thread_sensitive=False)(flow_id)
        if found is not None or isinstance(layer, InMemoryChannelLayer):
            return found
    reply = await layer.new_channel()
    await layer.group_send(OWNERS, {"type": "segments.wanted", "flow_id": flow_id, "reply": reply})
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            message = await layer.receive(reply)
    except TimeoutError:
        return None
    await _forget(layer, reply)
    return [(after, data) for after, data in message["segments"]]


async def _forget(layer: Any, channel: str) -> None:
    """Drop a reply channel.

    Layers do so when the wait for its next message is cancelled.
    """
    waiting = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def answer_pages(bus: LiveBus, fetch: Fetch | None = None) -> None:
    """Serve this process's running responses to pages of other processes, until cancelled.

    `fetch` is awaited for a response that the bus does not hold yet.
    """
    while True:
        try:
            await _answer(get_channel_layer(), bus, fetch)
        except Exception:
            logger.debug(
                "Live view: the channel layer failed, pages of other processes wait", exc_info=True
            )
            # The layer may be Redis, and that may be restarting.
            await asyncio.sleep(RETRY_S)


async def _answer(layer: Any, bus: LiveBus, fetch: Fetch | None) -> None:
    channel = await layer.new_channel()
    await layer.group_add(OWNERS, channel)
    while True:
        wanted = await layer.receive(channel)
        if fetch is not None and not bus.holds(wanted["flow_id"]):
            await fetch(wanted["flow_id"])
        segments = await asyncio.to_thread(bus.segments, wanted["flow_id"])
        if segments is not None:
            await layer.send(wanted["reply"], {"type": "segments.found", "segments": segments})
