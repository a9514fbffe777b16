"""A flow with everything that is stored of it, one at a time: what exports, diffs and "copy as" are
made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flows.bodies.store import load_bodies
from flows.bytes.decode import decode
from flows.models import Flow, WebSocketMessage
from flows.sides import FlowSide, header

_CHUNK_FLOWS: Final = 100
MAX_MESSAGES: Final = 5000


@dataclass(frozen=True, slots=True)
class WholeFlow:
    """A flow, its sides by name, the stored bytes by digest, and a websocket's first messages."""

    flow: Flow
    sides: dict[str, FlowSide]
    bodies: dict[str, bytes]
    messages: Sequence[WebSocketMessage] = ()

    def side(self, *names: str) -> FlowSide | None:
        """The first of these sides that is there."""
        return next((self.sides[name] for name in names if name in self.sides), None)

    def stored(self, side: FlowSide) -> bytes | None:
        """The bytes as they are stored; None when they were not kept."""
        if not side.body_digest:
            return None if side.body_size_bytes else b""
        return self.bodies.get(side.body_digest)

    def plain(self, side: FlowSide | None) -> bytes:
        """The body without its content encoding; empty when there is none, as stored when it cannot
        be decoded.
        """
        stored = self.stored(side) if side else None
        if side is None or not stored:
            return b""
        encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
        if not encoding:
            return stored
        decoded = decode(stored, encoding)
        return decoded.data if decoded.complete else stored


def whole_flow(flow_id: str) -> WholeFlow | None:
    """One flow, or None when there is none."""
    return next(whole_flows([flow_id]), None)


def whole_flows(ids: Sequence[str]) -> Iterator[WholeFlow]:
    """Flows in the order of `ids`, the bodies of only one in memory; those that are gone meanwhile
    are left out.
    """
    for start in range(0, len(ids), _CHUNK_FLOWS):
        chunk = [flow_id for flow_id in ids[start : start + _CHUNK_FLOWS] if "\0" not in flow_id]
        found = Flow.objects.select_related("parts").defer("parts__steps").in_bulk(chunk)
        yield from (_with_bodies(found[flow_id]) for flow_id in chunk if flow_id in found)


def _with_bodies(flow: Flow) -> WholeFlow:
    sides = flow.sides
    messages: list[WebSocketMessage] = []
    if flow.is_websocket:
        messages = list(WebSocketMessage.objects.filter(flow=flow).order_by("seq")[:MAX_MESSAGES])
    digests = [side.body_digest for side in sides.values()] + [
        message.body_digest for message in messages
    ]
    return WholeFlow(flow, sides, load_bodies(digests), messages)
