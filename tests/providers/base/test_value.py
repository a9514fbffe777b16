"""Cheap values: slots, equality, hashes, copies with a change."""

from __future__ import annotations

from dataclasses import field, fields, replace
from typing import Any

import pytest

from flows.record import SideRecord
from interceptor.mitm.request_head import Head
from providers.base.value import value


@value
class Point:
    """A value with a default of each kind."""

    x: int
    y: int = 2
    tags: tuple[str, ...] = field(default_factory=tuple)


def test_it_has_slots_and_nothing_else() -> None:
    point = Point(1)
    assert not hasattr(point, "__dict__")
    for missing in ("z", "__dict__"):
        with pytest.raises(AttributeError):
            object.__setattr__(point, missing, 3)


def test_equal_values_are_one_key() -> None:
    assert Point(1) == Point(1, 2, ()) != Point(1, 3)
    assert hash(Point(1)) == hash(Point(1, 2))
    assert {Point(1): "a"} | {Point(1, 2): "b"} == {Point(1): "b"}
    assert len({Point(1), Point(2), Point(1, tags=("t",))}) == 3


def test_a_changed_copy_leaves_the_first_alone() -> None:
    point = Point(1)
    changed = replace(point, y=5)
    assert (changed, point) == (Point(1, 5), Point(1, 2))
    with pytest.raises(TypeError):
        replace(point, z=1)  # type: ignore[call-arg]


def test_it_is_a_dataclass_that_says_what_is_in_it() -> None:
    kind: Any = Point
    assert [each.name for each in fields(kind)] == ["x", "y", "tags"]
    assert kind.__match_args__ == ("x", "y", "tags")
    assert repr(Point(1)).endswith("Point(x=1, y=2, tags=())")


@pytest.mark.parametrize("made", [Head(b"GET", b"/", b"HTTP/1.1", (), 0), SideRecord("client")])
def test_the_products_values_can_be_keys(made: object) -> None:
    assert made in {made} and not hasattr(made, "__dict__")
