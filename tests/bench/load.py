"""The load generator: raw HTTP/1.1 over asyncio protocols, so that it costs a fraction of what it
measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_S = 120.0
_STAMP = re.compile(rb" word at (\d+\.\d+)")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TAIL_BYTES = 64


@dataclass(slots=True)
class Answer:
    """What one request met.

    Times in seconds; `event_delays` from the provider's write to the client's read.
    """

    status_code: int
    taken_s: float
    first_byte_s: float
    event_delays: list[float] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """A client connection, used again for one request after the other."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._done: asyncio.Future[Answer] | None = None
        self._began = self._first = 0.0
        self._buffer = b""
        self._status = 0
        self._missing: int | None = None
        self._delays: list[float] = []
        self.first_event: asyncio.Event = asyncio.Event()

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return once its answer is complete."""
        self._done = asyncio.get_running_loop().create_future()
        self._buffer, self._status, self._missing, self._delays = b"", 0, None, []
        self._first = 0.0
        self.first_event.clear()
        self._began = time.perf_counter()
        self._transport.write(request)
        return await asyncio.wait_for(self._done, TIMEOUT_S)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(
                ConnectionError("the connection closed before the answer was complete")
            )

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if not self._status:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            data = self._head(self._buffer[: end + 2], self._buffer[end + 4 :])
        self._body(data, now)

    def _head(self, head: bytes, rest: bytes) -> bytes:
        self._status = int(head[9:12])
        length = _LENGTH.search(head)
        self._missing = int(length[1]) if length else None
        self._buffer = b""
        return rest

    def _body(self, data: bytes, now: float) -> None:
        if data and not self._first:
            self._first = now
            self.first_event.set()
        text = self._buffer + data
        end = 0
        for stamp in _STAMP.finditer(text):
            self._delays.append(now - float(stamp[1]))
            end = stamp.end()
        self._buffer = text[max(end, len(text) - _TAIL_BYTES) :]
        if self._missing is None:
            finished = text.endswith(b"0\r\n\r\n")
        else:
            self._missing -= len(data)
            finished = self._missing <= 0
        if finished and self._done is not None and not self._done.done():
            taken = now - self._began
            self._done.set_result(
                Answer(self._status, taken, self._first - self._began, self._delays)
            )


async def connect(port: int, count: int) -> list[Connection]:
    """Open connections, one after the other: a burst is not what is measured."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def closed_loop(
    connections: Iterable[Connection], requests: Callable[[], bytes | None]
) -> list[Answer]:
    """Each connection asks again as soon as it is answered, until `requests` gives None; every
    answer must be a 200.
    """
    answers: list[Answer] = []

    async def one(connection: Connection) -> None:
        while (request := requests()) is not None:
            answer = await connection.ask(request)
            if answer.status_code != 200:
                raise AssertionError(f"an answer has status {answer.status_code}")
            answers.append(answer)

    await asyncio.gather(*(one(connection) for connection in connections))
    return answers


@contextlib.asynccontextmanager
async def connected(port: int, count: int) -> Any:
    """Connections that are closed at the end."""
    connections = await connect(port, count)
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()
