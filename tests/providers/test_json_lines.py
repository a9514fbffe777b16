"""Stored JSON for people: lines without brackets, and nothing that a browser would run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.web.json_lines import json_lines

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"cause": "529", "left_s": 2.9}, ["cause: 529", "left s: 2.9"]),
        (
            {"is_on": True, "path": "", "names": ["a", "b"]},
            ["is on: yes", "path: –", "names: a, b"],
        ),
        ([["flows", {"outcome": "ok"}, 3]], ["flows, outcome ok, 3"]),
    ],
)
def test_each_entry_has_a_line(value: Any, lines: list[str]) -> None:
    assert json_lines(value) == f'<div class="cc-lines">{"<br>".join(lines)}</div>'


@pytest.mark.parametrize("value", [{}, [], None, ""])
def test_nothing_is_a_dash(value: Any) -> None:
    assert json_lines(value) == "–"


@given(value=JSON)
def test_no_text_becomes_an_element(value: Any) -> None:
    shown = json_lines({"a": value})
    assert shown.replace("<br>", "").count("<") == 2, "the frame alone has elements"
