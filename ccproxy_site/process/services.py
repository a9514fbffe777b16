"""Services of the recorder."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from flows.lineage.link_thread import LinkThread
from flows.live.bus import LiveBus
from flows.live.catch_up import Fetch, answer_pages
from flows.writer.thread import FlowWriter
from interceptor.config.snapshot.watch import ConfigWatcher
from interceptor.operate.flow_log import FlowLog
from providers.auth.logins import OAuthLogins
from providers.auth.proactive import ProactiveRenewal

WRITER_DRAIN_TIMEOUT_S = 5.0
MARGIN_S = 5.0
"""What a service may take beyond the time limit it keeps itself."""


class WriterService:
    """The thread that writes flows into the database."""

    name = "the record"
    stop_limit_s = WRITER_DRAIN_TIMEOUT_S + MARGIN_S

    def __init__(self, writer: FlowWriter) -> None:
        self._writer = writer

    async def start(self) -> None:
        """Start the thread."""
        self._writer.start()

    async def stop(self) -> None:
        """Write what is queued."""
        await asyncio.to_thread(self._writer.close, WRITER_DRAIN_TIMEOUT_S)


class LinksService:
    """The thread that links ended flows with earlier ones."""

    name = "the links of flows"
    stop_limit_s = MARGIN_S

    def __init__(self, links: LinkThread) -> None:
        self._links = links

    async def start(self) -> None:
        """Start the thread."""
        self._links.start()

    async def stop(self) -> None:
        """Stop it; the next recorder goes on."""
        await asyncio.to_thread(self._links.close, MARGIN_S / 2)


class FlowLogService:
    """The lines in the log about flows."""

    name = "the flow log"
    stop_limit_s = MARGIN_S

    def __init__(self, flow_log: FlowLog) -> None:
        self._flow_log = flow_log

    async def start(self) -> None:
        """Do nothing: the thread begins with the first flow."""

    async def stop(self) -> None:
        """Write what waits."""
        await self._flow_log.close()


class LiveViewService:
    """Live messages to pages, also to those that join in the middle of a flow."""

    name = "the live view"
    stop_limit_s = MARGIN_S

    def __init__(self, live: LiveBus, fetch: Fetch | None = None) -> None:
        self._live = live
        self._fetch = fetch
        self._answers: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Answer pages, also those that other processes serve."""
        self._answers = asyncio.create_task(
            answer_pages(self._live, self._fetch), name="pages of other processes"
        )

    async def stop(self) -> None:
        """Answer no more, and send what waits."""
        if self._answers is not None:
            self._answers.cancel()
        await self._live.close()


class LoginsService:
    """The renewals of logins that requests or the proactive renewal have begun."""

    name = "the logins"

    def __init__(self, logins: OAuthLogins) -> None:
        self._logins = logins
        self.stop_limit_s = logins.limits.timeout_s + 2 * MARGIN_S

    async def start(self) -> None:
        """Do nothing: renewals begin by themselves."""

    async def stop(self) -> None:
        """Let running renewals reach their files: one that is cut off loses the login."""
        await self._logins.drain(self._logins.limits.timeout_s + MARGIN_S)


class WatcherService:
    """The thread that follows the configuration and writes the heartbeat."""

    name = "the configuration watcher"
    stop_limit_s = MARGIN_S

    def __init__(self, watcher: ConfigWatcher) -> None:
        self._watcher = watcher

    async def start(self) -> None:
        """Start the thread."""
        self._watcher.start()

    async def stop(self) -> None:
        """End the thread, which removes the heartbeat row."""
        await asyncio.to_thread(self._watcher.stop)


class RenewalService:
    """The task that renews logins before they expire."""

    name = "the proactive renewal"
    stop_limit_s = MARGIN_S

    def __init__(self, renewal: ProactiveRenewal) -> None:
        self._renewal = renewal

    async def start(self) -> None:
        """Start the task."""
        self._renewal.start()

    async def stop(self) -> None:
        """End the task; a renewal that is under way goes on, see `LoginsService`."""
        with suppress(asyncio.CancelledError):
            await self._renewal.stop()
