"""Requests without an output limit, for a vendor that requires one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .asking import A, C, R, go, user


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-3-7-sonnet-latest", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-opus-4", 32_000),
        ("anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("anthropic/claude-opus-4.5", 64_000),
        ("claude-sonnet-4-5", 64_000),
        ("claude-haiku-4-5-20251001", 64_000),
        ("claude-opus-4-6", 128_000),
        ("claude-opus-5-5", 128_000),
        ("claude-sonnet-5-5", 128_000),
        ("some-other-model", 8192),
    ],
)
def test_the_models_own_limit_is_asked_for(model: str, limit: int) -> None:
    body = {"model": model, "input": [user()]}
    assert go(body, R, A, model)[0]["max_tokens"] == limit
    assert go({**body, "max_output_tokens": 17}, R, A, model)[0]["max_tokens"] == 17


@given(
    model=st.sampled_from(["claude-opus-4-1", "claude-sonnet-4-5", "claude-3-7-sonnet", "other"]),
    effort=st.sampled_from(["minimal", "low", "medium", "high", "xhigh", "max"]),
)
def test_thinking_fits_into_the_limit(model: str, effort: str) -> None:
    body = {"model": model, "messages": [user()], "reasoning_effort": effort}
    sent, _ = go(body, C, A, model)
    budget = sent["thinking"].get("budget_tokens", 0)
    assert budget < sent["max_tokens"]
    largest = {"claude-opus-4-1": 32_000, "claude-sonnet-4-5": 64_000, "claude-3-7-sonnet": 64_000}
    assert sent["max_tokens"] == largest.get(model, sent["max_tokens"])
