"""Names that break behind separators, changes in words, and the difference of two texts."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.templatetags.console import breakable, change_name, format_name, marked_against

TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40)
MARKED = re.compile(r"(.*?)(?:<mark>(.+)</mark>(.*))?", re.DOTALL)


def test_a_name_breaks_behind_its_separators_alone() -> None:
    assert breakable("content_block_delta") == "content_<wbr>block_<wbr>delta"
    assert breakable("caching.strip") == "caching.<wbr>strip"
    assert breakable("plain") == "plain"


@given(TEXTS)
def test_a_broken_name_says_the_same(name: str) -> None:
    assert unescape(breakable(name).replace("<wbr>", "")) == name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("header:x-api-key", "header x-api-key"),
        ("meta:session_id", "note session_id"),
        ("url", "address"),
        ("body:system", "body system"),
        ("body", "body"),
    ],
)
def test_changes_in_words(change: str, words: str) -> None:
    assert change_name(change) == words


def test_formats_have_names() -> None:
    assert format_name("anthropic_messages") == "Anthropic Messages"
    assert format_name("of tomorrow") == "of tomorrow"


def test_the_difference_of_two_texts_is_marked() -> None:
    assert marked_against("at 11:58", "at 12:03") == "at 1<mark>1:58</mark>"
    assert marked_against("a < b", "a < b") == "a &lt; b"


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_mark_leaves_out_nothing(start: str, one: str, other: str, end: str) -> None:
    marked = marked_against(f"{start}{one}{end}", f"{start}{other}{end}")
    found = MARKED.fullmatch(marked)
    assert found is not None
    before, middle, after = (unescape(part or "") for part in found.groups())
    assert f"{before}{middle}{after}" == f"{start}{one}{end}"
    # What both have at the ends stays without a mark.
    assert len(middle) <= len(one)
