"""The few events that an agent reads, of the many that a producer sends.

Known producers put `tier` into their events: 1 for a frame, 2 for a change, 3 for a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from interceptor.notes.note_book import TaskEvents

BUDGET_BYTES: Final = 8 * 1024
"""Size of all events of one request as JSON."""
MAX_TEXT_CHARS: Final = 4_000
_TEXTS: Final = ("summary", "report", "screen_text", "message", "text")
_NOT_CONTENT: Final = frozenset({"timestamp", "frame_index", "tier"})


def coalesce(found: TaskEvents, budget_bytes: int = BUDGET_BYTES) -> list[dict[str, Any]]:
    """Return the events of a task that an agent gets, the oldest first.

    Trivial events are left out; a report (tier 3) replaces everything before it; of frames
    (tier 1) that follow each other the last one stays. Of the rest the newest fit the budget.

    tiers 1, 1, 2, 1, 1 → 1 (the second), 2, 1 (the last)
    tiers 1, 2, 3, 1 → 3, 1
    """
    events = [event for event in map(orjson.loads, found.events) if not _is_trivial(event)]
    kept = _within(_collapsed(_since_report(events)), budget_bytes)
    if found.dropped:
        marker = {
            "type": "ccproxy_buffer_overflow",
            "dropped_events": found.dropped,
            "max_events": found.max_events,
        }
        return [marker, *kept]
    return kept


def _is_trivial(event: dict[str, Any]) -> bool:
    """Return True for an event without content: `{"tier": 1, "screen_text": " "}`."""
    return not any(
        value.strip() if isinstance(value, str) else value not in (None, [], {})
        for name, value in event.items()
        if name not in _NOT_CONTENT
    )


def _since_report(events: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    for index in range(len(events) - 1, -1, -1):
        if events[index].get("tier") == 3:
            return events[index:]
    return events


def _collapsed(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for event in events:
        if kept and event.get("tier") == 1 and kept[-1].get("tier") == 1:
            kept[-1] = event
        elif not kept or event != kept[-1]:
            kept.append(event)
    return kept


def _within(events: Sequence[dict[str, Any]], budget_bytes: int) -> list[dict[str, Any]]:
    """Return the newest events that fit, with their texts cut."""
    kept: list[dict[str, Any]] = []
    left = budget_bytes
    for event in reversed(events):
        short = _shortened(event, budget_bytes)
        left -= len(orjson.dumps(short))
        if left < 0:
            break
        kept.insert(0, short)
    return kept


def _shortened(event: dict[str, Any], budget_bytes: int) -> dict[str, Any]:
    """Return an event whose size is half the budget at most: texts are cut, else dropped."""
    limit = min(MAX_TEXT_CHARS, budget_bytes // 8)
    if len(orjson.dumps(event)) <= budget_bytes // 2:
        return event
    cut = {
        name: f"{value[:limit]}…" if isinstance(value, str) and len(value) > limit else value
        for name, value in event.items()
    }
    if len(orjson.dumps(cut)) <= budget_bytes // 2:
        return cut
    known = {name: cut[name] for name in ("timestamp", "tier", *_TEXTS) if _is_short(cut, name)}
    return {**known, "cut": "this event was too large"}


def _is_short(event: dict[str, Any], name: str) -> bool:
    value = event.get(name)
    return isinstance(value, str | int | float) and len(str(value)) <= MAX_TEXT_CHARS
