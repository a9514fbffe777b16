"""Token endpoints behind a company's proxy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from providers.auth import token_endpoint
from providers.auth.base import OAuthAuth
from providers.auth.oauth_kinds import oauth_auth
from providers.auth.token_endpoint import EndpointFailed
from providers.base.upstream_proxy import choose_proxies
from tests.fakes.connect_proxy import ConnectProxy
from tests.fakes.token_endpoint import TokenEndpoint


def _auth(folder: Path, endpoint: str) -> OAuthAuth:
    settings = {"file_path": str(folder / "l.json"), "endpoint": endpoint, "client_id": "c"}
    return oauth_auth("anthropic_oauth", settings, client_secret="")


def _ask(auth: OAuthAuth, refresh: str, port: int, **environ: str) -> dict[str, Any]:
    proxies, _ = choose_proxies(
        None, {"ALL_PROXY": f"http://me:secret-01@127.0.0.1:{port}"} | environ
    )
    fields = {"grant_type": "refresh_token", "refresh_token": refresh}
    return asyncio.run(token_endpoint.ask(auth, fields, "", 5, proxies))


def test_a_token_is_renewed_by_way_of_the_proxy(tmp_path: Path) -> None:
    with TokenEndpoint() as endpoint, ConnectProxy(_port(endpoint)) as corp:
        # The configuration refuses http:// here; https:// would need a certificate that httpx trusts.
        url = endpoint.url.replace("127.0.0.1", "login.corp.test")
        auth = _auth(tmp_path, endpoint.url).model_copy(update={"endpoint": url})
        _, refresh = endpoint.issue()
        assert _ask(auth, refresh, corp.port)["access_token"]
        assert "login.corp.test" in corp.heads[0]
        assert "proxy-authorization: basic" in corp.heads[0].lower()


def test_loopback_endpoints_need_no_proxy(tmp_path: Path) -> None:
    with TokenEndpoint() as endpoint, ConnectProxy(1) as corp:
        _, refresh = endpoint.issue()
        assert _ask(_auth(tmp_path, endpoint.url), refresh, corp.port)["access_token"]
        assert corp.heads == []


def test_a_refusal_names_the_proxy(tmp_path: Path) -> None:
    with ConnectProxy(1, refusal=b"HTTP/1.1 407 Proxy Authentication Required") as corp:
        auth = _auth(tmp_path, "https://login.corp.test/token")
        with pytest.raises(EndpointFailed) as refused:
            _ask(auth, "r", corp.port)
        assert f"the proxy 127.0.0.1:{corp.port} (ALL_PROXY)" in str(refused.value)
        assert "407" in str(refused.value) and "secret-01" not in str(refused.value)


def _port(endpoint: TokenEndpoint) -> int:
    return int(endpoint.url.split(":")[2].split("/")[0])
