"""WebSockets are proxied with the credential; where the provider speaks none the client is told to
post.
"""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.conftest import REAL_KEY
from tests.e2e.process import Interceptor
from tests.fakes.upstream import Script, Upstream


def dial(proxy: Interceptor, key: str = "sk-ccproxy-up") -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{proxy.port}/v1/responses",
        additional_headers={"Authorization": f"Bearer {key}"},
        proxy=None,
    )


def test_messages_pass_and_are_recorded(upstream: Upstream, interceptor: Interceptor) -> None:
    upstream.scripts["/v1/responses"] = Script(echo=True)
    texts = [
        json.dumps({"type": "response.create", "n": n, "pad": "ä" * n}) for n in (1, 200, 50_000)
    ]
    with dial(interceptor) as client:
        assert client.response is not None
        flow_id = client.response.headers["x-ccproxy-flow"]
        for text in texts:
            client.send(text)
            assert client.recv() == text
    assert upstream.last.messages == texts
    assert upstream.last.header("authorization") == f"Bearer {REAL_KEY}"
    assert b"ccproxy" not in upstream.last.head.lower()
    flow = interceptor.flow(flow_id)
    assert flow["is_websocket"]
    rows = interceptor.rows(
        "select * from flows_websocketmessage where flow_id=? order by seq", flow["id"]
    )
    assert [row["from_client"] for row in rows] == [1, 0] * 3


def test_a_provider_without_the_format_is_a_426(
    upstream: Upstream, interceptor: Interceptor
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        dial(interceptor, "sk-ccproxy-plain")
    assert caught.value.response.status_code == 426
    assert upstream.requests == []


@pytest.mark.parametrize("status", [404, 405, 501, 200])
def test_a_provider_that_turns_out_to_speak_none_is_a_426(
    upstream: Upstream, interceptor: Interceptor, status: int
) -> None:
    upstream.scripts["/v1/responses"] = Script(
        status=status, pieces=(b'{"error": {"message": "no"}}',)
    )
    with pytest.raises(InvalidStatus) as caught:
        dial(interceptor)
    assert caught.value.response.status_code == 426


@pytest.mark.parametrize("status", [401, 429])
def test_other_refusals_are_the_providers_own(
    upstream: Upstream, interceptor: Interceptor, status: int
) -> None:
    upstream.scripts["/v1/responses"] = Script(
        status=status, pieces=(b'{"error": {"message": "no"}}',)
    )
    with pytest.raises(InvalidStatus) as caught:
        dial(interceptor)
    assert caught.value.response.status_code == status


def test_an_unknown_provider_is_named_by_post(upstream: Upstream, interceptor: Interceptor) -> None:
    """Codex uses POST after 426, whose 400 it shows."""
    with pytest.raises(InvalidStatus) as caught:
        dial(interceptor, "sk-ccproxy-nobody")
    assert caught.value.response.status_code == 426
    assert b"nobody" in caught.value.response.body
    assert upstream.requests == []
