"""Commits that arrive in any order, as the position up to which everything is committed. Pure."""

from __future__ import annotations

from collections import deque
from threading import Lock


class CommitOrder:
    """Positions behind frames that were read, and which of these frames are stored.

    Frames end at 10, 20 and 30 and are stored in the order 20, 10, 30. The committed position is
    `start` after the first, 20 after the second, and 30 after the third.

    Methods may be called from any thread; `read` in the order of the frames.
    """

    def __init__(self, start: int) -> None:
        self._lock = Lock()
        self._open: deque[int] = deque()
        # Stored frames behind one that is not.
        self._stored: set[int] = set()
        self._committed = start

    @property
    def committed(self) -> int:
        """Position before which every frame is stored."""
        return self._committed

    @property
    def pending(self) -> int:
        """Number of frames behind that position."""
        return len(self._open)

    def read(self, end: int) -> None:
        """Note that the next frame was read, which ends at `end`."""
        with self._lock:
            self._open.append(end)

    def commit(self, end: int) -> None:
        """Note that the frame that ends at `end` is stored. Each frame is committed once."""
        with self._lock:
            self._stored.add(end)
            while self._open and self._open[0] in self._stored:
                self._committed = self._open.popleft()
                self._stored.remove(self._committed)
