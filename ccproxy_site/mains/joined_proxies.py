"""All proxies that one recorder serves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from ccproxy_site.mains.proxy_client import ProxyClient
from flows.lineage.link_backlog import Backlog
from flows.telemetry.metrics.instruments import Point
from interceptor.instances.metric_points import proxy_points


class JoinedProxies:
    """The proxies whose rings are read; one that has ended stays until its ring is empty.

    What they said of themselves can be asked for from any thread.
    """

    def __init__(self) -> None:
        self._clients: dict[int, ProxyClient] = {}
        self._is_empty = asyncio.Event()

    def add(self, number: int, client: ProxyClient) -> None:
        """Add a proxy under the number that the supervisor gave this life of it."""
        self._clients[number] = client

    def remove(self, number: int) -> None:
        """Let a proxy go, with its ring."""
        if gone := self._clients.pop(number, None):
            gone.close()
        if not self._clients:
            self._is_empty.set()

    async def drain(self, *, end_timeout_s: float, store_timeout_s: float) -> None:
        """Wait until all have ended, then until what they recorded is stored.

        A database that is away must not keep the process for ever.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(end_timeout_s):
                await asyncio.gather(*[client.ended.wait() for client in self._all()])
        with suppress(TimeoutError):
            async with asyncio.timeout(store_timeout_s if self._clients else 0):
                await self._is_empty.wait()

    # --- words to all

    def configure(self, rows: bytes) -> None:
        """Hand them a new configuration."""
        for client in self._all():
            client.configure(rows)

    def watch(self, flow_ids: frozenset[str]) -> None:
        """Name the running flows that pages look at."""
        for client in self._all():
            client.watch(flow_ids)

    def tell_recording(self, problem: str) -> None:
        """Tell if flows are stored now; "" when they are."""
        for client in self._all():
            client.tell_recording(problem)

    def tell_waiting(self, backlog: Backlog | None) -> None:
        """Tell how many flows wait for their links and for the search index."""
        for client in self._all():
            client.tell_waiting(backlog)

    def tell_notes(self, sessions: frozenset[str]) -> None:
        """Name the sessions for which events wait."""
        for client in self._all():
            client.tell_notes(sessions)

    # --- what they say

    def running_ids(self) -> list[str]:
        """Return the ids of the flows that run."""
        return [flow_id for client in self._all() for flow_id in client.running.ids]

    def fills(self) -> list[float]:
        """Return the used share of each ring."""
        return [client.fill for client in self._all()]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return what the connected ones said for their heartbeats, by their names."""
        return {client.instance: client.facts() for client in self._all() if client.is_open}

    def cooldowns(self) -> list[dict[str, Any]]:
        """Return the providers that they leave alone for a while."""
        found: list[dict[str, Any]] = []
        for client in self._all():
            found += client.facts().get("cooldowns", [])
        return found

    def points(self) -> list[Point]:
        """Return their metrics."""
        found: list[Point] = []
        for client in self._all():
            found += proxy_points(client.instance, client.facts())
        return found

    def _all(self) -> list[ProxyClient]:
        # A copy: other threads ask while a proxy may come or go.
        return list(self._clients.values())
