"""The recorder's judgement whether flows are stored."""

from __future__ import annotations

from dataclasses import replace

from ccproxy_site.mains.recording_watch import AFTER_S, RecordingWatch
from flows.writer.writer_stats import WriterStats

FINE = WriterStats(
    queue_depth=0,
    queue_bytes=0,
    written=9,
    bodies_dropped=0,
    records_dropped=0,
    records_failed=0,
    pruned=0,
    lag_s=0.0,
    last_error="",
    is_refused=False,
    spooled_files=0,
)
REFUSED = replace(FINE, is_refused=True, last_error="OperationalError: host db.corp refused sa")


class World:
    """What the watch looks at."""

    def __init__(self) -> None:
        self.now, self.stats, self.fills = 100.0, FINE, list[float]()
        self.watch = RecordingWatch(lambda: self.stats, lambda: self.fills, lambda: self.now)


def test_a_short_refusal_is_no_problem() -> None:
    world = World()
    world.stats = REFUSED
    assert world.watch.look() == ""
    world.now += AFTER_S / 2
    assert world.watch.look() == ""
    world.stats = FINE
    assert world.watch.look() == ""
    world.now += 10 * AFTER_S
    world.stats = REFUSED
    assert world.watch.look() == "", "it counts from its own beginning"


def test_a_long_one_is_said_without_details_of_the_database() -> None:
    world = World()
    world.stats = REFUSED
    world.watch.look()
    world.now += AFTER_S
    assert world.watch.look().startswith("the database does not take flows; they wait in memory,")
    assert "db.corp" not in world.watch.problem
    world.stats = replace(REFUSED, spooled_files=3)
    assert "in memory and in the folder spool" in world.watch.look()
    world.stats = FINE
    assert world.watch.look() == world.watch.problem == ""


def test_a_ring_that_fills_up_is_said() -> None:
    world = World()
    world.fills = [0.1, 0.7]
    assert world.watch.look() == ""
    world.fills = [0.1, 0.8]
    assert world.watch.look().startswith("flows come faster than they are stored")
