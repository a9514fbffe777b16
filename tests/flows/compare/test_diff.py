"""Structural comparison of headers, JSON and text."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.compare.diff import HeaderChange, JsonChange, header_diff, json_diff, text_diff


def kinds(changes: list[HeaderChange]) -> list[tuple[str, str, str | None, str | None]]:
    return [(c.kind, c.name, c.before, c.after) for c in changes if c.kind != "same"]


def test_headers_are_matched_by_name_without_case():
    before = [["Host", "a"], ["x-api-key", "s"], ["Accept", "*/*"]]
    after = [["host", "b"], ["accept", "*/*"], ["authorization", "t"]]
    assert kinds(header_diff(before, after)) == [
        ("removed", "x-api-key", "s", None),
        ("changed", "host", "a", "b"),
        ("added", "authorization", None, "t"),
    ]


def test_a_header_that_only_moved_is_no_change_of_value():
    assert kinds(
        header_diff([["a", "1"], ["b", "2"], ["c", "3"]], [["b", "2"], ["c", "3"], ["a", "1"]])
    ) == [("moved", "a", "1", "1")]


def test_one_of_two_equal_headers_can_go():
    assert kinds(header_diff([["a", "1"], ["a", "1"]], [["a", "1"]])) == [
        ("removed", "a", "1", None)
    ]


@given(st.lists(st.tuples(st.sampled_from("abAB"), st.sampled_from("12"))), st.data())
def test_header_changes_account_for_every_line(before: list[Any], data: st.DataObject):
    after = data.draw(st.lists(st.tuples(st.sampled_from("abAB"), st.sampled_from("12"))))
    rows = header_diff(before, after)
    assert [(r.name, r.after) for r in rows if r.after is not None] == after
    old = sorted((r.name.lower(), r.before) for r in rows if r.before is not None)
    assert old == sorted((name.lower(), value) for name, value in before)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"model": "x"}, {"model": "y"}, [("changed", "model")]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("changed", "a.b[1]")]),
        ({"a": 1}, {"a": True}, [("changed", "a")]),
        ({"a": 1}, {"a": 1.0}, [("changed", "a")]),
        ({"a": None}, {}, [("removed", "a")]),
        ([], {}, [("changed", "")]),
        ({"m": ["a", "b", "c", "d"]}, {"m": ["a", "x", "b", "c", "d"]}, [("added", "m[1]")]),
        ({"m": ["a", "b", "c"]}, {"m": ["a", "c"]}, [("removed", "m[1]")]),
        (
            {"tools": [{"name": "x", "d": 1}, {"name": "y"}]},
            {"tools": [{"name": "y"}, {"name": "x", "d": 2}]},
            [("changed", "tools[name=x].d"), ("moved", "tools")],
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "x"}}]},
            {"tools": [{"type": "function", "function": {"name": "x", "strict": True}}]},
            [("added", "tools[name=x].function.strict")],
        ),
        (  # turns have no names: equal text in both does not make them the same turn
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
            {"messages": [{"role": "user", "content": "b"}]},
            [("removed", "messages[0]")],
        ),
    ],
)
def test_json_changes_are_named_by_their_place(
    before: Any, after: Any, changes: list[tuple[str, str]]
):
    assert [(c.kind, c.path) for c in json_diff(before, after)] == changes


def test_an_inserted_message_is_one_change_in_a_long_conversation():
    before = {"messages": [{"role": "user", "content": f"turn {n}"} for n in range(107)]}
    after = copy.deepcopy(before)
    after["messages"].insert(82, {"role": "user", "content": "inserted"})
    assert json_diff(before, after) == [
        JsonChange("added", "messages[82]", after={"role": "user", "content": "inserted"})
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "id", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_a_difference_is_never_missed_nor_made_up(before: Any, after: Any):
    def strict(value: Any) -> Any:  # True == 1 in Python, not in JSON
        if isinstance(value, dict):
            return {key: strict(item) for key, item in value.items()}
        return [strict(item) for item in value] if isinstance(value, list) else (type(value), value)

    assert bool(json_diff(before, after)) == (strict(before) != strict(after))


def test_text_is_compared_by_line_with_some_context():
    lines = [
        (line.sign, line.text)
        for line in text_diff("a\nb\nc\nd\ne", "a\nb\nC\nd\ne", context_lines=1)
    ]
    assert lines == [("@", "@@ -2,3 +2,3 @@"), (" ", "b"), ("-", "c"), ("+", "C"), (" ", "d")]


def test_lines_that_look_like_markers_survive():
    assert [(line.sign, line.text) for line in text_diff("--- a", "+++ b")[1:]] == [
        ("-", "--- a"),
        ("+", "+++ b"),
    ]
