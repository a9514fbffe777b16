"""Providers that stop in the middle of what they send, so that a test can cut there."""

from __future__ import annotations

import select
import socket
import threading
from enum import Enum
from typing import Self

from tests.patience import PATIENCE_S

BUSY = b"HTTP/1.1 503 Busy\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
BUSY_FOR_AN_HOUR = BUSY.replace(b"content-length", b"retry-after: 3600\r\ncontent-length")
GOOD = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'
EVENT = b"event: ping\ndata: {}\n\n"
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
)
HALF_BUSY = BUSY.replace(b"content-length: 2", b"content-length: 20")


class Do(Enum):
    """Acts that send nothing."""

    PAUSE = "pause"
    """Wait until the test goes on, or the proxy closes the connection."""
    CLOSE = "close"


Act = bytes | Do


class Stage:
    """A provider that plays the same acts for every request. Use it as a context manager."""

    def __init__(self, *acts: Act) -> None:
        self._acts = acts
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._socket.getsockname()[1]
        self.request_count = 0
        self.is_paused = threading.Event()
        self._goes_on = threading.Event()
        self._then: tuple[Act, ...] = ()

    def go_on(self, *acts: Act) -> None:
        """End the pause, and play these acts."""
        self._then = acts
        self._goes_on.set()

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._goes_on.set()
        # `close` alone does not wake a thread that accepts.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        try:
            with connection:
                while _read_request(connection):
                    self.request_count += 1
                    if not self._play(connection):
                        return
        except OSError:
            return

    def _play(self, connection: socket.socket) -> bool:
        """Play the acts; False when the connection is over."""
        for act in self._acts:
            if isinstance(act, bytes):
                connection.sendall(act)
                continue
            self.is_paused.set()
            while not self._goes_on.wait(0.01):
                if select.select([connection], [], [], 0)[0]:
                    return False
            for later in self._then:
                if not isinstance(later, bytes):
                    return False
                connection.sendall(later)
        return True


def _read_request(connection: socket.socket) -> bool:
    """Read one request; False at the connection's end."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            return False
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    (length,) = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    ]
    while len(body) < length:
        body += connection.recv(65536)
    return True
