"""A server that reads ClientHellos and hangs up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from interceptor.wireguard.client_hello import ClientHello, parse_client_hello
from tests.patience import PATIENCE_S


@contextmanager
def hello_reader() -> Iterator[tuple[int, list[ClientHello]]]:
    """A server that reads ClientHellos and hangs up; its port, and what it read."""
    hellos: list[ClientHello] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_read_hellos, args=(listening, hellos), daemon=True)
        thread.start()
        yield listening.getsockname()[1], hellos
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)


def _read_hellos(listening: socket.socket, hellos: list[ClientHello]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            with client, client.makefile("rb") as stream:
                head = stream.read(5)
                hellos.append(parse_client_hello(head + stream.read(int.from_bytes(head[3:]))))
