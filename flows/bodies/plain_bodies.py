"""Bodies without secrets that were stored lately, by digest: they need not be read back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final

MAX_BYTES: Final = 12 * 1024 * 1024
"""Most are in the packer's cache too, and take no memory of their own here."""
MAX_BODIES: Final = 2000


class PlainBodies:
    """The newest stored bodies, within a bound of memory. Thread-safe."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_bodies: int = MAX_BODIES) -> None:
        self._max_bytes = max_bytes
        self._max_bodies = max_bodies
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def put(self, digest: str, data: bytes) -> None:
        """Keep a body; forget the oldest ones."""
        with self._lock:
            if digest in self._bodies:
                self._bodies.move_to_end(digest)
                return
            self._bodies[digest] = data
            self._bytes += len(data)
            while self._bytes > self._max_bytes or len(self._bodies) > self._max_bodies:
                _, oldest = self._bodies.popitem(last=False)
                self._bytes -= len(oldest)

    def all_of(self, digests: Iterable[str]) -> dict[str, bytes] | None:
        """Return bodies by digest; None if one of them is not here. "" stands for no body."""
        with self._lock:
            try:
                return {digest: self._bodies[digest] for digest in digests if digest}
            except KeyError:
                return None
