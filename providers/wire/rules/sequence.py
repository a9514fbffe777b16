"""Strict order for blocks that a provider streams side by side.

Anthropic's and Responses' grammars have one open block at a time in practice; Chat providers may
interleave the arguments of parallel calls. The first open block streams at once; others wait until
it is complete.
"""

from __future__ import annotations

from collections.abc import Hashable

from providers.wire.core.ir import Block, BlockStart, BlockStop, Event


class Sequencer:
    """Sequencer of blocks. Keys name a provider's blocks (index or id).

    open a, open b, add a "1", add b "2", add a "3", close a, close b →
    start a, "1", "3", stop, start b, "2", stop
    """

    __slots__ = ("_closed", "_current", "_waiting")

    def __init__(self) -> None:
        self._current: Hashable | None = None
        self._waiting: dict[Hashable, list[Event]] = {}
        self._closed: set[Hashable] = set()

    def is_open(self, key: Hashable) -> bool:
        """Return whether the block has begun and not ended, waiting or not."""
        return key == self._current or (key in self._waiting and key not in self._closed)

    @property
    def current(self) -> Hashable | None:
        """Key of the block whose deltas are sent at once."""
        return self._current

    def open(self, key: Hashable, block: Block, out: list[Event]) -> None:
        """Begin a block."""
        # The client's grammar allows one open block; a second one waits for the first one's end.
        if self._current is None:
            self._current = key
            out.append(BlockStart(block))
        else:
            self._waiting[key] = [BlockStart(block)]

    def add(self, key: Hashable, event: Event, out: list[Event]) -> None:
        """Add a delta to an open block; drops one for a block that is not open."""
        if key == self._current and key is not None:
            out.append(event)
        elif key in self._waiting:
            self._waiting[key].append(event)

    def close(self, key: Hashable, out: list[Event]) -> None:
        """Complete a block, and continue with the next waiting one."""
        if key != self._current:
            if key in self._waiting:
                self._closed.add(key)
            return
        out.append(BlockStop())
        self._current = None
        # Blocks that were completed while they waited go out at once; the first that is still
        # open streams from here on.
        while self._waiting and self._current is None:
            following = next(iter(self._waiting))
            out.extend(self._waiting.pop(following))
            if following in self._closed:
                self._closed.discard(following)
                out.append(BlockStop())
            else:
                self._current = following

    def close_all(self, out: list[Event]) -> None:
        """Complete every block at the end of the response."""
        self._closed.update(self._waiting)
        if self._current is not None:
            self.close(self._current, out)
