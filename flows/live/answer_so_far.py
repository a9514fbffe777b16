"""Readable part of a running response from a given byte on.

A page shows it before the websocket takes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flows.live.bus import Segment, current_bus
from flows.models import Flow
from flows.queries.selectors import load_bodies, sides_of
from flows.reading.answer_text import AnswerReader, joined
from flows.reading.event_pieces import Piece
from flows.sides import answer_side, header


@dataclass(frozen=True, slots=True)
class AnswerSoFar:
    """Text that the bytes from the requested offset up to `next` add to a response.

    Offsets count bytes on the wire.
    """

    state: str
    next: int
    pieces: list[Piece]


def answer_since(flow: Flow, offset: int) -> AnswerSoFar:
    """Return the response's text behind `offset`.

    Read from this process's memory while the flow runs in it, otherwise from the database.
    """
    bus = current_bus()
    segments = bus.segments(flow.pk) if bus is not None else None
    if segments is not None:
        return read_segments(flow.state, segments, offset)
    side = answer_side(sides_of(flow.pk))
    if side is None:
        return AnswerSoFar(flow.state, offset, [])
    bodies = load_bodies([side.body_digest])
    body = bodies.get(side.body_digest, b"")
    # Two segments: what the page has, and what it lacks.
    middle = min(offset, len(body))
    stored = [(middle, body[:middle]), (len(body), body[middle:])]
    return read_segments(flow.state, stored, offset, header(side.headers, "content-encoding"))


def read_segments(
    state: str, segments: Iterable[Segment], offset: int, content_encoding: str = "identity"
) -> AnswerSoFar:
    """Return the text of the segments that end behind `offset`.

    Reads from the beginning, because events and compression need it.
    """
    reader = AnswerReader(content_encoding)
    pieces: list[Piece] = []
    position = 0
    for position, data in segments:
        found = reader.feed(data)
        if position > offset:
            pieces += found
    return AnswerSoFar(state, max(position, offset), joined(pieces))
