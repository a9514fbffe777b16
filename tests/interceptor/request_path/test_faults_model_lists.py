"""`/v1/models` of providers behind a company's proxy, and of servers that list in other ways."""

from __future__ import annotations

import httpx
import pytest

from interceptor.request_path.upstream_models import names_in
from providers.base.upstream_proxy import choose_proxies
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import provider, running_proxy, snapshot


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
