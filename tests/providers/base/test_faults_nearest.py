"""Suggestions for misspelt names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.hooks.table import find_hook
from providers.base.errors import ConfigError
from providers.base.nearest import nearest

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
