"""What a page missed of a running answer: asked of this process, or of the processes whose proxies
may hold it.

Group `flow.owners` gets `{"type": "segments.wanted", "flow_id", "reply"}`; the one that holds the
answer sends `{"type": "segments.found", "segments"}` to the channel `reply`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from asgiref.sync import sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer

from flows.live.bus import LiveBus, Segment, current_bus

logger = logging.getLogger(__name__)

OWNERS: Final = "flow.owners"
ANSWER_TIMEOUT_S: Final = 1.0
RETRY_S: Final = 5.0


async def segments_of(layer: Any, flow_id: str) -> list[Segment] | None:
    """The plain bytes so far of a running answer, from its beginning; None when no process has them
    at hand.
    """
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
    """Layers give a channel up when the wait for its next message is cancelled."""
    waiting = asyncio.create_task(layer.receive(channel))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def answer_pages(bus: LiveBus) -> None:
    """Tell pages that other processes serve what this one's answers said so far.

    Runs until it is cancelled.
    """
    while True:
        try:
            await _answer(get_channel_layer(), bus)
        except Exception:
            logger.debug(
                "Live view: the channel layer failed, pages of other processes wait", exc_info=True
            )
            await asyncio.sleep(RETRY_S)


async def _answer(layer: Any, bus: LiveBus) -> None:
    channel = await layer.new_channel()
    await layer.group_add(OWNERS, channel)
    while True:
        wanted = await layer.receive(channel)
        segments = await asyncio.to_thread(bus.segments, wanted["flow_id"])
        if segments is not None:
            await layer.send(wanted["reply"], {"type": "segments.found", "segments": segments})
