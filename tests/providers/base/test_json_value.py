from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base.json_value import MAX_DEPTH, check_json


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        {"a": [float("nan")]},
        "a\0b",
        {"a\0b": 1},
        ["\ud800"],
        {"x": {"\udfff": 1}},
        nested(MAX_DEPTH + 1),
    ],
)
def test_what_no_database_holds_is_refused(value):
    assert check_json(value)


@pytest.mark.parametrize(
    "value", [None, True, 1e300, 10**400, "\x01é😀", nested(MAX_DEPTH), {"a": [1, {"b": ""}]}]
)
def test_what_can_be_stored_passes(value):
    assert check_json(value) is None


@given(
    st.recursive(
        st.floats() | st.text(st.characters()),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    )
)
def test_what_passes_survives_strict_json_in_utf_8(value):
    if check_json(value) is None:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        assert json.loads(text) == value
        assert b"\\u0000" not in text
