"""Bodies parsed as frame and conversation: the value is always that of the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.core.framed_json import MAX_FRAMES, FrameMemo, frame_of
from providers.wire.core.jsonio import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
MEMBERS = st.dictionaries(
    st.sampled_from(["model", "system", "tools", "stop", "input", "max_tokens"]), VALUES
)


def body(before: dict[str, Any], messages: list[Any], behind: dict[str, Any]) -> dict[str, Any]:
    return {**before, "messages": messages, **behind}


def memo_with(value: dict[str, Any]) -> FrameMemo:
    memo = FrameMemo(min_bytes=0)
    memo.learn(value, dumps(value))
    return memo


@given(before=MEMBERS, behind=MEMBERS, first=st.lists(VALUES), second=st.lists(VALUES))
def test_the_next_body_of_a_session_is_parsed_in_parts(
    before: dict[str, Any], behind: dict[str, Any], first: list[Any], second: list[Any]
) -> None:
    memo = memo_with(body(before, first, behind))
    value = body(before, second, behind)
    data = dumps(value)
    parsed = memo.parse(data)
    assert parsed is not None
    found, frame = parsed
    assert found == loads(data)
    assert frame.filled(frame.inside(data)) == data
    # The keys stand in the order of the bytes.
    assert list(found) == list(value)


@given(
    before=MEMBERS,
    behind=MEMBERS,
    inside=st.sampled_from(
        [
            b'[1],"model":"other"',
            b'[1],"messages":[2]',
            b'[1] , "mod\\u0065l" : [2]',
            b"[1],[2]",
            b"[1]]",
            b"",
            b"[1",
            b'["\x01"]',
            b'["\\ud800"]',
        ]
    ),
)
def test_what_is_not_one_value_between_frame_and_end_is_no_conversation(
    before: dict[str, Any], behind: dict[str, Any], inside: bytes
) -> None:
    value = body(before, [0], behind)
    frame = frame_of(value)
    assert frame is not None
    assert memo_with(value).parse(frame.filled(memoryview(inside))) is None


def test_the_longest_frame_that_fits_is_taken() -> None:
    short = {"model": "m", "messages": [1], "stream": True}
    long = {"model": "m", "messages": [1], "tools": [{"name": "t"}], "stream": True}
    memo = memo_with(short)
    memo.learn(long, dumps(long))
    memo.learn(short, dumps(short))
    for value in (short, long):
        parsed = memo.parse(dumps(value))
        assert parsed is not None and parsed[0] == value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"messages": "text"}, None),
        ([1], None),
        ({"model": "m"}, None),
        # With spaces, as older clients write.
        ({"model": "m", "messages": [1]}, b'{"model": "m", "messages": [1]}'),
        # The second of two keys counts, so the bytes are not those that we would write.
        ({"model": "b", "messages": [1]}, b'{"model":"a","messages":[1],"model":"b"}'),
    ],
)
def test_bodies_without_a_frame_teach_nothing(value: Any, data: bytes | None) -> None:
    memo = FrameMemo(min_bytes=0)
    memo.learn(value, data or json.dumps(value).encode())
    assert memo.parse(data or dumps(value)) is None


def test_a_bounded_number_is_kept_and_the_oldest_goes() -> None:
    bodies = [{"model": f"m{number}", "messages": [1]} for number in range(MAX_FRAMES + 1)]
    memo = FrameMemo(min_bytes=0)
    for value in bodies:
        memo.learn(value, dumps(value))
    assert memo.parse(dumps(bodies[0])) is None
    assert all(memo.parse(dumps(value)) for value in bodies[1:])
