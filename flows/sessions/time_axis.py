"""A session's requests on a time axis: a track for each thread, a bar for each request. Pure.

Requests of a thread that overlap get further tracks, so that no bar hides another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from flows.failure import has_failed
from flows.queries.sessions import Row, Session

WIDTH: Final = 1000.0
TRACK_HEIGHT: Final = 20
_BAR_HEIGHT: Final = 14
_LEAST_WIDTH: Final = 1.5
"""A request of some milliseconds in a session of hours is still seen."""
_TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class TimeBar:
    """A request: its wait until the first event, then its response. In thousandths of the axis."""

    row: Row
    x: float
    y: float
    wait_width: float
    answer_x: float
    answer_width: float
    is_failed: bool

    @property
    def tone(self) -> str:
        """Class of its colour: what failed first, then a lost cache, then another thread."""
        if self.is_failed:
            return "failed"
        if self.row.cache_lost:
            return "lost"
        return "" if self.row.thread.main else "side"


@dataclass(slots=True)
class Track:
    """Requests of one thread, one after the other. Only a thread's first track has its letter."""

    letter: str
    ends_ms: float = 0.0
    bars: list[TimeBar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The tracks from top to bottom, and times at equal distances for the axis."""

    tracks: list[Track]
    total_ms: float
    ticks_ms: list[float]

    @property
    def height(self) -> int:
        """Height of the drawing in its own units, which are pixels."""
        return len(self.tracks) * TRACK_HEIGHT

    @property
    def bar_height(self) -> int:
        """Height of a bar."""
        return _BAR_HEIGHT


def time_axis(session: Session) -> TimeAxis:
    """Place the requests of a session on the axis.

    Example: requests of one thread from 0 to 5 s and from 5 to 10 s share a track; one of another
    thread from 2 to 4 s is on the track below.
    """
    total_ms = max((_end_ms(row) for row in session.rows), default=0.0)
    of_thread: dict[str, list[Track]] = {}
    for thread in session.threads:
        of_thread[thread.key] = [Track(thread.letter)]
    for row in session.rows:
        track = _free_track(of_thread[row.thread.key], row)
        track.ends_ms = _end_ms(row)
        track.bars.append(_bar(row, total_ms or 1.0))
    tracks = [track for found in of_thread.values() for track in found]
    placed = [_at_height(track, index) for index, track in enumerate(tracks)]
    ticks = [total_ms * number / _TICKS for number in range(_TICKS + 1)]
    return TimeAxis(placed, total_ms, ticks)


def _free_track(tracks: list[Track], row: Row) -> Track:
    for track in tracks:
        if track.ends_ms <= row.since_ms:
            return track
    tracks.append(Track(""))
    return tracks[-1]


def _end_ms(row: Row) -> float:
    return row.since_ms + (row.flow.duration_ms or 0.0)


def _bar(row: Row, total_ms: float) -> TimeBar:
    flow = row.flow
    duration_ms = flow.duration_ms or 0.0
    first_ms = flow.first_event_ms
    if first_ms is None:
        first_ms = flow.first_byte_ms
    wait_ms = duration_ms if first_ms is None else min(first_ms, duration_ms)
    scale = WIDTH / total_ms
    x = row.since_ms * scale
    wait_width = wait_ms * scale
    answer_width = max((duration_ms - wait_ms) * scale, _LEAST_WIDTH)
    return TimeBar(row, x, 0.0, wait_width, x + wait_width, answer_width, has_failed(flow))


def _at_height(track: Track, index: int) -> Track:
    y = index * TRACK_HEIGHT + (TRACK_HEIGHT - _BAR_HEIGHT) / 2
    bars = [replace(bar, y=y) for bar in track.bars]
    return Track(track.letter, track.ends_ms, bars)
