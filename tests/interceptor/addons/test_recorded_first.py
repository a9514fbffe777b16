"""No client has a complete response before its flow is recorded: every framing, size and client."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from flows.record import FlowRecord
from interceptor.operate.stock import Why
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.raw_upstream import RawUpstream, Step
from tests.fakes.upstream import Script, Upstream
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S

ARRIVAL_S = 0.01
"""For bytes that left the proxy to reach a client on loopback."""
SIZES = (0, 1, 700_000)
FRAMINGS = ("length", "last byte late", "chunked", "last chunk late", "close")
CLIENTS = ("HTTP/1.1", "HTTP/1.0", "h2", "HEAD")
KINDS = ("application/json", "text/event-stream")
LATE_S = 0.02
END = b"\r\n\r\n"
BODY = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}'
ANTHROPIC_STREAM = b"".join(
    b"event: %s\ndata: %s\n\n" % (str(event["type"]).encode(), json.dumps(event).encode())
    for event in (
        {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
         "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    )
)  # fmt: skip


@dataclass
class RawClient:
    """A client on a raw socket whose thread notes everything that has arrived."""

    port: int
    sent: bytes
    is_complete: Callable[[bytes, bool], bool]
    """Judges the bytes so far, and whether the proxy has closed."""
    got: bytearray = field(default_factory=bytearray)
    ended: bool = False
    on_data: Callable[[bytes], bytes] = lambda _: b""
    """Returns what to send back."""

    def run(self) -> None:
        """Send the request, and read until the response is complete."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.settimeout(PATIENCE_S)
            connection.sendall(self.sent)
            with suppress(ConnectionResetError):
                while data := connection.recv(1 << 20):
                    self.got += data
                    if back := self.on_data(data):
                        connection.sendall(back)
                    if self.has_response:
                        return
            self.ended = True

    @property
    def has_response(self) -> bool:
        """True once the client would take the response for complete."""
        return self.is_complete(bytes(self.got), self.ended)


class Watch:
    """Looks, when a flow is recorded, at what its client has."""

    def __init__(self, proxy: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client: Any = None
        self.early: list[bool] = []
        """Of each record: whether the client's response was complete before it."""
        self._own = proxy.sink.finished
        monkeypatch.setattr(proxy.sink, "finished", self._look)

    def _look(self, record: FlowRecord) -> None:
        time.sleep(ARRIVAL_S)
        self.early.append(self.client.has_response)
        self._own(record)


def http1_complete(method: str) -> Callable[[bytes, bool], bool]:
    """Return the judge of an HTTP/1 client, by h11."""

    def judge(data: bytes, ended: bool) -> bool:
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        reader.receive_data(data)
        if ended:
            reader.receive_data(b"")
        with suppress(h11.RemoteProtocolError):
            while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.EndOfMessage):
                    return True
        return False

    return judge


def http1_client(port: int, path: str, version: str, method: str, key: str) -> RawClient:
    head = f"{method} {path} {version}\r\nHost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n"
    body = b"" if method == "HEAD" else BODY
    sent = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return RawClient(port, sent + body, http1_complete(method))


def h2_client(port: int, path: str, key: str) -> RawClient:
    h2 = H2Connection(H2Configuration(client_side=True))
    h2.initiate_connection()
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", f"127.0.0.1:{port}")]
    h2.send_headers(1, [*fields, (":path", path), ("x-api-key", key)])
    h2.send_data(1, BODY, end_stream=True)
    ends: list[StreamEnded] = []

    def on_data(data: bytes) -> bytes:
        for event in h2.receive_data(data):
            if isinstance(event, StreamEnded):
                ends.append(event)
            elif isinstance(event, DataReceived):
                h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        return h2.data_to_send()

    sent = h2.data_to_send()
    return RawClient(port, sent, lambda data, ended: bool(ends), on_data=on_data)


def client_of(kind: str, port: int, path: str = "/v1/messages", key: str = "up") -> RawClient:
    if kind == "h2":
        return h2_client(port, path, f"sk-ccproxy-{key}")
    method = "HEAD" if kind == "HEAD" else "POST"
    version = "HTTP/1.1" if kind == "HEAD" else kind
    return http1_client(port, path, version, method, f"sk-ccproxy-{key}")


def steps_of(framing: str, body: bytes, content_type: str, status: str) -> list[Step]:
    """The provider's response."""
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\n" % (status.encode(), content_type.encode())
    length = head + b"Content-Length: %d\r\n\r\n" % len(body)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    late: dict[str, list[Step]] = {
        "length": [length + body],
        "last byte late": [length + body[:-1], LATE_S, body[-1:]],
        "chunked": [chunked + chunks + b"0\r\n\r\n"],
        "last chunk late": [chunked + chunks, LATE_S, b"0\r\n\r\n"],
        "close": [head + b"\r\n" + body],
    }
    return late[framing]


@pytest.fixture(scope="module", params=[(), ("speed",)], ids=["patched", "stock"])
def raw_proxy(request: pytest.FixtureRequest) -> Iterator[tuple[Running, RawUpstream]]:
    """A proxy with and without the fast paths, in front of a provider that sends exact bytes."""
    stock: frozenset[Why] = frozenset(request.param)
    with RawUpstream() as upstream:
        config = snapshot(
            provider("up", upstream.port),
            provider("chat", upstream.port, type="openai", path="/v1/chat/completions"),
        )
        with running_proxy(config, stock=stock) as running:
            yield running, upstream


@pytest.fixture
def watch(
    raw_proxy: tuple[Running, RawUpstream], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Send a client's request, and expect one record, before the client's response is complete."""
    proxy, upstream = raw_proxy
    looking = Watch(proxy, monkeypatch)

    def run(client: RawClient, steps: list[Step]) -> None:
        upstream.steps = lambda: steps
        count = len(looking.early) + 1
        looking.client = client
        client.run()
        assert client.has_response, f"no complete response: {bytes(client.got[:300])!r}"
        deadline = time.monotonic() + PATIENCE_S
        while len(looking.early) < count:
            assert time.monotonic() < deadline, "the flow was not recorded"
            time.sleep(0.002)
        assert looking.early[count - 1 :] == [False]

    return run


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_record_comes_before_the_last_byte(
    raw_proxy: tuple[Running, RawUpstream],
    watch: Callable[..., None],
    client: str,
    framing: str,
    kind: str,
) -> None:
    for size in SIZES:
        steps = steps_of(framing, b"x" * size, kind, "200 OK")
        if client == "HEAD":
            head, _, _ = b"".join(step for step in steps if isinstance(step, bytes)).partition(END)
            steps = [head + END]
        watch(client_of(client, raw_proxy[0].port), steps)


@pytest.mark.parametrize("client", ("HTTP/1.1", "HTTP/1.0", "h2"))
@pytest.mark.parametrize(
    ("status", "body"),
    [("204 No Content", b""), ("304 Not Modified", b""), ("404 Not Found", b'{"error": {}}'),
     ("529 Overloaded", b'{"type": "error", "error": {"type": "overloaded_error"}}')],
)  # fmt: skip
def test_statuses(
    raw_proxy: tuple[Running, RawUpstream],
    watch: Callable[..., None],
    client: str,
    status: str,
    body: bytes,
) -> None:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n" % status.encode()
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    watch(client_of(client, raw_proxy[0].port), [head + length + b"\r\n" + body])


@pytest.mark.parametrize(
    ("client", "framing"), itertools.product(("HTTP/1.1", "HTTP/1.0", "h2"), FRAMINGS)
)
@pytest.mark.parametrize("stream", [True, False])
def test_translated_responses(
    raw_proxy: tuple[Running, RawUpstream],
    watch: Callable[..., None],
    client: str,
    framing: str,
    stream: bool,
) -> None:
    """An OpenAI client of the Anthropic provider."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m",
               "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
               "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    body = ANTHROPIC_STREAM if stream else json.dumps(message).encode()
    kind = "text/event-stream" if stream else "application/json"
    sender = client_of(client, raw_proxy[0].port, "/v1/chat/completions")
    if stream and client != "h2":
        asked = BODY.replace(b'"model"', b'"stream":true,"model"')
        length = b"Content-Length: %d"
        sender.sent = sender.sent.replace(BODY, asked).replace(
            length % len(BODY), length % len(asked)
        )
    watch(sender, steps_of(framing, body, kind, "200 OK"))


@pytest.mark.parametrize(
    ("path", "key", "body"),
    [("/v1/messages", "nobody", BODY), ("/v1/responses", "up", b'{"model":"m","input":5}')],
)
def test_own_responses(
    raw_proxy: tuple[Running, RawUpstream],
    watch: Callable[..., None],
    path: str,
    key: str,
    body: bytes,
) -> None:
    client = client_of("HTTP/1.1", raw_proxy[0].port, path, key)
    length = b"Content-Length: %d"
    client.sent = client.sent.replace(BODY, body).replace(length % len(BODY), length % len(body))
    watch(client, [])


@pytest.mark.parametrize("steps", [["reset"], [b"HTTP/1.1 200 OK\r\nContent-Le"], [b"nonsense"]])
def test_errors(
    raw_proxy: tuple[Running, RawUpstream], watch: Callable[..., None], steps: list[Step]
) -> None:
    watch(client_of("HTTP/1.1", raw_proxy[0].port), steps)


def test_a_broken_event_stream(
    raw_proxy: tuple[Running, RawUpstream], watch: Callable[..., None]
) -> None:
    steps = steps_of("last chunk late", b"data: {}\n\n", "text/event-stream", "200 OK")
    watch(client_of("HTTP/1.1", raw_proxy[0].port), steps[:1])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("size", [0, 1, 20_000])
def test_a_provider_whose_stream_ends_late(
    tmp_path: Path, client: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP/2 the last byte of the announced length may come before the end of the stream."""
    authority = make_authority(tmp_path)
    pieces = tuple(piece for piece in (b"x" * (size // 2), b"x" * (size - size // 2)) if piece)
    headers = (("content-type", "application/json"), ("content-length", str(size)))
    with Http2Upstream(authority.server_context(["h2"])) as upstream:
        upstream.scripts["/v1/messages"] = Script(headers=headers, pieces=pieces, pause_s=LATE_S)
        if client == "HEAD":
            upstream.scripts["/v1/messages"] = Script(headers=headers, pieces=(), pause_s=LATE_S)
        config = snapshot(provider("up", upstream.port, scheme="https", host="localhost"))
        with running_proxy(config, ssl_verify_upstream_trusted_ca=str(authority.ca_file)) as proxy:
            looking = Watch(proxy, monkeypatch)
            looking.client = asking = client_of(client, proxy.port)
            asking.run()
            assert asking.has_response
            proxy.sink.wait()
    assert looking.early == [False]


def websocket_client(port: int, on_open: Callable[[], bytes]) -> RawClient:
    """Return a client whose response is complete with the close frame (RFC 6455, 5.5.1)."""
    head = f"GET /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    sent = head + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer "
    sent += "sk-ccproxy-oai\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    return RawClient(
        port,
        sent.encode(),
        lambda data, ended: data.partition(END)[2][:1] == b"\x88",
        on_data=lambda data: on_open() if data.endswith(END) else b"",
    )


@pytest.mark.parametrize("closer", ["client", "proxy"])
def test_the_close_of_a_websocket(closer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"type": "openai_responses", "path": "/v1/responses"}
    masked_close = b"\x88\x82" + bytes(4) + (1000).to_bytes(2)
    with Upstream() as upstream:
        upstream.scripts["/v1/responses"] = Script(echo=True)
        with running_proxy(snapshot(provider("oai", upstream.port, **config))) as proxy:
            # The proxy stops in another thread, while the client waits for the close frame.
            stopper = threading.Thread(target=proxy.stop, args=(0.0,))

            def on_open() -> bytes:
                if closer == "client":
                    return masked_close
                stopper.start()
                return b""

            looking = Watch(proxy, monkeypatch)
            looking.client = client = websocket_client(proxy.port, on_open)
            client.run()
            assert client.has_response
            record = proxy.sink.wait()
            if closer == "proxy":
                stopper.join(PATIENCE_S)
    assert looking.early == [False]
    assert record.is_websocket
    assert record.state == ("done" if closer == "client" else "error")
