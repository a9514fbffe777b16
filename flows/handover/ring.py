"""Ring of frames in shared memory, from one producer process to one consumer process. Pure.

The memory has no name and outlives both processes while a third one holds its descriptor. A killed
producer loses nothing that it has put; a killed consumer's successor begins where it committed.

Memory: one page of words, an area for secrets, then the data. Positions count all bytes ever put.
Each word has one process that writes it, except the armed flag:

    committed ≤ written ≤ committed + capacity
        │          └─ producer: end of the last complete frame
        └─ consumer: everything before is stored and may be overwritten

A frame is a header of 8 bytes (length of the payload, kind) and the payload, at a multiple of 8.

The data has segments, and a table says which one holds which stretch of positions (`segments.py`).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from flows.handover.secret_area import SECRETS_BYTES, SecretArea
from flows.handover.segments import MAX_SEGMENTS, WARM_SEGMENTS, SegmentTable
from flows.handover.shared_memory import anonymous_memory, memory_barrier

DATA_BYTES: Final = 128 * 1024 * 1024
"""Twice the longest body that a proxy keeps. Untouched memory costs nothing."""

_MAGIC: Final = int.from_bytes(b"ccpring1", "little")
_PAGE_BYTES: Final = max(4096, mmap.PAGESIZE)
_DATA_START: Final = _PAGE_BYTES + SECRETS_BYTES
_SEGMENT_BYTES: Final = 1024 * 1024
_MIN_SEGMENTS: Final = 16

# Indexes of words of 8 bytes. Words of different writers are in different cache lines.
_MAGIC_WORD: Final = 0
_SEGMENT_SIZE: Final = 1
_WRITTEN: Final = 8
_COMMITTED: Final = 16
_ARMED: Final = 24
# Words 32 and 33 are those of the secrets (`secret_area.py`).

_HEADER: Final = struct.Struct("<IB3x")


class Frame(NamedTuple):
    """A frame as the consumer reads it.

    `payload` is a view of the shared memory or, where the frame's segments are not neighbours, a
    copy. It is valid until `end`, the position behind the frame, is released.
    """

    kind: int
    payload: memoryview | bytes
    end: int


class Ring:
    """Mapped shared memory of a ring."""

    def __init__(self, fd: int) -> None:
        """Map the memory of `fd`, which the ring then owns."""
        self.fd = fd
        size_bytes = os.fstat(fd).st_size
        self._map = mmap.mmap(fd, size_bytes)
        # Secrets must not be in core dumps.
        if hasattr(mmap, "MADV_DONTDUMP"):
            self._map.madvise(mmap.MADV_DONTDUMP)
        memory = memoryview(self._map)
        self.words = memory[:_PAGE_BYTES].cast("Q")
        self.data = memory[_DATA_START:]
        self.secrets = SecretArea(self.words, memory[_PAGE_BYTES:_DATA_START])
        """Credentials in use, which the consumer cuts out of records."""

    @classmethod
    def create(cls, size_bytes: int = DATA_BYTES) -> Ring:
        """Return an empty ring with room for about `size_bytes` of frames."""
        segment_bytes = _segment_bytes(size_bytes)
        segments = -(-size_bytes // segment_bytes)
        data_bytes = segments * segment_bytes
        fd = anonymous_memory()
        os.ftruncate(fd, _DATA_START + data_bytes)
        ring = cls(fd)
        ring.words[_SEGMENT_SIZE] = segment_bytes
        ring.words[_MAGIC_WORD] = _MAGIC
        return ring

    @classmethod
    def attach(cls, fd: int) -> Ring:
        """Return the ring behind an inherited descriptor, which stays the caller's.

        Raise ValueError for other memory.
        """
        if os.fstat(fd).st_size <= _DATA_START:
            raise ValueError("the descriptor is of no ring")
        ring = cls(os.dup(fd))
        if ring.words[_MAGIC_WORD] != _MAGIC:
            ring.close()
            raise ValueError("the descriptor is of no ring, or of one with another layout")
        return ring

    @property
    def segment_bytes(self) -> int:
        """Size of a segment of the data."""
        return self.words[_SEGMENT_SIZE]

    @property
    def capacity(self) -> int:
        """Bytes of all segments."""
        return len(self.data)

    def close(self) -> None:
        """Unmap the memory. Frames that are still held keep it mapped until they are gone."""
        self.words.release()
        self.secrets.release()
        with suppress(BufferError):
            self.data.release()
            self._map.close()
        os.close(self.fd)

    def empty_segment(self, segment: int) -> None:
        """Return a segment's memory to the system; it reads as zeros then."""
        start = _DATA_START + segment * self.segment_bytes
        if hasattr(mmap, "MADV_REMOVE"):
            # A system that cannot do it keeps the memory, and nothing else differs.
            with suppress(OSError):
                self._map.madvise(mmap.MADV_REMOVE, start, self.segment_bytes)


class RingWriter:
    """Producer of frames: one thread of one process.

    Args:
        ring: the shared memory.
        ring_bell: wakes the consumer up; called after a frame that finds it asleep.
    """

    def __init__(self, ring: Ring, ring_bell: Callable[[], None]) -> None:
        self._ring = ring
        self._words = ring.words
        self._data = ring.data
        self._segments = SegmentTable(ring.words, ring.segment_bytes, ring.capacity)
        self._ring_bell = ring_bell
        # A predecessor that was killed in a frame left this position before the frame.
        self._written = ring.words[_WRITTEN]
        # Segments with memory, as far as this producer knows, and those taken since `give_back`.
        self._resident: set[int] = set()
        if self._written:
            self._resident.update(range(self._segments.count))
        self._taken: set[int] = set()

    @property
    def capacity(self) -> int:
        """Bytes of the ring's data."""
        return self._ring.capacity

    @property
    def positions(self) -> tuple[int, int]:
        """Bytes that were ever put into the ring, and those of them whose records are stored."""
        return self._written, self._words[_COMMITTED]

    @property
    def free_bytes(self) -> int:
        """Largest payload that `put` accepts now."""
        limit = self._segments.limit(self._words[_COMMITTED])
        free = limit - self._written - _HEADER.size
        return max(0, free)

    def put(self, kind: int, *parts: bytes) -> bool:
        """Append a frame whose payload is `parts`, joined. Without room return False."""
        start = self._written
        length = sum(map(len, parts))
        end = start + _frame_bytes(length)
        committed = self._words[_COMMITTED]
        if end > self._segments.limit(committed):
            return False
        for stretch in self._segments.stretches(start, end):
            self._take_segment(stretch, committed)
        index = self._segments.index(start)
        _HEADER.pack_into(self._data, index, length, kind)
        position = start + _HEADER.size
        for part in parts:
            self._copy(position, part)
            position += len(part)
        # The consumer sees the frame's bytes before it sees that there is a frame.
        memory_barrier()
        self._words[_WRITTEN] = end
        self._written = end
        # And it sees the frame, or this sees that it fell asleep.
        memory_barrier()
        if self._words[_ARMED]:
            self._wake()
        return True

    def give_back(self, max_segments: int = 24) -> bool:
        """Return memory to the system that was not needed since the last call.

        To be called every second or so, until it returns False: only memory that is never given
        back is left. Each segment takes about 0.1 ms.
        """
        held = self._segments.held(self._words[_COMMITTED], self._written)
        idle = self._resident - held - self._taken - WARM_SEGMENTS
        self._taken.clear()
        highest = sorted(idle)[-max_segments:]
        for segment in highest:
            self._ring.empty_segment(segment)
            self._resident.remove(segment)
        return not self._resident <= WARM_SEGMENTS

    def _take_segment(self, stretch: int, committed: int) -> None:
        segment = self._segments.take(stretch, committed)
        self._resident.add(segment)
        self._taken.add(segment)

    def _copy(self, position: int, part: bytes) -> None:
        """Copy a part of a payload to where a position is, segment by segment."""
        rest = memoryview(part)
        while rest:
            index = self._segments.index(position)
            room = self._segments.room(position)
            copied = rest[:room]
            behind = index + len(copied)
            self._data[index:behind] = copied
            position += room
            rest = rest[room:]

    def _wake(self) -> None:
        # Before the bell: the consumer sets it again once it is awake.
        self._words[_ARMED] = 0
        # A consumer that is gone reads everything when it is back.
        with suppress(OSError):
            self._ring_bell()


class RingReader:
    """Consumer of frames: one process, which begins at the committed position.

    `frames` and `arm` are one thread's, `release` may be another's.
    """

    def __init__(self, ring: Ring) -> None:
        self._words = ring.words
        self._data = ring.data.toreadonly()
        self._segments = SegmentTable(ring.words, ring.segment_bytes, ring.capacity)
        self._read = ring.words[_COMMITTED]

    @property
    def position(self) -> int:
        """Position behind the last frame that was read."""
        return self._read

    @property
    def written(self) -> int:
        """Position behind the last frame that was put."""
        return self._words[_WRITTEN]

    @property
    def uncommitted_bytes(self) -> int:
        """Bytes of the ring that the producer cannot use yet."""
        return self._words[_WRITTEN] - self._words[_COMMITTED]

    @property
    def next_bytes(self) -> int:
        """Size of the next frame; 0 while none waits."""
        if self._words[_WRITTEN] == self._read:
            return 0
        memory_barrier()
        return self._size_at(self._read)

    def frames(self, limit_bytes: int) -> list[Frame]:
        """Return the next frames, of at most `limit_bytes` together; at least one if one waits.

        Raise ValueError when the memory holds no frames any more.
        """
        written = self._words[_WRITTEN]
        memory_barrier()
        stop = min(written, self._read + limit_bytes)
        found: list[Frame] = []
        while self._read < written:
            if found and self._read + self._size_at(self._read) > stop:
                break
            found.append(self._next(written))
        return found

    def skip(self) -> int:
        """Pass over everything that waits, in a damaged ring. Return the number of bytes."""
        skipped = self._words[_WRITTEN] - self._read
        self._read += skipped
        return skipped

    def release(self, end: int) -> None:
        """Commit everything before a position: it is never read again, and its memory is free."""
        # What was read of these frames was read before they are overwritten.
        memory_barrier()
        self._words[_COMMITTED] = end

    def arm(self) -> bool:
        """Ask for the bell. Return False when a frame waits, which has to be read first."""
        self._words[_ARMED] = 1
        memory_barrier()
        if self._words[_WRITTEN] == self._read:
            return True
        self._words[_ARMED] = 0
        return False

    def _size_at(self, start: int) -> int:
        length, _ = _HEADER.unpack_from(self._data, self._segments.index(start))
        return _frame_bytes(length)

    def _next(self, written: int) -> Frame:
        start = self._read
        index = self._segments.index(start)
        length, kind = _HEADER.unpack_from(self._data, index)
        end = start + _frame_bytes(length)
        if end > written:
            raise ValueError(f"the ring is damaged at {start}")
        payload = self._payload(start + _HEADER.size, length)
        self._read = end
        return Frame(kind, payload, end)

    def _payload(self, start: int, length: int) -> memoryview | bytes:
        """Return the bytes behind a position; a view, if they lie in one stretch of memory."""
        end = start + length
        views: list[memoryview] = []
        for stretch in self._segments.stretches(start + 1, end):
            if self._segments.is_next(stretch):
                continue
            boundary = stretch * self._segments.size_bytes
            views.append(self._view(start, boundary))
            start = boundary
        last = self._view(start, end)
        if not views:
            return last
        return b"".join([*views, last])

    def _view(self, start: int, end: int) -> memoryview:
        if start == end:
            return self._data[:0]
        index = self._segments.index(start)
        behind = index + end - start
        return self._data[index:behind]


def _segment_bytes(data_bytes: int) -> int:
    """Return the size of a segment: 1 MB unless there would be too few or too many of them."""
    if data_bytes < _MIN_SEGMENTS * _SEGMENT_BYTES:
        smaller = data_bytes // _MIN_SEGMENTS
        return max(_HEADER.size, _multiple_of_8(smaller))
    # A multiple of 1 MB: only complete pages can be given back.
    most = MAX_SEGMENTS * _SEGMENT_BYTES
    return _SEGMENT_BYTES * -(-data_bytes // most)


def _frame_bytes(length: int) -> int:
    """Return the bytes of a frame by its payload's length: 3 → 16, 8 → 16, 9 → 24."""
    return _multiple_of_8(_HEADER.size + length)


def _multiple_of_8(count: int) -> int:
    """Return the next multiple of 8: 3 → 8, 8 → 8, 9 → 16."""
    return (count + 7) & ~7
