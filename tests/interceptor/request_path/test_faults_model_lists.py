"""`/v1/models` of providers behind a company's proxy, and of servers that list in other ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptor.request_path.model_pages import MAX_MODELS, MAX_PAGES, ModelPages, names_in
from interceptor.request_path.upstream_models import UpstreamModels
from providers.auth.base import AuthConf
from providers.auth.resolve import Credential
from providers.base.upstream_proxy import choose_proxies
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.upstream import Script, Seen, Upstream
from tests.interceptor.proxied import provider, running_proxy, snapshot
from tests.patience import PATIENCE_S


def test_models_are_listed_by_way_of_the_proxy() -> None:
    with Upstream() as upstream, ConnectProxy(upstream.port) as corp:
        upstream.scripts["/v1/models"] = Script(pieces=(b'{"data": [{"id": "a"}]}',))
        conf = provider("corp", 80, host="llm.corp.test", type="openai", auth=None)
        proxies, _ = choose_proxies(f"http://me:secret-01@127.0.0.1:{corp.port}", {})
        with running_proxy(snapshot(conf), proxies=proxies) as proxy:
            listed = httpx.get(f"{proxy.url}/v1/models", trust_env=False).json()
        assert [entry["id"] for entry in listed["data"]] == ["a"]
        assert "llm.corp.test" in corp.heads[0]
        assert "proxy-authorization: basic" in corp.heads[0].lower()


def test_a_failing_proxy_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with ConnectProxy(1, refusal=b"HTTP/1.1 407 Proxy Authentication Required") as corp:
        conf = provider("corp", 443, host="llm.corp.test", scheme="https", auth=None)
        proxies, _ = choose_proxies(None, {"https_proxy": f"http://127.0.0.1:{corp.port}"})
        with running_proxy(snapshot(conf), proxies=proxies) as proxy:
            assert httpx.get(f"{proxy.url}/v1/models", trust_env=False).json()["data"] == []
    assert f"the proxy 127.0.0.1:{corp.port} (https_proxy)" in caplog.text


@pytest.mark.parametrize(
    "listed",
    [
        {"data": [{"id": "a"}, {"id": "b"}]},
        {"data": None, "models": [{"name": "models/a"}, {"name": "b"}]},
        {"data": [], "models": [{"slug": "a"}, {"slug": "b", "name": "B, the second"}]},
        {"models": [{"name": "A", "model": "a"}, {"model": "b"}]},
        {"models": ["a", "b"]},
        [{"id": "a"}, None, 5, {"id": 7}, {"id": ""}, {"id": "x\ny"}, {"id": " b "}],
        ["a", "b", "a"],
    ],
)
def test_lists_of_every_shape(listed: object) -> None:
    assert names_in(listed) == ("a", "b")


def test_a_byte_order_mark_before_a_list() -> None:
    with Upstream() as upstream:
        upstream.scripts["/v1/models"] = Script(pieces=(b'\xef\xbb\xbf["a"]',))
        conf = provider("local", upstream.port, type="openai", auth=None)
        with running_proxy(snapshot(conf)) as proxy:
            listed = httpx.get(f"{proxy.url}/v1/models", trust_env=False).json()
        assert [entry["id"] for entry in listed["data"]] == ["a"]


# --- pages

VENDORS = {
    "anthropic": ("after_id", "/v1/models"),
    "openai": ("after", "/v1/models"),
    "google": ("pageToken", "/v1beta/models"),
}


def page(vendor: str, names: Sequence[str], token: str) -> dict[str, Any]:
    """A page as the vendor writes it; `token` is "" on the last one."""
    if vendor == "google":
        listed: dict[str, Any] = {"models": [{"name": f"models/{name}"} for name in names]}
        return listed | ({"nextPageToken": token} if token else {})
    data = [{"id": name} for name in names]
    return {"data": data, "has_more": bool(token), "last_id": token or None}


def paged(vendor: str, pages: Sequence[Sequence[str]]) -> Callable[[Seen], Script]:
    """A server that gives the page that is asked for; positions are the pages' numbers."""

    def answer(seen: Seen) -> Script:
        query = dict(parse_qsl(seen.target.partition("?")[2]))
        number = int(query.pop(VENDORS[vendor][0], "0"))
        assert not query
        token = str(number + 1) if number + 1 < len(pages) else ""
        return Script(pieces=(json.dumps(page(vendor, pages[number], token)).encode(),))

    return answer


def listed_by(upstream: Upstream, vendor: str) -> list[str]:
    path = "/v1beta/models/{model}:{action}" if vendor == "google" else "/v1/x"
    conf = provider("p", upstream.port, type=vendor, path=path, auth=None)
    models = UpstreamModels(NoCredentials(), timeout_s=PATIENCE_S)
    return [name for _, name in asyncio.run(models.of([conf], refresh=True))]


class NoCredentials:
    """The providers here have none."""

    async def resolve(self, provider: str, auth: AuthConf) -> Credential | None:
        raise AssertionError(f"{provider} has no credential")


names_of_a_page = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None)
@given(vendor=st.sampled_from(sorted(VENDORS)), pages=st.lists(names_of_a_page, max_size=6))
def test_every_page_is_read_in_order(vendor: str, pages: list[list[str]]) -> None:
    # A server ends where a page brings nothing new, so that each page here has a name of its own.
    numbered = [[*names, f"page{number}"] for number, names in enumerate(pages)] or [["only"]]
    with Upstream() as upstream:
        upstream.scripts[VENDORS[vendor][1]] = paged(vendor, numbered)
        found = listed_by(upstream, vendor)
    assert found == list(dict.fromkeys(name for names in numbered for name in names))


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_a_loop_of_the_same_page_ends(vendor: str) -> None:
    with Upstream() as upstream:
        again = Script(pieces=(json.dumps(page(vendor, ["a"], "1")).encode(),))
        upstream.scripts[VENDORS[vendor][1]] = again
        assert listed_by(upstream, vendor) == ["a"]
        assert len(upstream.requests) == 2


@given(st.data())
def test_no_server_is_asked_without_end(data: st.DataObject) -> None:
    vendor = data.draw(st.sampled_from(sorted(VENDORS)))
    is_new = data.draw(st.booleans())
    pages = ModelPages("anthropic_messages" if vendor == "anthropic" else None)
    count = 0
    token: dict[str, str] | None = {}
    while token is not None:
        count += 1
        name = str(count) if is_new else data.draw(st.sampled_from("ab"))
        position = str(count) if data.draw(st.booleans()) else "same"
        token = pages.take(page(vendor, [name], position))
    assert count <= MAX_PAGES


def test_models_are_limited_over_all_pages() -> None:
    pages = ModelPages(None)
    for number in range(3):
        names = [f"{number}-{index}" for index in range(MAX_MODELS // 2)]
        pages.take(page("openai", names, str(number)))
    assert len(pages.names) == MAX_MODELS
    assert pages.take(page("openai", ["x"], "9")) is None


@pytest.mark.parametrize("token", [None, 5, True, {}, "", "x" * 5000])
def test_what_is_no_position_ends_the_list(token: Any) -> None:
    for name in ("nextPageToken", "last_id"):
        listed = {"data": [{"id": "a"}], "has_more": True, name: token, "last_id": token}
        assert ModelPages(None).take(listed) is None


def test_the_last_entry_is_the_position_where_a_server_gives_none() -> None:
    listed = {"data": [{"id": "a"}, {"id": "b"}], "has_more": True}
    assert ModelPages(None).take(listed) == {"after": "b"}


def test_the_pages_before_a_failure_count(caplog: pytest.LogCaptureFixture) -> None:
    with Upstream() as upstream:
        first = Script(pieces=(json.dumps(page("openai", ["a"], "1")).encode(),))
        upstream.scripts["/v1/models"] = lambda seen: Script(500) if "?" in seen.target else first
        assert listed_by(upstream, "openai") == ["a"]
    assert "does not list all its models: status 500" in caplog.text


def test_a_list_without_end_is_left(caplog: pytest.LogCaptureFixture) -> None:
    with Upstream() as upstream:
        pieces = (b'["a"', *[b" " * 100_000] * 60, b"]")
        upstream.scripts["/v1/models"] = Script(pieces=pieces, framing="chunked")
        assert listed_by(upstream, "openai") == []
    assert "over 4 MB" in caplog.text
