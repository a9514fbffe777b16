"""Waits that providers ask for, in every known form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.rules.retry_hints import wait_hint_s

NOW_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z
INFO = b'{"error":{"details":[{"@type":"a/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}'


def hint(*headers: tuple[str, str], status: int = 429, body: bytes = b"") -> float | None:
    return wait_hint_s(status, headers, body, now_s=NOW_S)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([("Retry-After", "7")], 7),
        ([("retry-after", "1.5")], 1.5),
        ([("retry-after", "Thu, 01 Jan 2026 00:00:09 GMT")], 9),
        ([("retry-after", "Wed, 31 Dec 2025 23:59:00 GMT")], 0),
        ([("retry-after", "soon")], None),
        ([("retry-after", "-3")], None),
        ([("retry-after-ms", "250"), ("retry-after", "1")], 0.25),
        ([("retry-after-ms", "x"), ("retry-after", "1")], 1),
        ([("x-ratelimit-reset-requests", "6m0s")], 360),
        ([("x-ratelimit-remaining-tokens", "10"), ("x-ratelimit-reset-tokens", "9s")], None),
        ([("x-ratelimit-reset-requests", "1s"), ("x-ratelimit-reset-tokens", "2s")], 2),
        ([("anthropic-ratelimit-tokens-remaining", "0"),
          ("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:05Z"),
          ("anthropic-ratelimit-requests-remaining", "3"),
          ("anthropic-ratelimit-requests-reset", "2026-01-01T01:00:00Z")], 5),
        ([("x-ratelimit-reset", "1767225604000")], 4),
        ([("x-ratelimit-reset", "1767225603")], 3),
        ([], None),
    ],
)  # fmt: skip
def test_headers(headers: list[tuple[str, str]], wait_s: float | None) -> None:
    assert hint(*headers) == wait_s


def test_the_body_comes_after_the_headers_that_name_a_wait() -> None:
    assert hint(body=INFO) == 3.5
    assert hint(("retry-after", "1"), body=INFO) == 1
    assert hint(("x-ratelimit-reset", "9"), body=INFO) == 3.5


def test_reset_headers_count_for_a_rate_limit_alone() -> None:
    assert hint(("x-ratelimit-reset", "9"), status=503) is None
    assert hint(("retry-after", "9"), status=503) == 9


@given(st.text(), st.text(), st.text(), st.binary())
def test_any_text_is_a_wait_or_none(after: str, milliseconds: str, reset: str, body: bytes) -> None:
    headers = [
        ("retry-after", after),
        ("retry-after-ms", milliseconds),
        ("x-ratelimit-reset", reset),
    ]
    wait_s = wait_hint_s(429, headers, body, now_s=NOW_S)
    assert wait_s is None or wait_s >= 0
