"""Ids of the flows that run now, from the records that pass."""

from __future__ import annotations

from collections.abc import Callable

from flows.record import FlowDelta, FlowRecord


class RunningFlows:
    """Sink that remembers which flows have begun and not ended.

    Args:
        on_began: called after a flow was remembered.
    """

    def __init__(self, on_began: Callable[[], None]) -> None:
        self.ids: set[str] = set()
        self._on_began = on_began

    def started(self, record: FlowRecord) -> None:
        """Remember a flow that is about to leave."""
        self._add(record.id)

    def delta(self, delta: FlowDelta) -> None:
        """Do nothing: the flow is known."""

    def progress(self, record: FlowRecord) -> None:
        """Remember a running flow."""
        self._add(record.id)

    def finished(self, record: FlowRecord) -> None:
        """Forget a flow that ended."""
        self.ids.discard(record.id)

    def _add(self, flow_id: str) -> None:
        if flow_id not in self.ids:
            self.ids.add(flow_id)
            self._on_began()
