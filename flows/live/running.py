"""Ids of the flows that run now, from the records that pass."""

from __future__ import annotations

from flows.record import FlowDelta, FlowRecord


class RunningFlows:
    """Sink that remembers which flows have begun and not ended."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def started(self, record: FlowRecord) -> None:
        """Remember a flow that is about to leave."""
        self.ids.add(record.id)

    def delta(self, delta: FlowDelta) -> None:
        """Do nothing: the flow is known."""

    def progress(self, record: FlowRecord) -> None:
        """Remember a running flow."""
        self.ids.add(record.id)

    def finished(self, record: FlowRecord) -> None:
        """Forget a flow that ended."""
        self.ids.discard(record.id)
