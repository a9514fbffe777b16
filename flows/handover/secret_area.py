"""The area of a ring that tells the consumer which secrets to cut out. Pure.

It only grows. Entries are a length of 4 bytes and the secret in UTF-8, one behind the other.
"""

from __future__ import annotations

import struct
from threading import Lock
from typing import Final

from flows.handover.shared_memory import memory_barrier

SECRETS_BYTES: Final = 1024 * 1024

# Indexes of the ring's words, both written by the producer.
_USED: Final = 32
_LOST: Final = 33

_LENGTH: Final = struct.Struct("<I")


class SecretArea:
    """Secrets that all lives of a proxy added.

    Args:
        words: the ring's.
        memory: `SECRETS_BYTES` of it.
    """

    def __init__(self, words: memoryview[int], memory: memoryview) -> None:
        self._words, self._memory = words, memory
        self._lock = Lock()
        self._known: set[str] | None = None

    def add(self, secret: str) -> None:
        """Append a secret for the consumer, once. Without room, set `are_lost`. Thread-safe."""
        with self._lock:
            if self._known is None:
                self._known = set(self.all())
            if secret in self._known:
                return
            encoded = secret.encode("utf-8", "surrogatepass")
            entry = _LENGTH.pack(len(encoded)) + encoded
            start = self._words[_USED]
            end = start + len(entry)
            if end > SECRETS_BYTES:
                self._words[_LOST] = 1
                return
            self._memory[start:end] = entry
            # The consumer sees the bytes before it sees that there are more.
            memory_barrier()
            self._words[_USED] = end
            self._known.add(secret)

    def all(self) -> list[str]:
        """Return all secrets that the producers added."""
        used = self._words[_USED]
        memory_barrier()
        entries = bytes(self._memory[:used])
        found: list[str] = []
        start = 0
        while start < used:
            (length,) = _LENGTH.unpack_from(entries, start)
            start += _LENGTH.size
            end = start + length
            encoded = entries[start:end]
            found.append(encoded.decode("utf-8", "surrogatepass"))
            start = end
        return found

    @property
    def version(self) -> int:
        """A number that grows with each secret; equal numbers mean equal secrets."""
        return self._words[_USED]

    @property
    def are_lost(self) -> bool:
        """True when a secret had no room, and the consumer cannot know it by its value."""
        return bool(self._words[_LOST])

    def release(self) -> None:
        """Let the memory go."""
        self._memory.release()
