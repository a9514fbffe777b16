"""A provider that answers with exact bytes, or breaks off, or says nothing.

One script for a connection, on threads.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Self

from tests.patience import PATIENCE_S

Step = bytes | float | str | Iterable[bytes]
"""Bytes to send (or many, one after the other), seconds to wait, "reset", or "hang" until the other
side leaves.
"""


class RawUpstream:
    """The server. Use it as a context manager."""

    def __init__(self) -> None:
        self.steps: Callable[[], Iterable[Step]] = lambda: [GOOD]
        self.reads_first = True
        """Wait for a request's head and announced body before the first step."""
        self.requests: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client, self.steps), daemon=True).start()

    def _serve(self, client: socket.socket, steps: Callable[[], Iterable[Step]]) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(PATIENCE_S)
            if self.reads_first:
                self.requests.append(_read_request(client))
            for step in steps():
                if step == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if step == "hang":
                    client.recv(1)
                elif isinstance(step, int | float):
                    time.sleep(step)
                elif isinstance(step, bytes):
                    client.sendall(step)
                elif not isinstance(step, str):
                    for piece in step:
                        client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass


GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
"""A response after which the provider closes, without having said so: only a client that leaves too is
sure not to send its next request into the close.
"""


def _read_request(client: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := client.recv(65536)):
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.partition(b":")[2]) - len(body)
            while missing > 0 and (more := client.recv(missing)):
                data, missing = data + more, missing - len(more)
    return data
