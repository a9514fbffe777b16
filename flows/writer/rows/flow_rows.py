"""Everything that is written for one record of a flow."""

from __future__ import annotations

from dataclasses import dataclass

from flows.bodies.packed_body import PackedBody
from flows.models import Flow, WebSocketMessage
from flows.record import AttemptRecord
from flows.sides import FlowSide, HookTrace, PartTexts, read_attempts, read_sides, read_traces

_ROW_BYTES = 1024


@dataclass(frozen=True, slots=True)
class FlowRows:
    """Everything to write for one record."""

    flow: Flow
    parts: PartTexts
    refs: frozenset[str]
    """Digests that sides and hooks refer to; a later record may refer to others instead."""
    messages: list[WebSocketMessage]
    bodies: dict[str, PackedBody]
    message_count: int
    """Messages of the flow so far, including those left out here because they are written."""

    @property
    def sides(self) -> list[FlowSide]:
        """The sides, read back."""
        return list(read_sides(self.parts.headers, self.parts.sides).values())

    @property
    def traces(self) -> list[HookTrace]:
        """The hooks' traces, read back."""
        return read_traces(self.parts.headers, self.parts.steps)

    @property
    def attempts(self) -> list[AttemptRecord]:
        """The attempts, read back."""
        return read_attempts(self.parts.steps)

    @property
    def held_bytes(self) -> int:
        """Estimated memory of the rows."""
        row_count = 2 + len(self.messages)
        held_bytes = row_count * _ROW_BYTES
        for text in (self.parts.headers, self.parts.sides, self.parts.steps):
            held_bytes += len(text)
        for body in self.bodies.values():
            held_bytes += len(body.blob)
        return held_bytes
