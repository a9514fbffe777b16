"""Long sessions of shaped requests, whose conversations leave as the client wrote them."""

from __future__ import annotations

import httpx

from providers.wire.core.framed_json import MIN_BYTES
from providers.wire.core.jsonio import loads
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import running_proxy
from tests.interceptor.shaping.reference import (
    ReferenceProvider,
    shape_row,
    shaped_snapshot,
    with_constants,
)
from tests.patience import PATIENCE_S

KEY = "sk-ccproxy-up"


def test_a_long_session_keeps_the_bytes_of_its_conversation(upstream: Upstream) -> None:
    ReferenceProvider(upstream, signed=True)
    # Escapes that we would not write show whose bytes left.
    first = rb'{"role":"user","content":"caf\u00e9 %s"}' % (b"x" * MIN_BYTES)
    more = b',{"role":"assistant","content":"a"},{"role":"user","content":"b\\/c"}'
    conversations = [b"[%s]" % first, b"[%s%s]" % (first, more)]
    with running_proxy(shaped_snapshot(upstream, with_constants(shape_row()))) as proxy:
        for conversation in conversations:
            response = httpx.post(
                proxy.url + "/v1/messages",
                content=b'{"model":"demo","max_tokens":9,"messages":%s}' % conversation,
                headers={"x-api-key": KEY, "content-type": "application/json"},
                timeout=PATIENCE_S,
            )
            # The provider has computed the digests.
            assert response.status_code == 200, response.text
            assert proxy.sink.of(response).shape_problem == ""
            assert upstream.last.json["messages"] == loads(conversation)
    assert conversations[1] in upstream.last.body
