"""A producer of a ring that rings a bell through a pipe, as a program."""

from __future__ import annotations

import os
import random
import sys

from flows.handover.ring import Ring, RingWriter


def main(ring_fd: int, bell_fd: int, count: int) -> None:
    """Put `count` frames, with pauses in which the consumer falls asleep or nearly so."""
    pauses = random.Random(3)
    writer = RingWriter(Ring.attach(ring_fd), lambda: _ring(bell_fd))
    for number in range(count):
        while not writer.put(1, number.to_bytes(8)):
            pass
        for _ in range(pauses.randrange(400)):
            pass


def _ring(bell_fd: int) -> None:
    os.write(bell_fd, b"!")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
