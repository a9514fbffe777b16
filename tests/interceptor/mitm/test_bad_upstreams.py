"""Whatever a provider does, its client gets an answer in time and in its own format, and the next
request is served.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from interceptor.config.snapshot.schema import Snapshot
from interceptor.mitm.ending.lost_peers import FAILED
from tests.e2e import raw
from tests.fakes.raw_upstream import GOOD, RawUpstream
from tests.fakes.upstream import Upstream, sse
from tests.interceptor.mitm.bad_upstream_checks import (
    PATHS,
    ask,
    begun,
    check_case,
    check_cut,
    check_next,
    every_format,
)
from tests.interceptor.mitm.misbehaving import CASES, CUTS, EVENT, STREAM_HEAD, Case, chunk
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S


@pytest.fixture(scope="module")
def configuration(raw_upstream: RawUpstream) -> Snapshot:
    return every_format(raw_upstream.port)


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.stalls], ids=lambda case: case.name
)
def test_its_client_gets_an_answer(
    case: Case, proxy: Running, raw_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    check_case(case, proxy, raw_upstream)
    assert "crashed" not in caplog.text and "Traceback" not in caplog.text


def test_a_connection_that_was_reset_before_its_address_was_asked_for(
    proxy: Running, raw_upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = asyncio.open_connection

    async def lost(*arguments: Any, **options: Any) -> Any:
        reader, writer = await usual(*arguments, **options)
        # So asyncio notes it when the system does not know the address any more.
        getattr(writer.transport, "_extra")["peername"] = None  # noqa: B009  # it is not typed
        return reader, writer

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "open_connection", lost)
        check_case(Case("reset", lambda: ["reset"], 502), proxy, raw_upstream, then_good=False)
    assert "was reset" in proxy.sink.records[-1].error
    check_next(proxy, raw_upstream)


def test_any_exception_of_a_connect_is_told(
    proxy: Running, raw_upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("an error in a library")

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "open_connection", broken)
        check_case(Case("broken", lambda: [GOOD], 502), proxy, raw_upstream, then_good=False)
    assert FAILED in proxy.sink.records[-1].error
    check_next(proxy, raw_upstream)


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 40 and len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cut", [cut for cut in CUTS if "hang" not in CUTS[cut]])
def test_a_stream_that_breaks_ends_with_an_error_event(
    cut: str, path: str, proxy: Running, raw_upstream: RawUpstream
) -> None:
    check_cut(cut, path, proxy, raw_upstream)


def test_the_event_follows_the_cut(proxy: Running, raw_upstream: RawUpstream) -> None:
    """Nothing else ends the wait: this proxy gives a silent provider much longer than the test."""
    raw_upstream.steps = begun(proxy, STREAM_HEAD + chunk(EVENT), then=["reset"])
    answer = ask(proxy)
    assert answer.complete and answer.body.startswith(EVENT)


def test_an_event_that_was_cut_is_closed_before_ours(
    proxy: Running, raw_upstream: RawUpstream
) -> None:
    half = EVENT + b'event: x\ndata: {"half'
    raw_upstream.steps = begun(proxy, STREAM_HEAD + chunk(half), then=["reset"])
    answer = ask(proxy)
    assert b'data: {"half\n\nevent: error\n' in answer.body


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 500\r\n", b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"],
)
def test_a_stream_that_can_take_no_event_is_seen_to_be_cut(
    framing: bytes, proxy: Running, raw_upstream: RawUpstream
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n"
    raw_upstream.steps = begun(proxy, head + chunk(EVENT), then=["reset"])
    answer = ask(proxy)
    assert (answer.status, answer.complete) == (200, False) and b"error" not in answer.body


def test_a_connection_survives_an_error_event(proxy: Running, raw_upstream: RawUpstream) -> None:
    for _ in range(3):
        # The provider closes its connection after GOOD, and the proxy keeps one for each client's: a
        # third request of this client could be sent into the close, which is a 502.
        with httpx.Client(headers={"x-api-key": "sk-ccproxy-up"}) as client:
            raw_upstream.steps = begun(proxy, STREAM_HEAD + chunk(EVENT), then=["reset"])
            cut = client.post(f"{proxy.url}/v1/messages", content=b"{}")
            assert b"event: error" in cut.content
            raw_upstream.steps = lambda: [GOOD]
            after = client.post(f"{proxy.url}/v1/messages", content=b"{}")
            assert after.status_code == 200
        streams = [response.extensions["network_stream"] for response in (cut, after)]
        assert streams[0] is streams[1]


# mitmproxy serves one proxy a process: from here on the tests start their own, and the one above is
# no longer used.


@pytest.mark.parametrize("read_first", [False, True])
def test_a_client_that_leaves_takes_the_upstream_with_it(read_first: bool) -> None:
    with Upstream() as upstream, running_proxy(snapshot(provider("up", upstream.port))) as proxy:
        pause_s = 0.05 if read_first else 10 * PATIENCE_S
        upstream.scripts["/v1/messages"] = sse(*[EVENT] * 2000, pause_s=pause_s)
        body = b'{"model":"m"}'
        headers = [
            ("Host", "localhost"),
            ("x-api-key", "sk-ccproxy-up"),
            ("Content-Length", str(len(body))),
        ]
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
            client.sendall(raw.request("POST", "/v1/messages", headers, body))
            upstream.wait_for(1)
            if read_first:
                assert client.recv(10)
        # The script sleeps longer than the wait, so only the disconnect can have ended the flow.
        record = proxy.sink.wait(1)
        assert record.state == "error" and "Client disconnected" in record.error
        if read_first:  # a sleeping script only notices when it writes
            assert upstream.last.client_gone.wait(PATIENCE_S)
