"""Neutral events of a streamed response.

Blocks come strictly one after the other: BlockStart, deltas, BlockStop, then the next BlockStart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from providers.base.names import WireFormatName
from providers.wire.core.ir import Block, Citation, Failure, Finish, JsonObject, Usage


@dataclass(slots=True)
class Start:
    """The response begins."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: Usage | None = None


@dataclass(slots=True)
class BlockStart:
    """A block begins. Its text or arguments follow as deltas, all other fields are complete."""

    block: Block


@dataclass(slots=True)
class Delta:
    """Next part of the open block: text, reasoning text, or JSON text of a call's arguments."""

    text: str
    logprobs: list[JsonObject] | None = None


@dataclass(slots=True)
class SignatureDelta:
    """Signature of the open block."""

    signature: str
    vendor: WireFormatName


@dataclass(slots=True)
class CitationDelta:
    """Citation of the open text block."""

    citation: Citation


@dataclass(slots=True)
class BlockStop:
    """The open block is complete."""


@dataclass(slots=True)
class UsageUpdate:
    """Usage so far. Later updates replace the fields they know."""

    usage: Usage


@dataclass(slots=True)
class Ping:
    """The provider is alive."""


@dataclass(slots=True)
class End:
    """The response is complete, and ended for this reason.

    `notes` are further top-level fields for the client, whatever its format is.
    """

    finish: Finish
    notes: JsonObject = field(default_factory=dict)


Event = (
    Start
    | BlockStart
    | Delta
    | SignatureDelta
    | CitationDelta
    | BlockStop
    | UsageUpdate
    | Ping
    | End
    | Failure
)


def encode_each(
    events: Sequence[Event], handlers: Mapping[type[Any], Callable[[Any], bytes]]
) -> bytes:
    """Encode events by the handlers of their types; those without one send nothing."""
    out = b""
    for event in events:
        handler = handlers.get(type(event))
        if handler is not None:
            out += handler(event)
    return out
