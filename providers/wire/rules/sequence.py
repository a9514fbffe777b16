"""Strict order for blocks that a provider streams side by side.

The neutral events have one open block at a time; providers may interleave the arguments of parallel
calls, with text between them. The first open block streams at once; others wait until it is
complete. No block is closed before its provider says so or nothing more can belong to it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from providers.wire.core.ir import Block
from providers.wire.core.stream_event import BlockStart, BlockStop, Event


@dataclass(slots=True)
class _Entry:
    """A block with its events that wait. `ready` is False while its start lacks something."""

    ready: bool
    waiting: list[Event] = field(default_factory=list)
    closed: bool = False


class Sequencer:
    """Sequencer of blocks. Keys name a provider's blocks; each is used once.

    open a, open b, add a "1", add b "2", add a "3", close a, close b →
    start a, "1", "3", stop, start b, "2", stop
    """

    __slots__ = ("_entries", "_first")

    def __init__(self) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._first: _Entry | None = None

    def is_open(self, key: Hashable) -> bool:
        """Return whether the block has begun and not ended, waiting or not."""
        entry = self._entries.get(key)
        return entry is not None and not entry.closed

    @property
    def current(self) -> Hashable | None:
        """Key of the block whose deltas are sent at once."""
        return next(iter(self._entries), None)

    @property
    def crowded(self) -> bool:
        """True while a block waits for another one's end."""
        return len(self._entries) > 1

    def open(self, key: Hashable, block: Block, out: list[Event], *, ready: bool = True) -> None:
        """Begin a block. One that is not ready keeps its position until `release`."""
        entry = self._entries[key] = _Entry(ready, [BlockStart(block)])
        if self._first is None:
            self._first = entry
        self._advance(out)

    def release(self, key: Hashable, out: list[Event]) -> None:
        """Let a block go out that was not ready."""
        self._entries[key].ready = True
        self._advance(out)

    def drop(self, key: Hashable, out: list[Event]) -> None:
        """Remove a block that was not released."""
        del self._entries[key]
        self._first = next(iter(self._entries.values()), None)
        self._advance(out)

    def add(self, key: Hashable, event: Event, out: list[Event]) -> bool:
        """Add a delta to an open block. Return False for a block that is not open."""
        entry = self._entries.get(key)
        if entry is None or entry.closed:
            return False
        if entry is self._first and entry.ready:
            out.append(event)
        else:
            entry.waiting.append(event)
        return True

    def close(self, key: Hashable, out: list[Event]) -> None:
        """Complete a block, and continue with the next waiting one."""
        entry = self._entries.get(key)
        if entry is None or entry.closed:
            return
        entry.closed = True
        entry.waiting.append(BlockStop())
        self._advance(out)

    def close_all(self, out: list[Event]) -> None:
        """Complete every block at the end of the response."""
        for key in list(self._entries):
            self.close(key, out)

    def _advance(self, out: list[Event]) -> None:
        # Blocks that were completed while they waited go out at once; the first that is still
        # open streams from here on.
        while self._first is not None and self._first.ready:
            out.extend(self._first.waiting)
            self._first.waiting = []
            if not self._first.closed:
                return
            del self._entries[next(iter(self._entries))]
            self._first = next(iter(self._entries.values()), None)
