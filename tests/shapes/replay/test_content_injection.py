"""Injection of content into a shape's body: strategies, order of keys, and what holds for any body."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapes.replay.content_injection import inject
from shapes.replay.merge_strategy import BadStrategy, Strategy, parse_strategy

SHAPE = {"model": "shape", "system": ["S1", "S2", "S3"], "betas": [1], "metadata": {"user_id": "x"}}


def injected(incoming: dict[str, Any], **strategies: str) -> dict[str, Any]:
    content = {name: parse_strategy(text) for name, text in strategies.items()}
    return inject(SHAPE, incoming, content).body


def test_an_absent_content_field_is_absent_and_not_the_shapes():
    assert injected({}, model="replace") == {
        "system": ["S1", "S2", "S3"],
        "betas": [1],
        "metadata": {"user_id": "x"},
    }


def test_null_is_a_value_of_the_client():
    assert injected({"model": None}, model="replace")["model"] is None


@pytest.mark.parametrize(
    ("strategy", "incoming", "expected"),
    [
        ("prepend_shape", ["I"], ["S1", "S2", "S3", "I"]),
        ("prepend_shape:2", ["I"], ["S1", "S2", "I"]),
        ("append_shape:1", ["I"], ["I", "S1"]),
        ("prepend_shape:1", "be brief", ["S1", {"type": "text", "text": "be brief"}]),
        ("prepend_shape:1", None, ["S1"]),
        ("append_shape", [], ["S1", "S2", "S3"]),
        ("prepend_shape:0", "text", "text"),
        ("prepend_shape:9", {"type": "text"}, ["S1", "S2", "S3", {"type": "text"}]),
    ],
)
def test_lists_are_joined(strategy, incoming, expected):
    assert injected({"system": incoming}, system=strategy)["system"] == expected


def test_a_missing_list_is_the_shapes_part():
    assert injected({}, system="prepend_shape:2")["system"] == ["S1", "S2"]


def test_a_dropped_field_is_absent_in_both():
    assert "metadata" not in injected({"metadata": {"user_id": "me"}}, metadata="drop")


def test_fields_keep_the_reference_clients_order_and_others_follow():
    content = {name: parse_strategy("replace") for name in ("model", "messages", "top_k")}
    shape = {"betas": [1], "stream": True}
    incoming = {"top_k": 3, "messages": [], "model": "m", "extra": 1}
    found = inject(shape, incoming, content, ("model", "betas", "messages"))
    assert list(found.body) == ["model", "betas", "messages", "stream", "top_k"]
    assert found.dropped == ("extra",)
    assert found.origins == {
        "model": "client",
        "betas": "shape",
        "messages": "client",
        "stream": "shape",
        "top_k": "client",
    }


@pytest.mark.parametrize(
    "text", ["", "prepend", "prepend_shape:", "drop:1", "append_shape:-1", 3, None]
)
def test_an_unknown_strategy_is_refused_with_the_choices(text):
    with pytest.raises(BadStrategy, match="choose one of: replace, drop"):
        parse_strategy(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["model", "system", "messages", "tools", "x", "y", "z"])
BODIES = st.dictionaries(NAMES, JSON, max_size=7)
STRATEGIES = st.one_of(
    st.sampled_from([Strategy("replace"), Strategy("drop")]),
    st.builds(
        Strategy,
        st.sampled_from(["prepend_shape", "append_shape"]),
        st.none() | st.integers(0, 3),
    ),
)
CONTENT = st.dictionaries(NAMES, STRATEGIES, max_size=7)


def is_contained(value: Any, result: Any, strategy: Strategy) -> bool:
    """Return True where nothing of a content field was lost."""
    if strategy.kind == "replace" or result == value:
        return bool(result == value)
    wanted = value if isinstance(value, list) else [value]
    if isinstance(value, str):
        wanted = [{"type": "text", "text": value}]
    ends = (result[: len(wanted)], result[len(result) - len(wanted) :])
    return value is None or wanted in ends


@given(shape=BODIES, incoming=BODIES, content=CONTENT, order=st.lists(NAMES, unique=True))
def test_injection_loses_no_content_keeps_the_order_and_is_idempotent(
    shape, incoming, content, order
):
    shape_before, incoming_before = copy.deepcopy(shape), copy.deepcopy(incoming)
    found = inject(shape, incoming, content, order)
    assert (shape, incoming) == (shape_before, incoming_before)
    assert found.body.keys() == found.origins.keys()
    for name, strategy in content.items():
        if name in incoming and strategy.kind != "drop":
            assert is_contained(incoming[name], found.body[name], strategy)
    for name in found.body:
        assert name in content or found.body[name] == shape[name]
    wanted = list(dict.fromkeys([*order, *shape, *incoming]))
    assert list(found.body) == [name for name in wanted if name in found.body]
    again = inject(shape, found.body, content, order)
    assert (again.body, list(again.body)) == (found.body, list(found.body))
