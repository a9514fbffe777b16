"""Reading of one proxy's ring on the recorder's loop: decode, hand to the sinks, commit.

The proxy rings a bell only while this side sleeps. It sleeps again at once, unless the bell rings
within 40 ms: then the ring is read every 40 ms, until it is empty. So one record wakes this process
up once, and a busy proxy makes no system call for the bell, and many records are read at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from threading import Lock

from flows.handover.commit_order import CommitOrder
from flows.handover.record_codec import BODIES_DROPPED, FINISHED, STARTED, decode
from flows.handover.ring import Frame, Ring, RingReader
from flows.record import FlowDelta, FlowRecord, Sink
from flows.writer.thread import FlowWriter
from providers.auth.registry import SECRETS

logger = logging.getLogger(__name__)

READ_EVERY_S = 0.04
"""Pause between two looks. Every look wakes this process up, for a tenth of a small request."""
WATCHED_EVERY_S = 0.01
"""The same while a page shows a response as it comes."""
READ_BYTES = 1024 * 1024
"""As much of the ring becomes records at a time, which take more memory than their bytes there."""
ROOM_BYTES = 4 * READ_BYTES
"""What these records may take at the most, unless one alone is larger."""
WAITS_BELOW = 0.75
"""Share of the ring up to which a larger record waits for its own room.

Beside the rings of other busy proxies it could wait for ever, until this one refuses records.
"""
NO_ROOM_S = 0.05
"""Pause while the writer holds as much as it should; the ring holds the rest."""
PINNED_BYTES = 3 * 1024 * 1024
"""Part of the ring that the states of running flows may keep from being used again.

They wait to be replaced, and nothing behind them is released until then. So much fits into the
segments that the ring keeps anyway.
"""
AHEAD_BYTES = 2 * 1024 * 1024
"""Bodies to be read before they are needed, while the ring has room: it gives its memory back."""
AHEAD_BELOW = 0.25
"""Share of the ring up to which it has room."""


class ProxyRing:
    """The ring of one life of a proxy, as its recorder reads it.

    Args:
        ring: the shared memory.
        instance: the proxy's name in rows and heartbeats.
        writer: stores the records; what it committed leaves the ring.
        views: sinks besides the writer, called on the loop.
        on_read: called after records were read.
        on_drained: called once everything is stored and no more can come.
    """

    def __init__(
        self,
        ring: Ring,
        instance: str,
        writer: FlowWriter,
        views: Sink,
        *,
        on_read: Callable[[], None],
        on_drained: Callable[[], None],
    ) -> None:
        self.instance = instance
        self.is_watched = False
        """A page shows a response of this proxy as it comes."""
        self._ring = ring
        self._reader = RingReader(ring)
        self._order = CommitOrder(self._reader.position)
        self._releasing = Lock()
        self._writer = writer
        self._views = views
        self._on_read, self._on_drained = on_read, on_drained
        self._secrets_version = -1
        self._bell: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._read_at = float("-inf")
        self._is_busy = False
        """Records come one soon after the other, so the next ones are not waited for asleep."""

    @property
    def fill(self) -> float:
        """Share of the ring with records that are not committed."""
        return self._reader.uncommitted_bytes / self._ring.capacity

    def listen(self, bell: int | None) -> None:
        """Read when this bell rings; None: the proxy is gone, read what it left."""
        loop = asyncio.get_running_loop()
        self._drop_bell()
        if bell is None:
            self._is_closed = True
        else:
            os.set_blocking(bell, False)
            self._bell = bell
            loop.add_reader(bell, self._rung)
        self._read_in(0)

    def close(self) -> None:
        """Read no more, and let the memory go: everything in it is stored."""
        self._drop_bell()
        if self._timer is not None:
            self._timer.cancel()
        self._ring.close()

    def _drop_bell(self) -> None:
        if self._bell is not None:
            asyncio.get_running_loop().remove_reader(self._bell)
            os.close(self._bell)
            self._bell = None

    def _rung(self) -> None:
        if self._bell is None:
            return
        with contextlib.suppress(BlockingIOError):
            if not os.read(self._bell, 4096):
                # The writing end is closed: the connection tells what follows.
                asyncio.get_running_loop().remove_reader(self._bell)
        left_s = self._read_at + READ_EVERY_S - asyncio.get_running_loop().time()
        self._is_busy = left_s > 0.0
        # A page shows a response as it comes.
        self._read_in(0.0 if self.is_watched else max(0.0, left_s))

    def _read_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._read)

    def _read(self) -> None:
        self._timer = None
        if not self._has_room():
            self._read_in(NO_ROOM_S)
            return
        self._read_at = asyncio.get_running_loop().time()
        self._learn_secrets()
        frames = self._reader.frames(READ_BYTES)
        for frame in frames:
            self._take(frame)
        if self._reader.uncommitted_bytes > PINNED_BYTES:
            self._writer.hurry()
        if frames:
            self._on_read()
        if self._is_closed and not frames:
            self._finish()
        elif frames and (self._is_busy or self._has_more(frames)):
            self._read_in(self._pause_s(frames))
        elif not self._reader.arm():
            self._read_in(READ_EVERY_S)

    def _has_room(self) -> bool:
        if self.fill < AHEAD_BELOW and self._writer.held_bytes > AHEAD_BYTES:
            return False
        wanted_bytes = ROOM_BYTES
        if self.fill < WAITS_BELOW:
            wanted_bytes = max(wanted_bytes, self._reader.next_bytes)
        return self._writer.has_room(wanted_bytes)

    def _has_more(self, frames: list[Frame]) -> bool:
        """Return whether this look could not take everything, or a page waits for the rest."""
        return self.is_watched or self._is_closed or self._is_behind(frames)

    def _pause_s(self, frames: list[Frame]) -> float:
        """Return the time until the next look: none where this one could not take everything."""
        if self._is_behind(frames):
            return 0.0
        return WATCHED_EVERY_S if self.is_watched else READ_EVERY_S

    def _is_behind(self, frames: list[Frame]) -> bool:
        """Return whether the ring has more than these frames."""
        return frames[-1].end < self._reader.written

    def _finish(self) -> None:
        """Report that everything is stored, or look again a little later."""
        if self._order.pending:
            # The states of flows that were running have no newer ones to wait for.
            self._writer.hurry()
            self._read_in(NO_ROOM_S)
        else:
            self._on_drained()

    def _learn_secrets(self) -> None:
        # Before the records: one of them may hold a secret that is as new as it is.
        if self._ring.secrets.version != self._secrets_version:
            self._secrets_version = self._ring.secrets.version
            for secret in self._ring.secrets.all():
                SECRETS.add(secret)

    def _take(self, frame: Frame) -> None:
        self._order.read(frame.end)
        try:
            found = decode(frame.kind, frame.payload)
        except Exception:
            logger.exception("a record of %s cannot be read and is left out", self.instance)
            self._commit(frame.end)
            return
        if isinstance(found, FlowDelta):
            self._views.delta(found)
            self._commit(frame.end)
            return
        self._show(frame.kind & ~BODIES_DROPPED, found)
        self._writer.record(
            found,
            instance=self.instance,
            bodies_dropped=bool(frame.kind & BODIES_DROPPED),
            on_committed=lambda: self._commit(frame.end),
        )

    def _commit(self, end: int) -> None:
        """Note that a frame need not be kept; called on the loop and on the writer's thread."""
        self._order.commit(end)
        # The two threads must not release in the wrong order.
        with self._releasing:
            self._reader.release(self._order.committed)

    def _show(self, kind: int, record: FlowRecord) -> None:
        if kind == FINISHED:
            self._views.finished(record)
        elif kind == STARTED:
            self._views.started(record)
        else:
            self._views.progress(record)
