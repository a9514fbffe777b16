"""A scripted HTTP proxy on loopback: keeps each CONNECT, and leads every name to a chosen port."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.patience import PATIENCE_S


class ConnectProxy:
    """The proxy. Use it as a context manager.

    Args:
        leads_to: the port on loopback that every tunnel ends at.
        refusal: status line and headers of its refusal; b"" lets everybody in.
        tls: what it speaks TLS with; None: plain HTTP.
    """

    def __init__(
        self, leads_to: int, *, refusal: bytes = b"", tls: ssl.SSLContext | None = None
    ) -> None:
        self.leads_to, self.refusal, self.tls = leads_to, refusal, tls
        self.is_silent = False
        """It takes connections and never responds."""
        self.heads: list[str] = []
        """Request line and headers of each request."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for opened in self._open:
            opened.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
            self._open.append(client)
            head = b""
            while not head.endswith(b"\r\n\r\n") and (byte := client.recv(1)):
                head += byte
            self.heads.append(head.decode())
            if self.is_silent:
                return
            if self.refusal:
                client.sendall(self.refusal + b"\r\ncontent-length: 0\r\n\r\n")
                client.close()
                return
            server = socket.create_connection(("127.0.0.1", self.leads_to), PATIENCE_S)
            server.settimeout(None)
            self._open.append(server)
            if head.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                # RFC 9112, 3.2.1: a proxy sends on the path alone.
                method, target, rest = head.split(b" ", 2)
                path = b"/" + target.split(b"/", 3)[3]
                server.sendall(b" ".join((method, path, rest)))
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
