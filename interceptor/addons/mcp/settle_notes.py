"""Settles the events that a flow took: forgotten after a success, given back otherwise."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import state_of
from interceptor.notes.note_book import NoteBook


class SettleNotesAddon:
    """Stands behind the record, which knows by then if the flow failed."""

    def __init__(self, notes: NoteBook) -> None:
        self._notes = notes

    def response(self, flow: HTTPFlow) -> None:
        """Decide by the final response; a streamed one has ended."""
        code = flow.response.status_code if flow.response is not None else 0
        self._settle(flow, delivered=200 <= code < 300)

    def error(self, flow: HTTPFlow) -> None:
        """Give back what a broken flow took."""
        self._settle(flow, delivered=False)

    def _settle(self, flow: HTTPFlow, *, delivered: bool) -> None:
        state = state_of(flow)
        if state is not None:
            self._notes.settle(flow.id, delivered=delivered and not state.failed)
