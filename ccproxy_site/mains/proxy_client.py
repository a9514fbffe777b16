"""One proxy as the recorder knows it: its ring, its questions, what it says of itself."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError

from ccproxy_site.mains.ring_reader import ProxyRing
from ccproxy_site.process.bridge import Bridge
from flows.handover.ring import Ring
from flows.lineage.link_backlog import Backlog
from flows.live.running import RunningFlows
from flows.record import FanOut, Sink
from flows.services import mark_interrupted_of
from flows.writer.thread import FlowWriter
from interceptor.access.grant import GrantBook
from interceptor.kept_notes import DatabaseNotes
from interceptor.library.upload_workers import CeleryUploads
from interceptor.reasoning_rows import DatabaseReasoning
from interceptor.recorder.database_answers import database_answers
from interceptor.thread_rows import DatabaseThreads
from providers.credentials.lent_logins import LentLogins

logger = logging.getLogger("ccproxy")

ASK_AGAIN_S = 2.0
"""Pause before a database that is away is asked to close flows again."""


class ProxyClient:
    """The recorder's side of one life of a proxy.

    Args:
        ring: what it records into.
        instance: its name in rows and heartbeats.
        writer: stores its records.
        views: sinks that show them.
        grants: what it may send again.
        notes: events for sessions.
        on_began: called after the first record of each flow that still runs.
        on_read: called after records were read.
        on_facts: called when the proxy has said something else of itself.
        on_drained: called once the proxy is gone and everything it recorded is stored.
    """

    def __init__(
        self,
        ring: Ring,
        instance: str,
        writer: FlowWriter,
        views: Sink,
        grants: GrantBook,
        notes: DatabaseNotes,
        *,
        on_began: Callable[[], None],
        on_read: Callable[[], None],
        on_facts: Callable[[], None],
        on_drained: Callable[[], None],
    ) -> None:
        self.instance = instance
        self.is_open = False
        """The proxy is connected."""
        self.ended = asyncio.Event()
        """Set once its connection has ended, or if it never had one."""
        self._on_facts, self._on_drained = on_facts, on_drained
        self._writer = writer
        self._bridge: Bridge | None = None
        self._facts: dict[str, Any] = {}
        self._grants, self._notes = grants, notes
        self._told_backlog: Backlog | None = None
        self._closing: asyncio.Task[None] | None = None
        self.running = RunningFlows(on_began)
        self._ring = ProxyRing(
            ring,
            instance,
            writer,
            FanOut(views, self.running),
            on_read=on_read,
            on_drained=self._drained,
        )

    async def talk(
        self, end: int, bell: int, rows: Callable[[], bytes], problem: Callable[[], str]
    ) -> None:
        """Serve the proxy until its connection ends, then read what it left.

        For its first moment `rows` returns the configuration, and `problem` why flows are not
        stored.
        """
        self._bridge = bridge = await Bridge.open(socket.socket(fileno=end))
        self.is_open = True
        self._ring.listen(bell)
        bridge.say(config=rows())
        bridge.say(recording=problem())
        bridge.say(notes=sorted(self._notes.sessions))
        answers = database_answers(
            bridge.say,
            LentLogins(),
            self._grants,
            DatabaseThreads(),
            self._notes,
            DatabaseReasoning(),
            CeleryUploads(),
        )

        try:
            while (words := await bridge.hear()) is not None:
                if "ask" in words:
                    answers.hear(words)
                elif "facts" in words:
                    self._facts = words["facts"]
                    self._on_facts()
                elif "hurry" in words:
                    self._writer.hurry(at_once=True)
        finally:
            self.is_open = False
            await answers.close()
            await bridge.close()
        self.read_the_rest()

    def read_the_rest(self) -> None:
        """Read what is in the ring; the proxy will put no more into it."""
        self.ended.set()
        self._ring.listen(None)

    def configure(self, rows: bytes) -> None:
        """Hand it a new configuration."""
        self._say(config=rows)

    def watch(self, flow_ids: frozenset[str]) -> None:
        """Name the running flows that pages look at."""
        self._ring.is_watched = bool(flow_ids)
        self._say(watch=sorted(flow_ids))

    def tell_recording(self, problem: str) -> None:
        """Tell if flows are stored now; "" when they are."""
        self._say(recording=problem)

    def tell_waiting(self, backlog: Backlog | None) -> None:
        """Tell how many flows wait for their links and for the search index, if that is new."""
        if backlog is None or not self.is_open or backlog == self._told_backlog:
            return
        self._told_backlog = backlog
        self._say(waiting=backlog._asdict())

    def tell_notes(self, sessions: frozenset[str]) -> None:
        """Name the sessions for which events wait."""
        self._say(notes=sorted(sessions))

    @property
    def fill(self) -> float:
        """Used share of its ring."""
        return self._ring.fill

    def facts(self) -> dict[str, Any]:
        """Return what the proxy said of itself for its heartbeat."""
        return self._facts

    def close(self) -> None:
        """Let the ring go."""
        self._ring.close()

    def _say(self, **words: Any) -> None:
        if self._bridge is not None and self.is_open:
            self._bridge.say(**words)

    def _drained(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._end_running())

    async def _end_running(self) -> None:
        """Close the flows that were running when the proxy went, and report.

        A database that is away is not waited for: a stop would take as long as its timeout. It is
        asked again until the flows are closed.
        """
        was_closed = await self._close_flows()
        self._on_drained()
        while not was_closed:
            await asyncio.sleep(ASK_AGAIN_S)
            was_closed = await self._close_flows()

    async def _close_flows(self) -> bool:
        """Return whether the flows are closed; False while the database is away."""
        if self._writer.is_refused:
            return False
        try:
            await asyncio.to_thread(mark_interrupted_of, self.instance)
        except DatabaseError as exc:
            logger.warning("the running flows of %s could not be ended: %s", self.instance, exc)
            return False
        return True
