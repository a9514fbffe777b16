"""Reading of a ring: how far ahead, and how soon again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest

from ccproxy_site.mains import ring_reader
from ccproxy_site.mains.ring_reader import ProxyRing
from flows.handover.record_codec import FINISHED, encode_record
from flows.handover.ring import Ring, RingWriter
from flows.record import FanOut, FlowRecord
from tests.flows.records import flow, side
from tests.patience import PATIENCE_S

MB = 1024 * 1024


class SlowWriter:
    """What the reader asks of the writer, which stores nothing.

    `has_enough` is set once it holds `enough_bytes`.
    """

    def __init__(self, enough_bytes: int) -> None:
        self.held_bytes = 0
        self.has_enough = asyncio.Event()
        self._enough_bytes = enough_bytes
        self.records: list[FlowRecord] = []

    def has_room(self, size_bytes: int = 0) -> bool:
        return True

    def record(self, record: FlowRecord, **_: Any) -> None:
        self.records.append(record)
        self.held_bytes += sum(len(side.body or b"") for side in record.sides)
        if self.held_bytes >= self._enough_bytes:
            self.has_enough.set()


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(64 * MB)
    yield made
    made.close()


def put(ring: Ring, count: int, size_bytes: int) -> None:
    writer = RingWriter(ring, lambda: None)
    for number in range(count):
        record = flow(f"flow-{number}", sides=(side("client", bytes(size_bytes)),))
        assert writer.put(FINISHED, encode_record(record))


def nothing() -> None:
    """Hear what the reader reports."""


async def read(ring: Ring, writer: Any) -> None:
    """Read until the writer holds enough, and a few looks longer."""
    reader = ProxyRing(
        Ring.attach(ring.fd), "host:1", writer, FanOut(), on_read=nothing, on_drained=nothing
    )
    out, bell = os.pipe()
    reader.listen(out)
    await asyncio.wait_for(writer.has_enough.wait(), PATIENCE_S)
    await asyncio.sleep(4 * ring_reader.NO_ROOM_S)
    reader.close()
    os.close(bell)


def test_bodies_wait_in_the_ring_while_it_has_room(ring: Ring) -> None:
    put(ring, 14, MB)
    writer = SlowWriter(ring_reader.AHEAD_BYTES)
    asyncio.run(read(ring, writer))
    assert writer.held_bytes < 14 * MB


def test_a_ring_that_fills_up_is_read(ring: Ring) -> None:
    put(ring, 30, MB)
    writer = SlowWriter(30 * MB)
    # Nothing is committed, so the ring stays as full as it was.
    asyncio.run(read(ring, writer))
    assert len(writer.records) == 30
