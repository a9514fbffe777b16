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
from flows.handover.ring import Frame, Ring, RingReader, RingWriter
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

    def hurry(self) -> list[FlowRecord]:
        return []

    def record(self, record: FlowRecord, **_: Any) -> None:
        self.records.append(record)
        self.held_bytes += sum(len(side.body or b"") for side in record.sides)
        if self.held_bytes >= self._enough_bytes:
            self.has_enough.set()


class FullWriter(SlowWriter):
    """A writer with this much room. It has enough once the reader has asked for some."""

    def __init__(self, room_bytes: int) -> None:
        super().__init__(1)
        self._room_bytes = room_bytes

    def has_room(self, size_bytes: int = 0) -> bool:
        self.has_enough.set()
        return size_bytes <= self._room_bytes


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


def reader_of(ring: Ring, writer: Any) -> ProxyRing:
    memory = Ring.attach(ring.fd)
    return ProxyRing(memory, "host:1", writer, FanOut(), on_read=nothing, on_drained=nothing)


def small(number: int) -> bytes:
    return encode_record(flow(f"flow-{number}", sides=(side("client", b"x"),)))


async def read(ring: Ring, writer: Any) -> None:
    """Read until the writer holds enough, and a few looks longer."""
    reader = reader_of(ring, writer)
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


def test_a_body_waits_in_the_ring_until_the_writer_has_room_for_all_of_it(ring: Ring) -> None:
    put(ring, 1, 20 * MB)
    writer = FullWriter(19 * MB)
    asyncio.run(read(ring, writer))
    assert writer.records == []
    writer = FullWriter(21 * MB)
    asyncio.run(read(ring, writer))
    assert len(writer.records) == 1


def test_a_body_does_not_wait_in_a_ring_that_fills_up(ring: Ring) -> None:
    """Others may take all the room, and a full ring would lose whole records."""
    put(ring, 1, 20 * MB)
    put(ring, 30, MB)
    writer = FullWriter(19 * MB)
    asyncio.run(read(ring, writer))
    assert len(writer.records) > 1


@pytest.mark.parametrize(("records", "looks"), [(1, 1), (3, 3)])
async def test_a_record_alone_is_one_look(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, records: int, looks: int
) -> None:
    """Three records with long pauses between them are three looks, and none finds nothing."""
    found: list[int] = []
    frames = RingReader.frames

    def look(reader: RingReader, limit_bytes: int) -> list[Frame]:
        read = frames(reader, limit_bytes)
        found.append(len(read))
        return read

    # Every pause of this test is long to the reader.
    monkeypatch.setattr(ring_reader, "READ_EVERY_S", 0.0)
    monkeypatch.setattr(RingReader, "frames", look)
    writer: Any = SlowWriter(1)
    out, bell = os.pipe()
    reader = reader_of(ring, writer)
    reader.listen(out)

    def ring_bell() -> None:
        os.write(bell, b"!")

    producer = RingWriter(ring, ring_bell)
    await asyncio.sleep(0.05)
    found.clear()
    for number in range(records):
        writer.has_enough.clear()
        assert producer.put(FINISHED, small(number))
        await asyncio.wait_for(writer.has_enough.wait(), PATIENCE_S)
    await asyncio.sleep(0.05)
    reader.close()
    os.close(bell)
    assert found == [1] * looks


async def test_a_bell_that_rings_soon_again_is_not_needed(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring_reader, "READ_EVERY_S", 0.01)
    writer: Any = SlowWriter(200)
    out, bell = os.pipe()
    rung: list[int] = []
    reader = reader_of(ring, writer)
    reader.listen(out)
    await asyncio.sleep(0.05)

    def ring_bell() -> None:
        rung.append(len(writer.records))
        os.write(bell, b"!")

    producer = RingWriter(ring, ring_bell)
    for number in range(200):
        assert producer.put(FINISHED, small(number))
        await asyncio.sleep(0)
    await asyncio.wait_for(writer.has_enough.wait(), PATIENCE_S)
    # It sleeps again at the end.
    await asyncio.sleep(0.1)
    assert ring.words[24]
    reader.close()
    os.close(bell)
    assert len(rung) < 100
