"""Relay of bytes between two sockets, both ways, until both ends are closed."""

from __future__ import annotations

import contextlib
import socket
import threading

CHUNK_BYTES = 256 * 1024


def relay(one: socket.socket, other: socket.socket) -> None:
    """Relay in the background. Both sockets are closed at the end."""
    open_ways = [one, other]
    lock = threading.Lock()

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                target.sendall(data)
        # One direction may end first: a client that has sent its request still reads.
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        with lock:
            open_ways.remove(source)
            is_last = not open_ways
        if is_last:
            one.close()
            other.close()

    for source, target in ((one, other), (other, one)):
        threading.Thread(
            target=carry, args=(source, target), daemon=True, name="jail relay"
        ).start()
