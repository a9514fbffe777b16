"""Ring of frames in shared memory, from one producer process to one consumer process. Pure.

The memory has no name and outlives both processes while a third one holds its descriptor. A killed
producer loses nothing that it has put; a killed consumer's successor begins where it committed.

Memory: one page of words, an area for secrets, then the data. Positions count all bytes ever put;
the byte of position p is at index p % capacity of the data. Each word has one process that writes
it, except `_ARMED`:

    reusable ≤ committed ≤ written ≤ reusable + capacity
        │          │          └─ producer: end of the last complete frame
        │          └─ consumer: everything before is stored, a new consumer begins here
        └─ consumer: the producer may overwrite everything before

A frame is a header of 8 bytes (length of the payload, kind) and the payload, at a multiple of 8.
Only a payload may continue at the beginning of the data, never a header:

    capacity 32, a frame with 20 bytes at position 56:
    header at index 24, payload at indexes 0 to 19, next frame at position 56 + 32 = 88, index 24
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final, NamedTuple

DATA_BYTES: Final = 64 * 1024 * 1024
SECRETS_BYTES: Final = 1024 * 1024

_MAGIC: Final = int.from_bytes(b"ccpring1", "little")
_PAGE_BYTES: Final = max(4096, mmap.PAGESIZE)
_DATA_START: Final = _PAGE_BYTES + SECRETS_BYTES
_GIVEN_BACK_BYTES: Final = 1024 * 1024
"""Memory goes back to the system in aligned blocks of this size."""

# Indexes of words of 8 bytes. Words of different writers are in different cache lines.
_MAGIC_WORD: Final = 0
_CAPACITY: Final = 1
_WRITTEN: Final = 8
_COMMITTED: Final = 16
_REUSABLE: Final = 17
_ARMED: Final = 24
_SECRETS_USED: Final = 32
_SECRETS_LOST: Final = 33

_HEADER: Final = struct.Struct("<IB3x")
_SECRET_LENGTH: Final = struct.Struct("<I")
_barrier = Lock()


class Frame(NamedTuple):
    """A frame as the consumer reads it.

    `payload` is a view of the shared memory or, for a frame that wraps, a copy. It is valid until
    `end`, the position behind the frame, is released.
    """

    kind: int
    payload: memoryview | bytes
    end: int


class Ring:
    """Mapped shared memory of a ring."""

    def __init__(self, fd: int) -> None:
        """Map the memory of `fd`, which the ring then owns. Raise ValueError for another layout."""
        self.fd = fd
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        # Secrets must not be in core dumps.
        if hasattr(mmap, "MADV_DONTDUMP"):
            self._map.madvise(mmap.MADV_DONTDUMP)
        memory = memoryview(self._map)
        self.words = memory[:_PAGE_BYTES].cast("Q")
        self.data = memory[_DATA_START:]
        self._secrets = memory[_PAGE_BYTES:_DATA_START]
        self._secrets_lock = Lock()
        self._known_secrets: set[str] | None = None
        if self.words[_MAGIC_WORD] not in (0, _MAGIC):
            raise ValueError("the shared memory has another layout")

    @classmethod
    def create(cls, size_bytes: int = DATA_BYTES) -> Ring:
        """Return an empty ring with room for `size_bytes` of frames, rounded up to a page."""
        capacity = -(-size_bytes // _PAGE_BYTES) * _PAGE_BYTES
        fd = _anonymous_memory()
        os.ftruncate(fd, _DATA_START + capacity)
        ring = cls(fd)
        ring.words[_CAPACITY] = capacity
        ring.words[_MAGIC_WORD] = _MAGIC
        return ring

    @classmethod
    def attach(cls, fd: int) -> Ring:
        """Return the ring behind an inherited descriptor, which stays the caller's."""
        ring = cls(os.dup(fd))
        if ring.words[_MAGIC_WORD] != _MAGIC:
            raise ValueError("the descriptor is of no ring")
        return ring

    @property
    def capacity(self) -> int:
        """Bytes for frames."""
        return len(self.data)

    def close(self) -> None:
        """Unmap the memory. Frames that are still held keep it mapped until they are gone."""
        self.words.release()
        self.data.release()
        self._secrets.release()
        with suppress(BufferError):
            self._map.close()
        os.close(self.fd)

    def add_secret(self, secret: str) -> None:
        """Append a secret for the consumer, once. Without room, set `secrets_lost`. Thread-safe."""
        with self._secrets_lock:
            if self._known_secrets is None:
                self._known_secrets = set(self.secrets())
            if secret in self._known_secrets:
                return
            encoded = secret.encode("utf-8", "surrogatepass")
            entry = _SECRET_LENGTH.pack(len(encoded)) + encoded
            start = self.words[_SECRETS_USED]
            end = start + len(entry)
            if end > SECRETS_BYTES:
                self.words[_SECRETS_LOST] = 1
                return
            self._secrets[start:end] = entry
            memory_barrier()
            self.words[_SECRETS_USED] = end
            self._known_secrets.add(secret)

    def secrets(self) -> list[str]:
        """Return all secrets that the producers added."""
        used = self.words[_SECRETS_USED]
        memory_barrier()
        entries = bytes(self._secrets[:used])
        found: list[str] = []
        start = 0
        while start < used:
            (length,) = _SECRET_LENGTH.unpack_from(entries, start)
            start += _SECRET_LENGTH.size + length
            found.append(entries[start - length : start].decode("utf-8", "surrogatepass"))
        return found

    @property
    def secrets_version(self) -> int:
        """A number that grows with each secret; equal numbers mean equal secrets."""
        return self.words[_SECRETS_USED]

    @property
    def secrets_lost(self) -> bool:
        """True when a secret had no room: the consumer then knows it by its name alone."""
        return bool(self.words[_SECRETS_LOST])

    def give_back(self, start: int, end: int) -> None:
        """Return the memory of two indexes of the data to the system; it reads as zeros then."""
        if hasattr(mmap, "MADV_REMOVE"):
            # A system without support keeps the memory, and nothing else differs.
            with suppress(OSError):
                self._map.madvise(mmap.MADV_REMOVE, _DATA_START + start, end - start)


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
        self.capacity = ring.capacity
        self._ring_bell = ring_bell
        # A predecessor may have been killed in a frame, which is before this position then.
        self._written = ring.words[_WRITTEN]

    @property
    def free_bytes(self) -> int:
        """Largest payload that `put` accepts now."""
        free = self.capacity - (self._written - self._words[_REUSABLE])
        return max(0, free - _HEADER.size)

    def put(self, kind: int, payload: bytes) -> bool:
        """Append a frame. Without room, change nothing and return False."""
        length = len(payload)
        end = self._written + _frame_bytes(length)
        if end - self._words[_REUSABLE] > self.capacity:
            return False
        start = self._written % self.capacity
        _HEADER.pack_into(self._data, start, length, kind)
        self._fill(start + _HEADER.size, payload)
        # The consumer sees the frame's bytes before it sees that there is a frame.
        memory_barrier()
        self._words[_WRITTEN] = end
        self._written = end
        # And it sees the frame, or this sees that it fell asleep.
        memory_barrier()
        if self._words[_ARMED]:
            # Before the bell: the consumer sets it again once it is awake.
            self._words[_ARMED] = 0
            # A consumer that is gone reads everything when it is back.
            with suppress(OSError):
                self._ring_bell()
        return True

    def _fill(self, start: int, payload: bytes) -> None:
        """Copy a payload to an index of the data; what does not fit goes to the beginning."""
        room = self.capacity - start
        if len(payload) <= room:
            self._data[start : start + len(payload)] = payload
            return
        view = memoryview(payload)
        self._data[start:] = view[:room]
        self._data[: len(payload) - room] = view[room:]


class RingReader:
    """Consumer of frames: one process, which begins at the committed position.

    `frames` and `arm` are one thread's, `release` may be another's.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._words = ring.words
        self._data = ring.data.toreadonly()
        self._capacity = ring.capacity
        self._read = ring.words[_COMMITTED]
        # A predecessor may have been killed between the two steps of a release.
        self.release(self._read)

    @property
    def position(self) -> int:
        """Position behind the last frame that was read."""
        return self._read

    def frames(self, limit_bytes: int) -> list[Frame]:
        """Return the next frames, of about `limit_bytes` together; at least one if one waits."""
        written = self._words[_WRITTEN]
        memory_barrier()
        found: list[Frame] = []
        stop = min(written, self._read + limit_bytes)
        while self._read < stop or (self._read < written and not found):
            found.append(self._next(written))
        return found

    def release(self, end: int) -> None:
        """Commit everything before a position: it is never read again, and its memory is free."""
        self._words[_COMMITTED] = end
        # In this order: the producer must not write what is given back, and a successor must not
        # read it.
        self._give_back(self._words[_REUSABLE], end)
        memory_barrier()
        self._words[_REUSABLE] = end

    def arm(self) -> bool:
        """Ask for the bell. Return False when a frame waits, which has to be read first."""
        self._words[_ARMED] = 1
        memory_barrier()
        if self._words[_WRITTEN] == self._read:
            return True
        self._words[_ARMED] = 0
        return False

    def _next(self, written: int) -> Frame:
        start = self._read % self._capacity
        length, kind = _HEADER.unpack_from(self._data, start)
        end = self._read + _frame_bytes(length)
        if end > written:
            raise ValueError(f"the ring is damaged at {self._read}")
        start += _HEADER.size
        payload: memoryview | bytes = self._data[start : start + length]
        missing = length - len(payload)
        if missing:
            payload = bytes(payload) + self._data[:missing]
        self._read = end
        return Frame(kind, payload, end)

    def _give_back(self, start: int, end: int) -> None:
        """Give back the blocks that end between two positions.

        Blocks of 4, capacity 12, positions 6 → 17: blocks end at 8, 12 and 16, which are the
        indexes 4-7, 8-11 and 0-3.
        """
        block = _GIVEN_BACK_BYTES
        if self._capacity % block:
            return
        for block_end in range((start // block + 1) * block, end + 1, block):
            index = (block_end - block) % self._capacity
            self._ring.give_back(index, index + block)


def memory_barrier() -> None:
    """Let other processes see everything written so far before anything that follows.

    A lock's atomic instruction is a full barrier on x86. On ARM it takes two: acquiring is never
    moved before an earlier release, and what surrounds the two is never moved across both.
    """
    with _barrier:
        pass
    with _barrier:
        pass


def _frame_bytes(length: int) -> int:
    """Return the bytes of a frame by its payload's length: 3 → 16, 8 → 16, 9 → 24."""
    return (_HEADER.size + length + 7) & ~7


def _anonymous_memory() -> int:
    """Return the descriptor of new shared memory without a name; programs do not inherit it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("ccproxy-ring", os.MFD_CLOEXEC)
    return _unlinked_memory()


def _unlinked_memory() -> int:
    """Return shared memory whose name was removed at once, for systems without memfd."""
    import _posixshmem  # type: ignore[import-not-found]

    name = f"/ccproxy-{os.urandom(8).hex()}"
    fd: int = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    _posixshmem.shm_unlink(name)
    return fd
