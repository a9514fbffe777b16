"""A producer of a ring that rings a bell through a pipe, as a program."""

from __future__ import annotations

import os
import random
import sys
import time

from flows.handover.ring import _ARMED, Ring, RingWriter

SLEEPS_EVERY = 2000


def main(ring_fd: int, bell_fd: int, count: int) -> None:
    """Put `count` frames, with pauses in which the consumer falls asleep or nearly so.

    Some frames wait until it sleeps: on a busy machine it may come to its turn only at the end.
    """
    pauses = random.Random(3)
    ring = Ring.attach(ring_fd)
    writer = RingWriter(ring, lambda: _ring(bell_fd))
    for number in range(count):
        while number % SLEEPS_EVERY == 0 and not ring.words[_ARMED]:
            time.sleep(0.001)
        while not writer.put(1, number.to_bytes(8)):
            pass
        for _ in range(pauses.randrange(400)):
            pass


def _ring(bell_fd: int) -> None:
    os.write(bell_fd, b"!")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
