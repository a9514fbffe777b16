"""Sink on the proxy's event loop that puts records into the ring. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from flows.handover.record_codec import (
    BODIES_DROPPED,
    DELTA,
    FINISHED,
    PROGRESS,
    STARTED,
    encode_delta,
    encode_parts,
)
from flows.handover.ring import RingWriter
from flows.record import FlowDelta, FlowRecord, without_bodies

logger = logging.getLogger(__name__)


class _Kept(NamedTuple):
    """Shares of the ring that a frame leaves free for frames that matter more."""

    with_bodies: float
    bare: float


# The last record of a flow may fill the ring. Others are followed by a better one, and the text of
# a running response is in them too.
_KEPT_FREE: Final = {
    STARTED: _Kept(1 / 2, 1 / 8),
    PROGRESS: _Kept(1 / 2, 1 / 8),
    FINISHED: _Kept(1 / 16, 0.0),
}
_KEPT_FREE_BY_DELTAS: Final = 1 / 4


class RingSink:
    """Sink that puts records and, of watched flows, deltas into the ring.

    Its methods never wait and never raise. In a ring that fills up bodies are left out first, then
    records. Only the loss of a flow's last record counts as a dropped record.

    Args:
        writer: of the ring.
        body_so_far: returns the bytes that the client of a running flow got, b"" for others.
        on_put: called after each record, also one that found no room.
    """

    def __init__(
        self,
        writer: RingWriter,
        body_so_far: Callable[[str], bytes],
        on_put: Callable[[], None] = lambda: None,
    ) -> None:
        self._writer = writer
        self._body_so_far = body_so_far
        self._on_put = on_put
        # Bytes sent of each watched flow's response.
        self._sent: dict[str, int] = {}
        self.bodies_dropped = 0
        self.records_dropped = 0

    def started(self, record: FlowRecord) -> None:
        """Put the record of a routed flow."""
        self._put(STARTED, record)

    def progress(self, record: FlowRecord) -> None:
        """Put the record of a running stream."""
        self._put(PROGRESS, record)

    def finished(self, record: FlowRecord) -> None:
        """Put the last record of a flow."""
        self._put(FINISHED, record)

    def delta(self, delta: FlowDelta) -> None:
        """Put a chunk of a response that a page watches."""
        sent = self._sent.get(delta.flow_id)
        if sent is None:
            return
        try:
            self._put_delta(delta, sent)
        except Exception:
            logger.debug("Live view: a chunk was lost", exc_info=True)

    def watch(self, flow_ids: frozenset[str]) -> None:
        """Replace the watched flows; a new one's response is put from its beginning."""
        newly = flow_ids - self._sent.keys()
        self._sent = {flow_id: self._sent.get(flow_id, 0) for flow_id in flow_ids}
        for flow_id in newly:
            self.delta(FlowDelta(flow_id, 0, b"", 0.0))

    def _put(self, kind: int, record: FlowRecord) -> None:
        try:
            is_put = self._put_record(kind, record)
        except Exception:
            logger.exception("Flow %s cannot be recorded", record.id)
            is_put = False
        if not is_put and kind == FINISHED:
            self.records_dropped += 1
        self._on_put()

    def _put_record(self, kind: int, record: FlowRecord) -> bool:
        kept = _KEPT_FREE[kind]
        parts = encode_parts(record)
        if self._put_payload(kind, parts, kept.with_bodies):
            return True
        bare = encode_parts(without_bodies(record))
        is_put = self._put_payload(kind | BODIES_DROPPED, bare, kept.bare)
        self.bodies_dropped += is_put
        return is_put

    def _put_delta(self, delta: FlowDelta, sent: int) -> None:
        """Put what the consumer lacks of a response up to the end of a chunk.

        Chunks that found no room are made up for with the next one. `sent` 10, a chunk of bytes
        14 to 20: the bytes 10 to 20 are put.
        """
        missing = self._missing(delta, sent)
        if missing is None:
            return
        if self._put_payload(DELTA, [encode_delta(missing)], _KEPT_FREE_BY_DELTAS):
            self._sent[delta.flow_id] = missing.offset + len(missing.data)

    def _missing(self, delta: FlowDelta, sent: int) -> FlowDelta | None:
        """Return the bytes behind the first `sent` ones up to the end of `delta`, or further."""
        if delta.offset == sent and delta.data:
            return delta
        if delta.offset + len(delta.data) < sent:
            return None
        data = self._body_so_far(delta.flow_id)[sent:]
        if data:
            return FlowDelta(delta.flow_id, sent, data, delta.at_ms)
        # The proxy keeps no more of a very long response: what is missing stays a gap.
        return delta if delta.offset > sent else None

    def _put_payload(self, kind: int, parts: list[bytes], kept_free: float) -> bool:
        """Put a payload if this share of the ring stays free."""
        left = self._writer.free_bytes - sum(map(len, parts))
        if left < self._writer.capacity * kept_free:
            return False
        return self._writer.put(kind, *parts)
