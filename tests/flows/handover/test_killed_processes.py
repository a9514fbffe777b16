"""Real processes at both ends of a ring are killed at any moment: no frame is lost, torn or doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from flows.handover.ring import Ring, RingReader, RingWriter
from tests.flows.handover import killed_peer
from tests.flows.handover.killed_peer import frame, number_of
from tests.flows.records import eventually

ROUNDS = 12
RING_BYTES = 4 * 1024 * 1024


@contextmanager
def peer(role: str, ring: Ring, first: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a producer or consumer; at the end it is killed, unless it failed before."""
    arguments = [sys.executable, "-m", killed_peer.__name__, role, str(ring.fd), str(first)]
    process = subprocess.Popen(arguments, pass_fds=[ring.fd])
    try:
        yield process
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL


def test_a_killed_producer_loses_no_frame_it_has_put() -> None:
    moments = random.Random(1)
    ring = Ring.create(RING_BYTES)
    reader = RingReader(ring)
    expected = 0
    for _ in range(ROUNDS):
        with peer("produce", ring, expected):
            eventually(partial(sleepless, reader))
            until = time.monotonic() + moments.uniform(0, 0.1)
            while time.monotonic() < until:
                expected = read_all(reader, expected)
        # What it had put before its end.
        expected = read_all(reader, expected)
        assert reader.arm()
    assert expected > ROUNDS
    ring.close()


def sleepless(reader: RingReader) -> bool:
    """Return whether a frame waits."""
    return not reader.arm()


def read_all(reader: RingReader, expected: int) -> int:
    """Read and release what waits; return the number of the next frame."""
    for read in reader.frames(1 << 30):
        assert number_of(read) == expected
        expected += 1
        reader.release(read.end)
    return expected


def test_a_killed_consumer_is_followed_by_one_that_begins_where_it_committed() -> None:
    moments = random.Random(2)
    ring = Ring.create(RING_BYTES)
    writer = RingWriter(ring, lambda: None)
    number = 0
    first = 0
    for _ in range(ROUNDS):
        while writer.put(*frame(number)):
            number += 1
        with peer("consume", ring, first):
            # It has begun once there is room.
            eventually(partial(writer.put, *frame(number)))
            number += 1
            until = time.monotonic() + moments.uniform(0, 0.1)
            while time.monotonic() < until:
                number += writer.put(*frame(number))
        waiting = [number_of(read) for read in RingReader(ring).frames(1 << 30)]
        assert waiting == list(range(number - len(waiting), number))
        first = number - len(waiting)
    ring.close()
