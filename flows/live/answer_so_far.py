"""The readable part of a running answer from a given byte on: what a page shows before the
websocket takes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flows.live.bus import Segment, current_bus
from flows.models import Flow
from flows.queries.selectors import load_bodies, sides_of
from flows.reading.answer_text import AnswerReader, Piece, joined
from flows.sides import answer_side, header


@dataclass(frozen=True, slots=True)
class Partial:
    """`pieces` are what the bytes from the asked offset up to `next` add; offsets count bytes on
    the wire.
    """

    state: str
    next: int
    pieces: list[Piece]


def answer_since(flow: Flow, offset: int) -> Partial:
    """From the memory of this process while the flow runs in it, otherwise from what is stored."""
    bus = current_bus()
    segments = bus.segments(flow.pk) if bus is not None else None
    if segments is not None:
        return read_segments(flow.state, segments, offset)
    side = answer_side(sides_of(flow.pk))
    if side is None:
        return Partial(flow.state, offset, [])
    body = load_bodies([side.body_digest]).get(side.body_digest, b"")
    halves = [(min(offset, len(body)), body[:offset]), (len(body), body[offset:])]
    return read_segments(flow.state, halves, offset, header(side.headers, "content-encoding"))


def read_segments(
    state: str, segments: Iterable[Segment], offset: int, content_encoding: str = "identity"
) -> Partial:
    """Read from the beginning, because events and compression need it, and keep what comes after
    `offset`.
    """
    reader = AnswerReader(content_encoding)
    pieces: list[Piece] = []
    position = 0
    for position, data in segments:
        found = reader.feed(data)
        if position > offset:
            pieces += found
    return Partial(state, max(position, offset), joined(pieces))
