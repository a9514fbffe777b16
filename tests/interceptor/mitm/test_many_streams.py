"""Streams of one HTTP/2 connection, to a provider that speaks HTTP/1."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from interceptor.config.snapshot.schema import Snapshot
from tests.fakes.raw_upstream import RawUpstream, Step
from tests.interceptor.mitm.bad_upstream_checks import every_format
from tests.interceptor.proxied import Running
from tests.patience import PATIENCE_S

STREAMS = 20
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FIELDS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/v1/chat/completions"),
    ("authorization", "Bearer sk-ccproxy-chat"),
]


@pytest.fixture(scope="module")
def configuration(raw_upstream: RawUpstream) -> Snapshot:
    return every_format(raw_upstream.port)


def test_all_run_at_once(proxy: Running, raw_upstream: RawUpstream) -> None:
    all_began = threading.Event()

    def steps() -> Iterator[Step]:
        yield HEAD + b"data: 1\n\n"
        assert all_began.wait(PATIENCE_S)
        yield b"data: 2\n\n"

    raw_upstream.steps = steps
    h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    h2.initiate_connection()
    for _ in range(STREAMS):
        stream = h2.get_next_available_stream_id()
        h2.send_headers(stream, FIELDS)
        h2.send_data(stream, BODY, end_stream=True)
    began: set[int] = set()
    ended: set[int] = set()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(h2.data_to_send())
        while len(ended) < STREAMS:
            for event in h2.receive_data(client.recv(65536)):
                if isinstance(event, DataReceived):
                    began.add(event.stream_id or 0)
                elif isinstance(event, StreamEnded):
                    ended.add(event.stream_id or 0)
            client.sendall(h2.data_to_send())
            # No stream ends before all have begun.
            if len(began) == STREAMS:
                all_began.set()
