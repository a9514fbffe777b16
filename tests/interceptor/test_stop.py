"""A proxy that stops ends what still runs: each client gets an error in its own format."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from interceptor.mitm.ending.drain import wait_until_idle
from interceptor.proxy import STOPPED
from interceptor.stock_addons import Proxyserver
from tests.fakes.http2_client import ask_h2
from tests.fakes.raw_upstream import RawUpstream
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

OF_EACH = 12
"""Streams of each format that run when the proxy stops."""
HELLO: Any = [{"role": "user", "content": "Hello"}]


def events(*values: dict[str, Any]) -> bytes:
    """Server-sent events, named where they have a type."""
    out = b""
    for value in values:
        name = b"event: %s\n" % str(value["type"]).encode() if "type" in value else b""
        out += name + b"data: " + json.dumps(value).encode() + b"\n\n"
    return out


ANTHROPIC = events(
    {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
     "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}},
)  # fmt: skip
CHAT = events(
    {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
     "choices": [{"index": 0, "delta": {"role": "assistant", "content": "hel"}}]},
)  # fmt: skip
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [],
            "status": "in_progress", "parallel_tool_calls": True, "tool_choice": "auto",
            "tools": []}  # fmt: skip
RESPONSES = events({"type": "response.created", "sequence_number": 0, "response": RESPONSE})
GOOGLE = events({"candidates": [{"content": {"role": "model", "parts": [{"text": "hel"}]}}]})


def read_anthropic(proxy: Running, path: str = "") -> str:
    client = anthropic.Anthropic(
        api_key=f"sk-ccproxy-{path or 'anthropic'}", base_url=proxy.url, max_retries=0
    )
    with client, pytest.raises(anthropic.APIStatusError) as failure:
        ask = client.messages.create(model="m", max_tokens=9, messages=HELLO, stream=True)
        for _ in ask:
            pass
    assert isinstance(failure.value.body, dict)
    return str(failure.value.body["error"]["message"])


def read_chat(proxy: Running, key: str = "chat") -> str:
    client = openai.OpenAI(api_key=f"sk-ccproxy-{key}", base_url=f"{proxy.url}/v1", max_retries=0)
    with client, pytest.raises(openai.APIError) as failure:
        for _ in client.chat.completions.create(model="m", messages=HELLO, stream=True):
            pass
    return failure.value.message


def read_responses(proxy: Running) -> str:
    client = openai.OpenAI(api_key="sk-ccproxy-oai", base_url=f"{proxy.url}/v1", max_retries=0)
    with client:
        seen: list[Any] = list(client.responses.create(model="m", input="hi", stream=True))
    assert [event.type for event in seen] == ["response.created", "error", "response.failed"]
    assert [event.sequence_number for event in seen] == [0, 1, 2]
    assert (seen[2].response.id, seen[2].response.status) == ("resp_1", "failed")
    assert seen[1].message == seen[2].response.error.message
    return str(seen[1].message)


def read_google(proxy: Running) -> str:
    options = genai_types.HttpOptions(base_url=proxy.url)
    client = genai.Client(api_key="sk-ccproxy-google", http_options=options)
    with pytest.raises(genai_errors.APIError) as failure:
        for _ in client.models.generate_content_stream(model="m", contents="hi"):
            pass
    client.close()
    return str(failure.value.message)


def read_translated(proxy: Running) -> str:
    """An OpenAI client of an Anthropic provider."""
    return read_chat(proxy, "anthropic")


READERS: tuple[Callable[[Running], str], ...] = (
    read_anthropic,
    read_chat,
    read_responses,
    read_google,
    read_translated,
)


NEVER_S = 600.0


def endless(start: bytes, content_type: str = "text/event-stream", **more: Any) -> Script:
    """Begin a response, and send nothing more."""
    headers = (("content-type", content_type), *more.pop("headers", ()))
    return Script(headers=headers, pieces=(start, b"never"), pause_s=NEVER_S, **more)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A provider that begins every stream and then says nothing more."""
    with Upstream() as server:
        starts = {
            "/v1/messages": ANTHROPIC,
            "/v1/chat/completions": CHAT,
            "/v1/responses": RESPONSES,
            "/v1/models/m:streamGenerateContent": GOOGLE,
        }
        for path, start in starts.items():
            server.scripts[path] = endless(start, framing="chunked")
        yield server


@pytest.fixture
def silent() -> Iterator[RawUpstream]:
    """A provider that takes every request and sends nothing."""
    with RawUpstream() as server:
        server.steps = lambda: ["hang"]
        yield server


@pytest.fixture
def proxy(upstream: Upstream, silent: RawUpstream) -> Iterator[Running]:
    port = upstream.port
    config = snapshot(
        provider("anthropic", port),
        provider("chat", port, type="openai", path="/v1/chat/completions"),
        provider("oai", port, type="openai_responses", path="/v1/responses"),
        provider("google", port, type="google", path="/v1beta/models/{model}:{action}"),
        provider("silent", silent.port),
    )
    with running_proxy(config) as running:
        yield running


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def server_of(proxy: Running) -> Proxyserver:
    server = proxy.proxy._master.addons.get("proxyserver")
    assert isinstance(server, Proxyserver)
    return server


def streaming(proxy: Running) -> int:
    """The number of streams whose first chunk has reached the proxy."""
    return len({delta.flow_id for delta in proxy.sink.deltas})


def test_streams_of_all_formats_end_with_the_error_of_their_format(proxy: Running) -> None:
    count = OF_EACH * len(READERS)
    with ThreadPoolExecutor(count) as pool:
        ends = [pool.submit(reader, proxy) for reader in READERS for _ in range(OF_EACH)]
        wait_until(lambda: streaming(proxy) == count or any(end.done() for end in ends))
        proxy.stop(0.05)
        for end in ends:
            assert STOPPED in end.result(PATIENCE_S)
    assert [record.state for record in proxy.sink.records] == ["error"] * count
    assert {record.error for record in proxy.sink.records} == {STOPPED}


@pytest.mark.parametrize("headers", [(), (("content-encoding", "gzip"),)])
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_a_body_that_can_take_no_error_is_cut(
    proxy: Running, upstream: Upstream, framing: str, headers: tuple[tuple[str, str], ...]
) -> None:
    """No terminator may pretend that it is complete."""
    script = endless(b"some bytes", "application/x-own", framing=framing, headers=headers)
    upstream.scripts["/v1/files/1"] = script
    with httpx.stream(
        "GET", f"{proxy.url}/v1/files/1", headers={"authorization": "Bearer sk-ccproxy-chat"}
    ) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"some bytes"
        proxy.stop(0.05)
        with pytest.raises(httpx.RemoteProtocolError):
            list(pieces)
    assert (proxy.sink.wait().state, proxy.sink.wait().error) == ("error", STOPPED)


@pytest.mark.parametrize(
    ("path", "key"), [("/v1/messages", "x-api-key"), ("/v1/chat/completions", "authorization")]
)
def test_a_request_that_waits_for_its_response_gets_503(
    proxy: Running, silent: RawUpstream, path: str, key: str
) -> None:
    value = "sk-ccproxy-silent" if key == "x-api-key" else "Bearer sk-ccproxy-silent"
    body = {"model": "m", "max_tokens": 5, "messages": HELLO}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.post, f"{proxy.url}{path}", json=body, headers={key: value})
        wait_until(lambda: bool(silent.requests))
        proxy.stop(0.05)
        response = answer.result(PATIENCE_S)
    assert (response.status_code, response.headers["connection"]) == (503, "close")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["message"] == STOPPED
    assert ("type" in response.json()) == (path == "/v1/messages")
    record = proxy.sink.of(response)
    assert (record.state, record.error) == ("error", STOPPED)


@pytest.mark.parametrize("stream", [True, False])
def test_over_http2(proxy: Running, silent: RawUpstream, stream: bool) -> None:
    key = "anthropic" if stream else "silent"
    headers = [(":method", "POST"), (":scheme", "http"), (":path", "/v1/messages"),
               (":authority", "127.0.0.1"), ("x-api-key", f"sk-ccproxy-{key}")]  # fmt: skip
    body = b'{"model":"m","max_tokens":5,"messages":[]}'
    with (
        ThreadPoolExecutor(1) as pool,
        socket.create_connection(("127.0.0.1", proxy.port)) as connection,
    ):
        connection.settimeout(PATIENCE_S)
        answer = pool.submit(ask_h2, connection, headers, body)
        wait_until(lambda: streaming(proxy) == 1 if stream else bool(silent.requests))
        proxy.stop(0.05)
        response = answer.result(PATIENCE_S)
    assert response.status == (200 if stream else 503)
    last = response.body.rpartition(b"data: ")[2] if stream else response.body
    assert json.loads(last)["error"] == {"type": "overloaded_error", "message": STOPPED}


def test_a_request_whose_body_is_under_way_gets_503(proxy: Running) -> None:
    head = "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: sk-ccproxy-silent\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(f"{head}Content-Length: 100000\r\n\r\nhalf".encode())
        wait_until(lambda: not proxy.on_loop(wait_until_idle(server_of(proxy), 0.0)))
        stopper = threading.Thread(target=proxy.stop, args=(0.05,))
        stopper.start()
        got = b""
        while data := connection.recv(65536):
            got += data
    stopper.join(PATIENCE_S)
    assert got.startswith(b"HTTP/1.1 503 ")
    assert STOPPED.encode() in got


def test_a_websocket_is_closed_as_going_away(proxy: Running, upstream: Upstream) -> None:
    upstream.scripts["/v1/responses"] = Script(echo=True)
    with connect(
        f"ws://127.0.0.1:{proxy.port}/v1/responses",
        additional_headers={"authorization": "Bearer sk-ccproxy-oai"},
        proxy=None,
    ) as client:
        client.send("hello")
        assert client.recv() == "hello"
        stopper = threading.Thread(target=proxy.stop, args=(0.05,))
        stopper.start()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
    stopper.join(PATIENCE_S)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, STOPPED)
    assert (proxy.sink.wait().state, proxy.sink.wait().error) == ("error", STOPPED)


def test_a_response_leaves_completely_although_the_client_reads_slowly(
    proxy: Running, upstream: Upstream
) -> None:
    body = b"x" * 8_000_000
    upstream.scripts["/v1/messages"] = Script(pieces=(body,), status=404)
    head = "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
    head += "Connection: close\r\n"
    with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(f"{head}x-api-key: sk-ccproxy-anthropic\r\n\r\n{{}}".encode())
        proxy.sink.wait()
        stopper = threading.Thread(target=proxy.stop, args=(PATIENCE_S,))
        stopper.start()
        got = 0
        while data := connection.recv(1 << 20):
            got += len(data)
    stopper.join(PATIENCE_S)
    assert got > len(body)
