"""`python -m tests.bench.provider`: a fast scripted provider. Prints its port, then serves until it
is ended.

The request's header `x-bench: EVENTS,EVERY_MS` asks for an event stream; without it, or with 0
events, a small JSON answer comes. Both are Anthropic's, and no two answers are the same. Every
streamed event carries the clock (`time.perf_counter`, one clock for all processes of a machine) at
which it was sent. `x-bench-bytes: N` asks for a stream of N bytes, sent as fast as it is read.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import sys
import time
from collections import deque
from typing import Any

from tests.bench.words import text

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_ASKED = re.compile(rb"(?i)\r\nx-bench: *(\d+),([\d.]+)")
_HUGE = re.compile(rb"(?i)\r\nx-bench-bytes: *(\d+)")
_HUGE_PIECE_BYTES = 32 * 1024
_ANSWER = (
    b'{"id":"msg_%d","type":"message","role":"assistant","model":"claude-bench","content":[{"type":"text","text":'
    b'"%s"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":420,"output_tokens":%d}}'
)
_numbers = itertools.count()
_JSON_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nrequest-id: req_bench\r\nContent-Length:"
    b" %d\r\n\r\n"
)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nrequest-id: req_bench\r\nCache-Control:"
    b" no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"


def _small() -> bytes:
    number = next(_numbers)
    words = text(300 + number % 500).encode()
    answer = _ANSWER % (number, words, 30 + number % 100)
    return _JSON_HEAD % len(answer) + answer


def _event(name: bytes, data: bytes) -> bytes:
    event = b"event: %s\ndata: %s\n\n" % (name, data)
    return b"%x\r\n%s\r\n" % (len(event), event)


_FIRST = _event(
    b"message_start",
    b'{"type":"message_start","message":{"id":"msg_bench","type":"message","role":"assistant","model":"claude-bench",'
    b'"content":[],"stop_reason":null,"usage":{"input_tokens":420,"output_tokens":1}}}',
)
_BLOCK = _event(
    b"content_block_start",
    b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
)
_LAST = (
    _event(b"content_block_stop", b'{"type":"content_block_stop","index":0}')
    + _event(
        b"message_delta",
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":300}}',
    )
    + _event(b"message_stop", b'{"type":"message_stop"}')
    + _END
)


def _delta() -> bytes:
    data = (
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word at'
        b' %.6f"}}'
    )
    return _event(b"content_block_delta", data % time.perf_counter())


def _huge_delta() -> bytes:
    words = text(_HUGE_PIECE_BYTES).encode()
    data = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'
    return _event(b"content_block_delta", data % words)


class Provider(asyncio.Protocol):
    """One connection; requests are answered one after the other, as clients of HTTP/1.1 send
    them.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._missing_bytes = 0
        self._reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._missing_bytes = 0
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._data, 0, end)
        if len(self._data) < end + 4 + (int(length[1]) if length else 0):
            return
        asked = _ASKED.search(self._data, 0, end + 2)
        events, every_ms = (int(asked[1]), float(asked[2])) if asked else (0, 0.0)
        huge = _HUGE.search(self._data, 0, end + 2)
        # The match reads the data that is cleared next.
        huge_bytes = int(huge[1]) if huge else 0
        self._data.clear()
        if not events and not huge_bytes:
            self._transport.write(_small())
            return
        self._transport.write(_STREAM_HEAD + _FIRST + _BLOCK)
        if huge_bytes:
            self._missing_bytes = huge_bytes
            self._reading = True
            self._send_huge()
            return
        pieces = deque([True] * (events - 1) + [False])
        self._later(time.perf_counter(), every_ms / 1000, pieces)

    def pause_writing(self) -> None:
        self._reading = False

    def resume_writing(self) -> None:
        self._reading = True
        if self._missing_bytes > 0:
            asyncio.get_running_loop().call_soon(self._send_huge)

    def _send_huge(self) -> None:
        """Send pieces of the long stream until the client reads no more, or it is complete."""
        while self._reading and self._missing_bytes > 0:
            self._missing_bytes -= _HUGE_PIECE_BYTES
            last = b"" if self._missing_bytes > 0 else _LAST
            self._transport.write(_huge_delta() + last)

    def _later(self, at: float, every_s: float, pieces: deque[bool]) -> None:
        """Send the next piece at its time: a late one does not move those behind it."""
        at += every_s
        self._timer = asyncio.get_running_loop().call_later(
            at - time.perf_counter(), self._send, at, every_s, pieces
        )

    def _send(self, at: float, every_s: float, pieces: deque[bool]) -> None:
        if pieces.popleft():
            self._transport.write(_delta())
            self._later(at, every_s, pieces)
        else:
            self._transport.write(_delta() + _LAST)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(
        None, sys.stdin.read
    )  # ends with the process that started it


if __name__ == "__main__":
    asyncio.run(_serve())
