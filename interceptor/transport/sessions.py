"""Sets of libcurl connections, counted while requests run on them, closed after the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from curl_cffi import AsyncCurl

from interceptor.transport.transfer import Route

MAX_SESSIONS = 16
"""More exist only while more are in use at once."""
IDLE_S = 60.0
"""A session without requests is closed after this time."""


@dataclass(slots=True)
class _Session:
    multi: AsyncCurl
    users: int = 0
    idle_since: float = field(default_factory=monotonic)


class Sessions:
    """The sessions of a process by route; the least recently used comes first."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._by_route: dict[Route, _Session] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def open_count(self) -> int:
        """The number of open sessions."""
        return len(self._by_route)

    @asynccontextmanager
    async def lease(self, route: Route) -> AsyncIterator[AsyncCurl]:
        """Lend the session of a route; it stays open meanwhile."""
        session = self._by_route.pop(route, None) or _Session(AsyncCurl())
        self._by_route[route] = session
        session.users += 1
        self._close_surplus()
        try:
            yield session.multi
        finally:
            session.users -= 1
            session.idle_since = self._clock()
            self._close_surplus()
            self._sweep_later()

    def _close_surplus(self) -> None:
        idle = [route for route, session in self._by_route.items() if not session.users]
        for route in idle[: max(0, len(self._by_route) - MAX_SESSIONS)]:
            self._close(route)

    def sweep(self) -> None:
        """Close sessions that have been idle for long."""
        self._sweeper = None
        latest = self._clock() - IDLE_S
        for route, session in list(self._by_route.items()):
            if not session.users and session.idle_since <= latest:
                self._close(route)
        self._sweep_later()

    def _sweep_later(self) -> None:
        if self._sweeper is None and self._by_route:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(IDLE_S, self.sweep)

    def _close(self, route: Route) -> None:
        session = self._by_route.pop(route)
        closing: Coroutine[Any, Any, None] = session.multi.close()  # type: ignore[no-untyped-call]
        task = asyncio.get_running_loop().create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all of them; requests that still run have ended before."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for route in list(self._by_route):
            self._close(route)
        await asyncio.gather(*self._closing, return_exceptions=True)
