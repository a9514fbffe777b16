"""A client that sends exact bytes and says when which bytes came back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.patience import PATIENCE_S

TIMEOUT_S = PATIENCE_S


@dataclass
class Answer:
    """A response as it arrived."""

    status: int
    headers: list[tuple[str, str]]
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    """(monotonic time, body bytes without transfer coding), in order of arrival."""
    complete: bool = False
    """The body ended as its framing says."""

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def flow_id(self) -> str | None:
        """The proxy's name of this exchange."""
        return self.header("x-ccproxy-flow")

    def arrival_of(self, offset: int) -> float:
        """When the first `offset` bytes of the body were complete."""
        have = 0
        for at, piece in self.pieces:
            have += len(piece)
            if have >= offset:
                return at
        raise AssertionError(f"only {have} of {offset} bytes arrived")


def request(method: str, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
    """The bytes of a request; the headers are sent as they are."""
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


@contextmanager
def connection(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A TCP connection to a port of this machine."""
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def exchange(port: int, data: bytes, host: str = "127.0.0.1") -> Answer:
    """Send a request on a connection of its own and read the answer to its end."""
    with connection(port, host) as client:
        client.sendall(data)
        return read_answer(client, head_only=data.startswith(b"HEAD "))


def read_answer(client: socket.socket, *, head_only: bool = False) -> Answer:
    """Read one answer."""
    stream = _Stream(client)
    head = stream.until(b"\r\n\r\n").decode("latin-1").removesuffix("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    answer = Answer(int(first.split(" ")[1]), headers)
    if head_only or answer.status in (204, 304):
        answer.complete = True
    elif (answer.header("transfer-encoding") or "").lower() == "chunked":
        _read_chunked(stream, answer)
    elif (length := answer.header("content-length")) is not None:
        _read_sized(stream, answer, int(length))
        answer.complete = len(answer.body) == int(length)
    else:
        while data := stream.some():
            answer.pieces.append((time.monotonic(), data))
        answer.complete = True
    return answer


def _read_chunked(stream: _Stream, answer: Answer) -> None:
    try:
        while size := int(stream.until(b"\r\n"), 16):
            _read_sized(stream, answer, size)
            stream.until(b"\r\n")
        stream.until(b"\r\n")
        answer.complete = True
    except (EOFError, ConnectionError):
        pass


def _read_sized(stream: _Stream, answer: Answer, size: int) -> None:
    while size and (data := stream.some(size)):
        answer.pieces.append((time.monotonic(), data))
        size -= len(data)


class _Stream:
    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.buffer = b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not (data := self.client.recv(65536)):
                raise EOFError(f"the connection ended at {self.buffer[-200:]!r}")
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def some(self, limit: int = 65536) -> bytes:
        if not self.buffer:
            self.buffer = self.client.recv(65536)
        data, self.buffer = self.buffer[:limit], self.buffer[limit:]
        return data
