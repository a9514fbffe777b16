"""Flows with everything that is stored of them, for exports, diffs and "copy as"."""

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
class CompleteFlow:
    """A flow, its sides by name, the stored bytes by digest, and a websocket's first messages."""

    flow: Flow
    sides: dict[str, FlowSide]
    bodies: dict[str, bytes]
    messages: Sequence[WebSocketMessage] = ()

    def side(self, *names: str) -> FlowSide | None:
        """Return the first of these sides that the flow has."""
        for name in names:
            if name in self.sides:
                return self.sides[name]
        return None

    def stored(self, side: FlowSide) -> bytes | None:
        """Return the bytes as they are stored; None when they were not kept."""
        if side.body_digest:
            return self.bodies.get(side.body_digest)
        return None if side.body_size_bytes else b""

    def plain(self, side: FlowSide | None) -> bytes:
        """Return the body without its content encoding.

        Empty when there is none; the stored bytes when they cannot be decoded.
        """
        if side is None:
            return b""
        stored = self.stored(side)
        if not stored:
            return b""
        encoding = "" if side.body_decoded else header(side.headers, "content-encoding")
        if not encoding:
            return stored
        decoded = decode(stored, encoding)
        return decoded.data if decoded.complete else stored


def load_flow(flow_id: str) -> CompleteFlow | None:
    """Return one flow, or None when there is none."""
    return next(load_flows([flow_id]), None)


def load_flows(ids: Sequence[str], *, steps: bool = False) -> Iterator[CompleteFlow]:
    """Yield flows in the order of `ids`; those deleted meanwhile are left out.

    The bodies of only one flow are in memory at a time. With `steps` the hooks' traces come along.
    """
    # PostgreSQL refuses a text with NUL, and no flow has such an id.
    askable = [flow_id for flow_id in ids if "\0" not in flow_id]
    for start in range(0, len(askable), _CHUNK_FLOWS):
        chunk = askable[start : start + _CHUNK_FLOWS]
        wanted = Flow.objects.select_related("parts")
        if not steps:
            wanted = wanted.defer("parts__steps")
        found = wanted.in_bulk(chunk)
        for flow_id in chunk:
            if flow_id in found:
                yield _with_bodies(found[flow_id])


def _with_bodies(flow: Flow) -> CompleteFlow:
    sides = flow.sides
    messages: list[WebSocketMessage] = []
    if flow.is_websocket:
        in_order = WebSocketMessage.objects.filter(flow=flow).order_by("seq")
        messages = list(in_order[:MAX_MESSAGES])
    digests = [side.body_digest for side in sides.values()]
    digests += [message.body_digest for message in messages]
    return CompleteFlow(flow, sides, load_bodies(digests), messages)
