"""Suggestions for misspelt names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.hooks.table import find_hook
from providers.base.errors import ConfigError
from providers.base.nearest import name_hint, nearest, no_such

KNOWN = ["openai", "anthropic", "upstream_proxy", "verbose_mode"]


@given(st.sampled_from(KNOWN), st.integers(0, 5))
def test_a_missing_letter_or_another_case_is_seen_through(name: str, position: int) -> None:
    assert nearest(name.upper(), KNOWN) == name
    assert nearest(name[:position] + name[position + 1 :], KNOWN) == name


@given(st.text())
def test_only_known_names_are_suggested(word: str) -> None:
    assert nearest(word, KNOWN) in ("", *KNOWN)


def test_a_misspelt_hook() -> None:
    with pytest.raises(ConfigError, match=r"did you mean verbose_mode\?"):
        find_hook("verbos_mode")


@given(st.text(), st.lists(st.text(max_size=20), max_size=50))
def test_a_hint_is_one_printable_line(word: str, names: list[str]) -> None:
    for text in (no_such("thing", word, names), name_hint(word, names)):
        assert text.isprintable()
        assert len(text) < 4000


@given(st.sampled_from(KNOWN))
def test_few_names_are_listed_and_many_are_not(name: str) -> None:
    assert name_hint(name[:-1], KNOWN) == (
        f"did you mean {name}? There are: anthropic, openai, upstream_proxy, verbose_mode"
    )
    many = [*KNOWN, *(f"{number:05}" for number in range(40))]
    assert name_hint(name[:-1], many) == f"did you mean {name}?"
    assert name_hint("zzz", many).endswith("00029 and 14 more")
    assert name_hint("zzz", []) == "there are none"


def test_the_begin_of_a_long_name_is_seen_through() -> None:
    assert nearest("claude", ["claude-subscription-of-work", "google"]).startswith("claude-")
