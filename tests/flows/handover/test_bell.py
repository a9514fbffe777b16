"""A consumer in another process never sleeps while a frame waits."""

from __future__ import annotations

import os
import select
import subprocess
import sys

from flows.handover.ring import Ring, RingReader
from tests.flows.handover import bell_peer
from tests.patience import PATIENCE_S

FRAMES = 20_000


def test_every_frame_wakes_the_consumer_up_or_finds_it_awake() -> None:
    ring = Ring.create()
    reader = RingReader(ring)
    hears, rings = os.pipe()
    arguments = [sys.executable, "-m", bell_peer.__name__, str(ring.fd), str(rings), str(FRAMES)]
    found: list[int] = []
    naps = 0
    with subprocess.Popen(arguments, pass_fds=[ring.fd, rings]) as producer:
        while len(found) < FRAMES:
            if reader.arm():
                naps += 1
                heard, _, _ = select.select([hears], [], [], PATIENCE_S)
                assert heard, f"asleep at {len(found)}"
                os.read(hears, 1)
            for frame in reader.frames(1 << 30):
                found.append(int.from_bytes(frame.payload))
                reader.release(frame.end)
        assert producer.wait(PATIENCE_S) == 0
    assert found == list(range(FRAMES))
    assert naps >= FRAMES // bell_peer.SLEEPS_EVERY
    os.close(hears)
    os.close(rings)
    ring.close()
