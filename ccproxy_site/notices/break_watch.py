"""Cache breaks of flows that ended lately."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from ccproxy_site.notices.flow_notice import FlowNotices
from ccproxy_site.notices.notice import Notice
from flows.lineage.turn_rows import turns_of
from flows.models import Flow, FlowLink

MAX_WAITING: Final = 500
MAX_AT_ONCE: Final = 100
PATIENCE_S: Final = 600.0
"""Age at which a flow without a link is given up: it is no call of a model, or the link is late."""


class BreakWatch:
    """Waits for the links of ended flows, which the recorder or a page makes.

    Args:
        flows: makes the notices.
        clock: monotonic time in seconds.
    """

    def __init__(self, flows: FlowNotices, clock: Callable[[], float] = time.monotonic) -> None:
        self._flows, self._clock = flows, clock
        self._waiting: dict[str, float] = {}
        self._sockets: dict[str, float] = {}

    def note(self, flow: Flow) -> None:
        """Wait for the link of a flow, or for the messages of a websocket that has closed."""
        if flow.is_websocket:
            if len(self._sockets) < MAX_WAITING:
                self._sockets[flow.pk] = self._clock()
        elif flow.client_format and len(self._waiting) < MAX_WAITING:
            self._waiting[flow.pk] = self._clock()

    def look(self) -> Iterable[Notice]:
        """Return the breaks of websockets that closed, and among the links that were made since."""
        return [*self._in_sockets(), *self._in_links()]

    def _in_sockets(self) -> Iterable[Notice]:
        wanted = list(self._sockets)[:MAX_AT_ONCE]
        if not wanted:
            return
        for flow in Flow.objects.filter(pk__in=wanted).exclude(state=Flow.State.LIVE):
            self._sockets.pop(flow.pk)
            for row in turns_of(flow):
                if row.broken_link is not None:
                    yield self._flows.cache_break(row.flow, row.broken_link)
        oldest = self._clock() - PATIENCE_S
        for flow_id in wanted:
            if self._sockets.get(flow_id, oldest + 1) < oldest:
                self._sockets.pop(flow_id)

    def _in_links(self) -> Iterable[Notice]:
        wanted = list(self._waiting)[:MAX_AT_ONCE]
        if not wanted:
            return []
        links = FlowLink.objects.filter(pk__in=wanted).select_related("flow")
        found: list[Notice] = []
        for link in links:
            self._waiting.pop(link.flow_id, None)
            if link.is_break:
                found.append(self._flows.cache_break(link.flow, link))
        self._give_up(wanted)
        return found

    def _give_up(self, wanted: Iterable[str]) -> None:
        oldest = self._clock() - PATIENCE_S
        for flow_id in wanted:
            if self._waiting.get(flow_id, oldest) < oldest:
                self._waiting.pop(flow_id, None)
        # Those that were not asked for come first next time.
        for flow_id in wanted:
            if flow_id in self._waiting:
                self._waiting[flow_id] = self._waiting.pop(flow_id)
