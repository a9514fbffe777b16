"""A request with a grant on a running proxy: what passes, what is refused before anything leaves,
where it goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from interceptor.access.grant import HEADER, Grant, is_token
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import KEY, Running, provider, rule, running_proxy, snapshot

BODY = {"model": "m-1", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
SESSION = "5ba13327-6e60-496a-9b2b-53d6b9119725"


@dataclass
class Book:
    """Grants by token, each good for once."""

    grants: dict[str, Grant] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def redeem(self, token: str, flow_id: str) -> Grant | None:
        self.asked.append(token)
        if token == "broken":
            raise OSError("the database is gone")
        assert flow_id
        return self.grants.pop(token, None)


@dataclass
class Bench:
    """A proxy with a rule that changes the model, its provider, and the grants it knows."""

    proxy: Running
    upstream: Upstream
    book: Book

    def post(
        self, path: str = "/v1/messages", *, key: str = "sk-ccproxy-up", **headers: str
    ) -> httpx.Response:
        given = {"x-api-key": key} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return httpx.post(self.proxy.url + path, json=BODY, headers=given, trust_env=False)


@pytest.fixture(scope="module")
def running() -> Iterator[Bench]:
    book = Book()
    with Upstream(key=KEY) as upstream:
        rules = (rule(match_model="m-1", dest_provider="up", dest_model="m-2"),)
        config = snapshot(
            provider("up", upstream.port), provider("other", upstream.port + 1), rules=rules
        )
        with running_proxy(config, grants=book, require_token=True) as proxy:
            yield Bench(proxy, upstream, book)


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.book.grants.clear()
    running.book.asked.clear()
    running.upstream.requests.clear()
    return running


def forwarded_to(bench: Bench, name: str = "up") -> Grant:
    return Grant("t", True, name, f"http://127.0.0.1:{bench.upstream.port}", SESSION)


def test_a_grant_lets_a_request_through_the_pipeline_once_and_leaves_no_trace(bench: Bench) -> None:
    bench.book.grants["one"] = Grant("t")
    answer = bench.post(x_ccproxy_resend="one")
    assert answer.status_code == 200
    seen = bench.upstream.last
    assert (seen.json["model"], seen.header("x-api-key"), seen.header(HEADER)) == ("m-2", KEY, None)
    record = bench.proxy.sink.of(answer)
    assert not [name for side in record.sides for name, _ in side.headers if name.lower() == HEADER]
    again = bench.post(x_ccproxy_resend="one")
    assert (again.status_code, len(bench.upstream.requests)) == (403, 1)
    assert "used up" in again.text


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ccproxy_resend": "forged"},
        {"X_Ccproxy_Resend": ""},
        {"x_ccproxy_resend": "one", "origin": "http://a.test"},
    ],
)
def test_a_forged_one_never_reaches_the_provider(bench: Bench, headers: dict[str, str]) -> None:
    bench.book.grants["one"] = Grant("t")
    assert bench.post(**headers).status_code == 403
    assert bench.upstream.requests == []
    assert bench.book.grants  # a page cannot even use one up


def test_a_book_that_cannot_be_read_lets_nobody_through(bench: Bench) -> None:
    assert bench.post(x_ccproxy_resend="broken").status_code == 503
    assert bench.upstream.requests == []


def test_two_headers_are_none(bench: Bench) -> None:
    bench.book.grants["one"] = Grant("t")
    headers = [(HEADER, "one"), (HEADER, "two"), ("x-api-key", "sk-ccproxy-up")]
    answer = httpx.post(
        f"{bench.proxy.url}/v1/messages", json=BODY, headers=headers, trust_env=False
    )
    assert (answer.status_code, bench.upstream.requests) == (403, [])


def test_without_a_grant_a_token_is_asked_for_as_ever(bench: Bench) -> None:
    assert bench.post().status_code == 401
    assert bench.book.asked == []


def test_as_forwarded_skips_hooks_and_rules_and_puts_the_credential_where_it_stood(
    bench: Bench,
) -> None:
    bench.book.grants["one"] = forwarded_to(bench)
    answer = bench.post(
        "/v1/messages?beta=1", x_ccproxy_resend="one", anthropic_beta="redact-thinking-1"
    )
    assert answer.status_code == 200
    seen = bench.upstream.last
    assert (seen.json, seen.target) == (BODY, "/v1/messages?beta=1")
    assert (seen.header("x-api-key"), seen.header("anthropic-beta")) == (KEY, "redact-thinking-1")
    names = [name.lower() for name, _ in seen.headers]
    assert names.index("x-api-key") < names.index("anthropic-beta")
    record = bench.proxy.sink.of(answer)
    assert [step.stage for step in record.hooks] == ["transform", "egress"]
    assert (record.provider, record.session_id, record.rule) == ("up", SESSION, "")
    assert "sent again as forwarded" in record.route


@pytest.mark.parametrize(
    ("grant", "why"),
    [
        (Grant("t", True, "gone", "http://127.0.0.1:1"), "gone or switched off"),
        (Grant("t", True, "up", "http://127.0.0.1:1"), "no address of the provider “up” any more"),
        (Grant("t", True, "up", "https://evil.test"), "no address of the provider “up” any more"),
        (Grant("t", True, "up", "http://[::bad"), "is not recorded"),
    ],
)
def test_as_forwarded_goes_to_the_same_provider_or_nowhere(
    bench: Bench, grant: Grant, why: str
) -> None:
    bench.book.grants["one"] = grant
    answer = bench.post(x_ccproxy_resend="one")
    assert answer.status_code == 502
    assert why in json.loads(answer.text)["error"]["message"]
    assert bench.upstream.requests == []


def test_only_what_looks_like_a_token_is_looked_up() -> None:
    assert is_token("ccr-" + "a" * 43)
    assert not any(
        is_token(text)
        for text in ("", "ccr-", "ccr-" + "a" * 44, "cct-" + "a" * 43, "ccr-" + "ä" * 43)
    )
