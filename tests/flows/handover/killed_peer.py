"""A producer or a consumer of a ring, as a program that a test kills.

Frames hold their number, a checksum and bytes that follow from the number.
"""

from __future__ import annotations

import random
import struct
import sys
from zlib import crc32

from flows.handover.ring import Frame, Ring, RingReader, RingWriter

_NUMBER = struct.Struct("<QI")
_BYTES = random.Random(0).randbytes(400_000)
_LENGTHS = (0, 40, 900, 5000, 20, 300_000, 1, 80)


def frame(number: int) -> tuple[int, bytes]:
    """Return kind and payload of a frame: some are small, some span several segments."""
    start = number * 7 % 1000
    length = _LENGTHS[number % len(_LENGTHS)] + number % 9
    body = _BYTES[start : start + length]
    return number % 200 + 1, _NUMBER.pack(number, crc32(body)) + body


def number_of(read: Frame) -> int:
    """Return a frame's number. Raise ValueError for a frame that is not as it was put."""
    number, checksum = _NUMBER.unpack_from(read.payload)
    body = bytes(read.payload)[_NUMBER.size :]
    if read.kind != number % 200 + 1 or crc32(body) != checksum:
        raise ValueError(f"frame {number} is torn")
    return int(number)


def produce(ring: Ring, number: int) -> None:
    """Put frames from `number` on, without end."""
    writer = RingWriter(ring, lambda: None)
    while True:
        while not writer.put(*frame(number)):
            writer.give_back()
        number += 1


def consume(ring: Ring, number: int) -> None:
    """Read and release frames, without end. Fail when one before `number` or a torn one comes."""
    reader = RingReader(ring)
    while True:
        for read in reader.frames(1_000_000):
            found = number_of(read)
            if found < number:
                raise ValueError(f"frame {found} came after {number}")
            number = found + 1
            reader.release(read.end)


if __name__ == "__main__":
    role, fd, first = sys.argv[1:]
    {"produce": produce, "consume": consume}[role](Ring.attach(int(fd)), int(first))
