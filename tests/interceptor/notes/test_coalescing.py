"""The events that an agent gets."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interceptor.notes.coalescing import BUDGET_BYTES, coalesce
from interceptor.notes.note_book import TaskEvents


def of(*events: dict[str, Any], **more: Any) -> TaskEvents:
    return TaskEvents("t", "s", tuple(json.dumps(event) for event in events), **more)


def names(*events: dict[str, Any]) -> list[str]:
    return [event["summary"] for event in coalesce(of(*events))]


def event(tier: int, summary: str) -> dict[str, Any]:
    return {"tier": tier, "summary": summary, "frame_index": 1}


def test_frames_collapse_and_reports_supersede() -> None:
    assert names(event(1, "a"), event(1, "b"), event(2, "c"), event(1, "d"), event(1, "e")) == [
        "b",
        "c",
        "e",
    ]
    assert names(event(1, "a"), event(2, "b"), event(3, "c"), event(1, "d")) == ["c", "d"]
    assert names(event(2, "a"), event(2, "a"), event(2, "b")) == ["a", "b"]


def test_trivial_events_are_left_out() -> None:
    trivial: list[dict[str, Any]] = [
        {},
        {"tier": 1, "timestamp": 5},
        {"tier": 2, "summary": " ", "screen_text": "\n"},
    ]
    assert coalesce(of(*trivial)) == []
    assert names(*trivial, event(1, "a")) == ["a"]
    assert coalesce(of({"exit_code": 0})) == [{"exit_code": 0}]


def test_an_overflow_is_marked_first() -> None:
    found = coalesce(of(event(2, "a"), dropped=7, max_events=3))
    marker = {"type": "ccproxy_buffer_overflow", "dropped_events": 7, "max_events": 3}
    assert found[0] == marker
    assert len(found) == 2


def test_the_newest_fit_the_budget() -> None:
    found = coalesce(of(*({"tier": 2, "summary": f"{n}", "x": "y" * 900} for n in range(50))))
    assert len(json.dumps(found)) < BUDGET_BYTES + 500
    assert found[-1]["summary"] == "49"
    assert 5 < len(found) < 10
    (huge,) = coalesce(of({"tier": 3, "report": "r" * 60_000}))
    assert huge["report"].startswith("rrr")
    assert len(json.dumps(huge)) < BUDGET_BYTES


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["tier", "summary", "report", "x", "timestamp"]),
            st.one_of(st.integers(0, 4), st.text(max_size=3000), st.lists(st.text(), max_size=3)),
        ),
        max_size=20,
    )
)
def test_whatever_comes_is_bounded(events: list[dict[str, Any]]) -> None:
    found = coalesce(of(*events))
    assert len(found) <= len(events)
    assert (
        sum(len(json.dumps(each, ensure_ascii=False).encode()) for each in found) < 2 * BUDGET_BYTES
    )
