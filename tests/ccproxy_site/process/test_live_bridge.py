"""The bridge of the live view: which audience of the console's pages the recorder hears of."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ccproxy_site.process.bridge import Bridge
from ccproxy_site.process.live_bridge import (
    ConsoleLayer,
    PagesLayer,
    follow_console,
    follow_recorder,
    tell_audience,
)
from flows.live.audience import may_be_heard
from flows.live.bus import LIST_GROUP
from flows.live.catch_up import OWNERS


@asynccontextmanager
async def _joined() -> AsyncIterator[tuple[ConsoleLayer, PagesLayer]]:
    """Yield the layers of a recorder and a console that talk to each other."""
    recorder, console = ConsoleLayer(), PagesLayer()
    ends = socket.socketpair()
    bridges = [await Bridge.open(end) for end in ends]
    tasks = [
        asyncio.create_task(follow_console(bridges[0], recorder)),
        asyncio.create_task(follow_recorder(bridges[1], console)),
        asyncio.create_task(tell_audience(bridges[1], console)),
    ]
    try:
        yield recorder, console
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for bridge in bridges:
            await bridge.close()


async def _listens_to(layer: PagesLayer, group: str) -> None:
    async with asyncio.timeout(10):
        while group not in layer.groups:
            await layer.changed.wait()
            await asyncio.sleep(0)


async def _hears_of(layer: ConsoleLayer, groups: set[str]) -> None:
    async with asyncio.timeout(10):
        while layer.groups != groups:
            layer.changed.clear()
            await layer.changed.wait()


async def test_what_the_recorder_joined_itself_is_no_audience() -> None:
    async with _joined() as (recorder, console):
        await recorder.group_add(OWNERS, await recorder.new_channel())
        await _listens_to(console, OWNERS)
        # The audience is told in order: whoever hears of the page has heard of the other group.
        await console.group_add(LIST_GROUP, "page")
        await _hears_of(recorder, {LIST_GROUP})
        assert may_be_heard(recorder)
        await console.group_discard(LIST_GROUP, "page")
        await _hears_of(recorder, set())
        assert not may_be_heard(recorder)


async def test_what_was_joined_before_a_console_came_is_no_audience() -> None:
    recorder = ConsoleLayer()
    await recorder.group_add(OWNERS, await recorder.new_channel())
    recorder.heard_groups([OWNERS])
    assert not may_be_heard(recorder)
    recorder.heard_groups([OWNERS, LIST_GROUP])
    assert may_be_heard(recorder)


async def test_a_page_still_asks_the_recorder() -> None:
    async with _joined() as (recorder, console):
        await recorder.group_add(OWNERS, await recorder.new_channel())
        await _listens_to(console, OWNERS)
        await console.group_add("flow.1", "page")
        await console.group_send(OWNERS, {"type": "segments.wanted", "flow_id": "1"})
        async with asyncio.timeout(10):
            wanted = await recorder.receive("specific!recorder")
        assert wanted["flow_id"] == "1"
        # Said before the question: the answer goes to a page that has joined.
        assert recorder.groups == {"flow.1"}
