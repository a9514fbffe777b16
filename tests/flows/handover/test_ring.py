"""The ring gives every frame once, in order and complete, whatever is killed and wherever it wraps."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flows.handover.ring import Frame, Ring, RingReader, RingWriter
from flows.handover.secret_area import SECRETS_BYTES

CAPACITY = 4096


def quiet() -> None:
    """A bell that rings unheard."""


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(CAPACITY)
    yield made
    made.close()


def frame_bytes(payload: bytes) -> int:
    """Bytes that a frame takes: a header of eight, and all of it a multiple of eight."""
    return -(-(8 + len(payload)) // 8) * 8


def read_all(reader: RingReader) -> list[tuple[int, bytes]]:
    """Read what waits, in copies."""
    found: list[tuple[int, bytes]] = []
    while frames := reader.frames(1 << 30):
        found.extend((frame.kind, bytes(frame.payload)) for frame in frames)
    return found


def test_it_works(ring: Ring) -> None:
    writer = RingWriter(ring, quiet)
    assert writer.put(1, b"one")
    assert writer.put(2, b"")
    assert writer.put(255, b"x" * 1000)
    assert read_all(RingReader(ring)) == [(1, b"one"), (2, b""), (255, b"x" * 1000)]


def test_another_process_shares_the_memory(ring: Ring) -> None:
    other = Ring.attach(ring.fd)
    assert RingWriter(ring, quiet).put(7, b"shared")
    assert read_all(RingReader(other)) == [(7, b"shared")]
    other.close()


def test_programs_do_not_inherit_it(ring: Ring) -> None:
    assert not os.get_inheritable(ring.fd)


def test_a_full_ring_takes_nothing_more_and_keeps_what_it_has(ring: Ring) -> None:
    writer = RingWriter(ring, quiet)
    reader = RingReader(ring)
    assert writer.put(1, bytes(writer.free_bytes))
    assert writer.free_bytes == 0
    assert not writer.put(2, b"")
    (frame,) = reader.frames(1)
    assert frame.payload == bytes(CAPACITY - 8)
    assert not writer.put(2, b""), "reading alone gives no room"
    reader.release(frame.end)
    assert writer.put(2, b"again")
    assert read_all(reader) == [(2, b"again")]


def test_the_writer_knows_how_much_it_put_and_how_much_of_that_is_stored(ring: Ring) -> None:
    writer, reader = RingWriter(ring, quiet), RingReader(ring)
    assert writer.positions == (0, 0)
    assert writer.put(1, b"a flow") and writer.put(1, b"another")
    first, second = reader.frames(1 << 20)
    assert writer.positions == (second.end, 0)
    reader.release(first.end)
    assert writer.positions == (second.end, first.end)


@pytest.mark.parametrize("size_bytes", [1, 100, 4096, 10**6, 3 * 10**7, 10**9])
def test_rings_of_any_size_hold_nearly_that_much(size_bytes: int) -> None:
    ring = Ring.create(size_bytes)
    writer = RingWriter(ring, quiet)
    assert size_bytes <= ring.capacity <= size_bytes * 1.1 + 128
    assert writer.free_bytes == ring.capacity - 8
    payload = b"x" * min(writer.free_bytes, 10**6)
    assert writer.put(1, payload)
    assert read_all(RingReader(ring)) == [(1, payload)]
    ring.close()


def test_memory_with_a_name_that_was_removed_serves_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    ring = Ring.create(CAPACITY)
    other = Ring.attach(ring.fd)
    assert not os.get_inheritable(ring.fd)
    assert RingWriter(ring, quiet).put(7, b"shared")
    assert read_all(RingReader(other)) == [(7, b"shared")]
    other.close()
    ring.close()


@given(before=st.integers(0, 2 * CAPACITY // 8), data=st.data())
@settings(deadline=None)
def test_it_wraps_at_every_offset(before: int, data: st.DataObject) -> None:
    ring = Ring.create(CAPACITY)
    writer = RingWriter(ring, quiet)
    reader = RingReader(ring)
    # Frames of 8 bytes move the positions to the offset.
    for _ in range(before):
        assert writer.put(1, b"")
        (frame,) = reader.frames(1)
        reader.release(frame.end)
    # In the middle of a segment, the rest of this one is all that is missing.
    assert writer.free_bytes >= CAPACITY - ring.segment_bytes
    length = data.draw(st.integers(0, writer.free_bytes))
    payload = bytes(index % 251 for index in range(length))
    cut = data.draw(st.integers(0, length))
    assert writer.put(9, payload[:cut], payload[cut:])
    assert read_all(reader) == [(9, payload)]
    ring.close()


def test_a_limit_of_bytes_still_gives_a_frame(ring: Ring) -> None:
    writer = RingWriter(ring, quiet)
    for kind in (1, 2, 3):
        writer.put(kind, bytes(92))
    reader = RingReader(ring)
    assert [frame.kind for frame in reader.frames(1)] == [1]
    assert [frame.kind for frame in reader.frames(2 * 104 - 1)] == [2]
    assert [frame.kind for frame in reader.frames(104)] == [3]
    assert reader.frames(1) == []
    assert reader.next_bytes == 0


def test_the_bell_rings_once_for_a_reader_that_sleeps(ring: Ring) -> None:
    rings: list[int] = []
    writer = RingWriter(ring, lambda: rings.append(1))
    reader = RingReader(ring)
    writer.put(1, b"it is awake")
    assert rings == []
    assert not reader.arm(), "a frame waits"
    reader.frames(1 << 30)
    assert reader.arm()
    writer.put(1, b"wakes it up")
    writer.put(1, b"it is awake")
    assert rings == [1]


def test_a_bell_without_a_listener_loses_no_frame(ring: Ring) -> None:
    def broken() -> None:
        raise BrokenPipeError

    reader = RingReader(ring)
    assert reader.arm()
    assert RingWriter(ring, broken).put(1, b"kept")
    assert read_all(reader) == [(1, b"kept")]


def test_other_memory_is_refused() -> None:
    fd = os.memfd_create("other")
    with pytest.raises(ValueError, match="no ring"):
        Ring.attach(fd)
    os.ftruncate(fd, 2 * SECRETS_BYTES)
    os.pwrite(fd, b"x" * 8, 0)
    with pytest.raises(ValueError, match="another layout"):
        Ring.attach(fd)
    os.close(fd)


def test_frames_that_are_held_survive_the_close() -> None:
    ring = Ring.create(CAPACITY)
    RingWriter(ring, quiet).put(1, b"held")
    (frame,) = RingReader(ring).frames(1)
    ring.close()
    assert bytes(frame.payload) == b"held"


def held_bytes(ring: Ring) -> int:
    """Memory behind a ring."""
    return os.fstat(ring.fd).st_blocks * 512


def test_a_reader_that_keeps_up_leaves_most_memory_untouched() -> None:
    ring = Ring.create()
    writer = RingWriter(ring, quiet)
    reader = RingReader(ring)
    for number in range(200):
        payload = number.to_bytes() * 1_500_000
        assert writer.put(1, payload)
        (frame,) = reader.frames(1)
        assert frame.payload == payload
        reader.release(frame.end)
    assert held_bytes(ring) < 6_000_000
    ring.close()


def test_memory_that_is_not_needed_any_more_goes_back() -> None:
    ring = Ring.create()
    writer = RingWriter(ring, quiet)
    reader = RingReader(ring)
    for number in range(50):
        assert writer.put(number, number.to_bytes() * 1_000_000)
    assert held_bytes(ring) > 49_000_000
    frames = reader.frames(1 << 30)
    reader.release(frames[24].end)
    for _ in range(40):
        writer.give_back()
    assert 25_000_000 < held_bytes(ring) < 32_000_000, "what is not released stays"
    for number, frame in enumerate(frames[25:], 25):
        assert frame.payload == number.to_bytes() * 1_000_000
    reader.release(frames[-1].end)
    for _ in range(40):
        writer.give_back()
        assert writer.put(1, b"small")
    assert held_bytes(ring) < 6_000_000
    ring.close()


def test_memory_in_use_is_not_given_back() -> None:
    ring = Ring.create()
    payload = b"x" * 50_000_000
    assert RingWriter(ring, quiet).put(1, payload)
    # One that follows a killed producer does not know what that one took.
    successor = RingWriter(ring, quiet)
    successor.give_back(100)
    successor.give_back(100)
    assert read_all(RingReader(ring)) == [(1, payload)]
    ring.close()


def test_a_damaged_ring_is_said_and_can_be_passed_over(ring: Ring) -> None:
    writer = RingWriter(ring, quiet)
    reader = RingReader(ring)
    writer.put(1, b"damaged")
    for index in range(ring.capacity):
        ring.data[index] = 255
    with pytest.raises(ValueError, match="damaged"):
        reader.frames(1)
    assert reader.skip() == 16
    reader.release(reader.position)
    writer.put(1, b"fine")
    assert read_all(reader) == [(1, b"fine")]


class RingMachine(RuleBasedStateMachine):
    """Puts, reads, releases and restarts of both processes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Ring.create(CAPACITY)
        self.peers = [self.ring]
        self.writer = RingWriter(self.ring, quiet)
        self.reader = RingReader(self.ring)
        # Frames put and not released, of which the first `read` were read.
        self.put_frames: deque[tuple[int, bytes]] = deque()
        self.read = 0
        self.read_ends: deque[int] = deque()
        # Positions behind everything put and everything released.
        self.written = 0
        self.committed = 0

    @rule(kind=st.integers(1, 255), length=st.integers(0, CAPACITY + 100), fill=st.integers(0, 255))
    def put(self, kind: int, length: int, fill: int) -> None:
        payload = bytes([fill]) * length
        fits = self._free() >= 8 + length
        assert self.writer.put(kind, payload) == fits
        if fits:
            self._note(kind, payload)

    @rule(kind=st.integers(1, 255), payload=st.binary(max_size=40))
    def put_small(self, kind: int, payload: bytes) -> None:
        if self.writer.put(kind, payload):
            self._note(kind, payload)

    @rule(limit=st.integers(0, 2 * CAPACITY))
    def read_some(self, limit: int) -> None:
        sizes = [frame_bytes(payload) for _, payload in list(self.put_frames)[self.read :]]
        assert self.reader.next_bytes == (sizes[0] if sizes else 0)
        frames = self.reader.frames(limit)
        # As many as fit, but the first in any case.
        fits = sum(1 for total in accumulate(sizes) if total <= limit)
        assert len(frames) == (max(1, fits) if sizes else 0)
        for frame in frames:
            self._check(frame)

    @precondition(lambda self: self.read_ends)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.read_ends)))
        for _ in range(count):
            end = self.read_ends.popleft()
            self.put_frames.popleft()
            self.read -= 1
        self.reader.release(end)
        self.committed = end

    @rule()
    def give_back(self) -> None:
        self.writer.give_back(100)

    @rule()
    def restart_reader(self) -> None:
        self.reader = RingReader(self._attach())
        self.read = 0
        self.read_ends.clear()

    @rule()
    def restart_writer(self) -> None:
        self.writer = RingWriter(self._attach(), quiet)

    @rule()
    def sleep(self) -> None:
        assert self.reader.arm() == (self.read == len(self.put_frames))

    @invariant()
    def free_bytes_are_right(self) -> None:
        assert self.writer.free_bytes == max(0, self._free() - 8)

    def teardown(self) -> None:
        for peer in self.peers:
            peer.close()

    def _free(self) -> int:
        """Bytes up to the end of the segments; the one with the committed position is in use."""
        segment = self.ring.segment_bytes
        return self.committed // segment * segment + CAPACITY - self.written

    def _note(self, kind: int, payload: bytes) -> None:
        self.put_frames.append((kind, payload))
        self.written += frame_bytes(payload)

    def _check(self, frame: Frame) -> None:
        assert (frame.kind, bytes(frame.payload)) == self.put_frames[self.read]
        self.read += 1
        self.read_ends.append(frame.end)

    def _attach(self) -> Ring:
        self.peers.append(Ring.attach(self.ring.fd))
        return self.peers[-1]


RingMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRingMachine = RingMachine.TestCase


SECRETS = st.lists(st.text(st.characters(exclude_categories=[])), max_size=20)


@given(first=SECRETS, second=SECRETS)
@settings(deadline=None)
def test_secrets_arrive_once_also_from_a_restarted_producer(
    first: list[str], second: list[str]
) -> None:
    ring = Ring.create(CAPACITY)
    for secret in first:
        ring.secrets.add(secret)
    version = ring.secrets.version
    other = Ring.attach(ring.fd)
    for secret in second:
        other.secrets.add(secret)
    assert ring.secrets.all() == list(dict.fromkeys(first + second))
    assert (ring.secrets.version > version) == bool(set(second) - set(first))
    ring.close()
    other.close()


def test_more_secrets_than_fit_are_said_and_cost_none(ring: Ring) -> None:
    ring.secrets.add("kept")
    ring.secrets.add("x" * SECRETS_BYTES)
    assert ring.secrets.all() == ["kept"]
    assert ring.secrets.are_lost
    ring.secrets.add("also kept")
    assert ring.secrets.all() == ["kept", "also kept"]
