from __future__ import annotations

import pytest

from providers.auth.sentinel import Sentinel, find_sentinel, provider_of


def found(headers: dict[str, str]) -> Sentinel | None:
    return find_sentinel(headers.get)


@pytest.mark.parametrize("prefix", ["sk-ant-oat-ccproxy-", "sk-ant-api03-ccproxy-", "sk-ccproxy-"])
def test_it_works(prefix: str) -> None:
    assert found({"x-api-key": prefix + "zai.work"}) == Sentinel("x-api-key", "zai.work")


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key", "api-key"])
def test_plain_headers(header: str) -> None:
    assert found({header: "sk-ccproxy-a"}) == Sentinel(header, "a")
    assert found({header: "Bearer sk-ccproxy-a"}) is None


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
def test_authorization_with_bearer_in_any_case(scheme: str) -> None:
    assert found({"authorization": f"{scheme}sk-ccproxy-a"}) == Sentinel("authorization", "a")


def test_the_first_header_in_order_wins_and_real_keys_are_passed_over() -> None:
    headers = {
        "authorization": "Bearer sk-ccproxy-second",
        "api-key": "sk-ccproxy-last",
        "x-goog-api-key": "AIzaReal",
    }
    assert found(headers) == Sentinel("authorization", "second")
    assert found({**headers, "x-goog-api-key": "sk-ccproxy-first"}) == Sentinel(
        "x-goog-api-key", "first"
    )


@pytest.mark.parametrize(
    "value", ["", "sk-ant-api03-real", "xsk-ccproxy-a", "SK-CCPROXY-a", "Basic sk-ccproxy-a"]
)
def test_no_sentinel(value: str) -> None:
    assert provider_of(value) is None
    assert found({"authorization": value}) is None


def test_a_bare_prefix_is_a_sentinel_that_names_nobody() -> None:
    assert provider_of("sk-ccproxy-") == ""
    assert found({"x-api-key": "sk-ccproxy-"}) == Sentinel("x-api-key", "")
