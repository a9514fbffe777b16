"""The pages that look at running flows, and what the recorder does for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from channels.layers import get_channel_layer
from django.conf import settings as django_settings

from ccproxy_site.mains.joined_proxies import JoinedProxies
from ccproxy_site.process.live_bridge import ConsoleLayer
from flows.live.audience import listened_to, may_be_heard
from flows.live.bus import LiveBus, flow_group
from flows.record import FlowRecord

ASK_REDIS_EVERY_S: Final = 0.2
_BRING_TRIES: Final = 30
_BRING_PAUSE_S: Final = 0.01


class Audience:
    """Tells the proxies which of their running flows pages look at.

    Args:
        proxies: those that the recorder serves.
        layer: knows what the console's pages have joined; without Redis.
        live: the live view.
        hurry: writes the states of running flows at once, and returns them.
    """

    def __init__(
        self,
        proxies: JoinedProxies,
        layer: ConsoleLayer,
        live: LiveBus,
        hurry: Callable[[], Iterable[FlowRecord]],
    ) -> None:
        self._proxies, self._layer, self._live, self._hurry = proxies, layer, live, hurry
        self._told: frozenset[str] = frozenset()

    async def follow(self) -> None:
        """Tell the proxies whenever that changes; never returns."""
        while True:
            if may_be_heard(get_channel_layer()):
                # A page that has just come shows what ran already, with a link to what is stored.
                for record in self._hurry():
                    self._live.progress(record)
            watched = await self._watched()
            if watched != self._told:
                self._told = watched
                self._proxies.watch(watched)
            await self._change()

    def flow_began(self) -> None:
        """Take notice that a flow runs: its page may be open already."""
        if self._layer.groups:
            self._layer.changed.set()

    async def bring(self, flow_id: str) -> None:
        """Have the proxy that runs a flow send its response, and wait for that for a moment."""
        self._proxies.watch(self._told | {flow_id})
        for _ in range(_BRING_TRIES):
            if self._live.holds(flow_id):
                return
            await asyncio.sleep(_BRING_PAUSE_S)

    async def _change(self) -> None:
        """Wait until another flow may be watched. Redis has to be asked again and again."""
        if django_settings.REDIS_URL:
            await asyncio.sleep(ASK_REDIS_EVERY_S)
        else:
            await self._layer.changed.wait()
            self._layer.changed.clear()

    async def _watched(self) -> frozenset[str]:
        """Return the ids of the running flows that a page looks at."""
        running = self._proxies.running_ids()
        is_heard = bool(django_settings.REDIS_URL or self._layer.groups)
        if not running or not is_heard:
            return frozenset()
        groups = {flow_group(flow_id): flow_id for flow_id in running}
        listened = await listened_to(get_channel_layer(), groups)
        return frozenset(groups[group] for group in listened)
