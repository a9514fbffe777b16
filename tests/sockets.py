"""Reads of a stream socket that do not depend on how TCP cuts the bytes into pieces."""

from __future__ import annotations

import socket


def read_exactly(connection: socket.socket, size_bytes: int) -> bytes:
    """Return the next bytes of the stream: fewer than `size_bytes` where it ended before."""
    got = b""
    while len(got) < size_bytes and (more := connection.recv(size_bytes - len(got))):
        got += more
    return got


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    """Return the bytes up to the end of `mark`; all of them where the stream ends without it.

    What follows the mark stays in the socket, so a next read finds it.
    """
    got = b""
    while not got.endswith(mark) and (more := connection.recv(1)):
        got += more
    return got


def read_to_end(connection: socket.socket) -> bytes:
    """Return all bytes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))
