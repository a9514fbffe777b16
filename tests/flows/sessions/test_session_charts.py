"""Charts of a session: the time axis, and the growth of the context."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from flows.queries.sessions import session
from flows.sessions.context_areas import HEIGHT, context_areas
from flows.sessions.session_story import story
from flows.sessions.time_axis import TRACK_HEIGHT, WIDTH, time_axis
from tests.flows.seed import add_flow
from tests.flows.seed_session import SESSION, seed_session
from tests.flows.sessions.test_session_story import exchange, text

pytestmark = pytest.mark.django_db


def test_requests_stand_on_a_time_axis() -> None:
    main: dict[str, Any] = {"session_id": "s", "conversation_id": "m", "input_tokens": 99}
    add_flow("a", 10, duration_ms=60_000, first_event_ms=15_000, **main)
    add_flow("b", 9.5, duration_ms=60_000, **main)
    add_flow("c", 9, duration_ms=120_000, state="error", **main)
    add_flow("d", 8, session_id="s", conversation_id="side")
    found = session("s")
    assert found is not None
    axis = time_axis(found)
    assert (axis.total_ms, axis.height) == (180_000, 3 * TRACK_HEIGHT)
    assert [[bar.row.flow.pk for bar in track.bars] for track in axis.tracks] == [
        ["a", "c"],
        ["b"],
        ["d"],
    ]
    assert [track.letter for track in axis.tracks] == ["A", "", "B"]
    first, third = axis.tracks[0].bars
    places = (first.x, first.wait_width, first.answer_x, first.answer_width)
    assert places == pytest.approx((0, WIDTH / 12, WIDTH / 12, WIDTH / 4))
    assert (third.is_failed, first.is_failed) == (True, False)
    assert axis.tracks[2].bars[0].answer_width > 0
    assert axis.ticks_ms[-1] == axis.total_ms


def test_the_context_grows_by_kinds() -> None:
    ask = {"role": "user", "content": "x" * 100}
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "y" * 300}
    history = [ask, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    exchange("m1", 3, [ask], [call], conversation_id="m")
    exchange("m2", 2, history, [text("Done.")], conversation_id="m")
    found = session("agent")
    assert found is not None
    areas = context_areas(story(found, lambda flow, number, media: ""))
    assert areas is not None
    by_name = {area.name: area for area in areas.areas}
    assert areas.requests == 2
    assert by_name["results"].newest_bytes == 300
    assert 100 < by_name["user"].newest_bytes < 150
    assert areas.highest_bytes == by_name["user"].newest_bytes + 300
    # The results begin at the first request without height and end at the top.
    corners = [corner.split(",") for corner in by_name["results"].points.split()]
    assert [float(y) for _, y in corners[:2]] == [corners[3][1] and float(corners[3][1]), 0.0]
    assert all(0 <= float(y) <= HEIGHT for _, y in corners)


def test_one_request_is_no_line() -> None:
    exchange("m1", 3, [{"role": "user", "content": "x"}], [text("y")], conversation_id="m")
    found = session("agent")
    assert found is not None
    assert context_areas(story(found, lambda flow, number, media: "")) is None


def test_the_pages_show_them(staff: Client) -> None:
    seed_session()
    timeline = staff.get(f"/flows/session/{SESSION}/?tab=timeline").content.decode()
    assert timeline.count('class="axis-wait"') == 3 + 1  # and the legend
    context = staff.get(f"/flows/session/{SESSION}/?tab=context").content.decode()
    assert context.count("<polygon") == 4
    assert context.count('class="area-break"') == 2 + 1
