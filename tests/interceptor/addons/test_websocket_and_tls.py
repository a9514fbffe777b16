"""Websockets, HTTP/2 and certificates, with a real proxy and real sockets."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import KEY, Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

BODY = b'{"model": "m", "messages": []}'


def _responses(port: int, **more: Any) -> Any:
    values = {"type": "openai_responses", "path": "/v1/responses", **more}
    return provider("oai", port, **values)


def test_a_websocket_is_proxied_with_the_credential_and_recorded() -> None:
    with Upstream() as upstream, running_proxy(snapshot(_responses(upstream.port))) as proxy:
        upstream.scripts["/v1/responses"] = Script(echo=True)
        headers = {"authorization": "Bearer sk-ccproxy-oai", "session-id": "s-9"}
        with connect(
            f"ws://127.0.0.1:{proxy.port}/v1/responses",
            additional_headers=headers,
            compression=None,
            proxy=None,
        ) as client:
            for text in ('{"type":"response.create"}', "x" * 40_000):
                client.send(text)
                assert client.recv() == text
        record = proxy.sink.wait()
        assert upstream.last.header("x-api-key") == KEY
        assert upstream.last.header("authorization") is None
        assert record.is_websocket and record.status_code == 101 and record.session_id == "s-9"
        assert [(m.from_client, m.content[:8]) for m in record.messages] == [
            (True, b'{"type":'), (False, b'{"type":'), (True, b"xxxxxxxx"), (False, b"xxxxxxxx"),
        ]  # fmt: skip


def test_a_provider_without_websockets_answers_426() -> None:
    with Upstream() as upstream, running_proxy(snapshot(provider("ant", upstream.port))) as proxy:
        headers = {"authorization": "Bearer sk-ccproxy-ant"}
        with pytest.raises(InvalidStatus) as refused:
            connect(
                f"ws://127.0.0.1:{proxy.port}/v1/messages", additional_headers=headers, proxy=None
            )
        assert refused.value.response.status_code == 426
        assert upstream.requests == []


@pytest.fixture
def authority(tmp_path: Path) -> Any:
    return make_authority(tmp_path)


def _post(proxy: Running) -> httpx.Response:
    return httpx.post(
        f"{proxy.url}/v1/messages", content=BODY, headers={"x-api-key": "sk-ccproxy-tls"}
    )


def test_http2_is_used_when_the_provider_offers_it(authority: Any) -> None:
    with Http2Upstream(authority.server_context(["h2", "http/1.1"])) as upstream:
        config = snapshot(provider("tls", upstream.port, scheme="https", host="localhost"))
        with running_proxy(config, ssl_verify_upstream_trusted_ca=str(authority.ca_file)) as proxy:
            with httpx.Client() as client:
                for _ in range(2):  # the connection to the client stays open
                    answer = client.post(
                        f"{proxy.url}/v1/messages",
                        content=BODY,
                        headers={"x-api-key": "sk-ccproxy-tls"},
                    )
                    assert answer.status_code == 200
            assert upstream.requests[-1].version == "HTTP/2"
            assert upstream.requests[-1].body == BODY
            assert upstream.requests[-1].header("x-api-key") == KEY


def test_a_bad_certificate_gets_no_credential(authority: Any) -> None:
    with (
        Upstream(authority.server_context(["http/1.1"])) as upstream,
        running_proxy(snapshot(provider("tls", upstream.port, scheme="https"))) as proxy,
    ):
        answer = _post(proxy)
        assert answer.status_code == 502
        assert "certificate" in answer.json()["error"]["message"].lower()
        assert upstream.requests == []


def test_an_unverified_provider_works_without_credential(authority: Any) -> None:
    with Upstream(authority.server_context(["http/1.1"])) as upstream:
        open_provider = provider("tls", upstream.port, scheme="https", verify_tls=False, auth=None)
        with running_proxy(snapshot(open_provider)) as proxy:
            assert _post(proxy).status_code == 200
            assert KEY not in str(upstream.last.headers)


def _refuses_connections(url: str) -> bool:
    """Return whether nothing listens at `url` any more."""
    try:
        httpx.get(url)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        # The kernel had accepted the connection when its listener closed, and resets it.
        return False
    return False


def test_open_streams_finish_when_the_proxy_stops() -> None:
    gate = threading.Event()
    with Upstream() as upstream, running_proxy(snapshot(provider("tls", upstream.port))) as proxy:
        upstream.scripts["/v1/messages"] = Script(
            headers=(("content-type", "text/event-stream"),), pieces=(b"data: 1\n\n",
            b"data: 2\n\n"),
            framing="chunked", gate=gate,
        )  # fmt: skip
        with httpx.stream(
            "POST",
            f"{proxy.url}/v1/messages",
            content=BODY,
            headers={"x-api-key": "sk-ccproxy-tls"},
        ) as answer:
            pieces = answer.iter_raw()
            assert next(pieces) == b"data: 1\n\n"
            stopper = threading.Thread(target=proxy.stop, args=(10,))
            stopper.start()
            while not _refuses_connections(f"{proxy.url}/health"):
                pass
            gate.set()
            assert b"".join(pieces) == b"data: 2\n\n"
        stopper.join(PATIENCE_S)
        assert proxy.sink.wait().state == "done"
