"""Messages between launcher and stages: one JSON object per packet, with descriptors beside it."""

from __future__ import annotations

import json
import socket
from typing import Any

MAX_PACKET_BYTES = 128 * 1024
_MAX_DESCRIPTORS = 4


def pair() -> tuple[socket.socket, socket.socket]:
    """Make two ends that keep the boundaries of messages."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Send one message.

    Raises:
        OSError: the other end is gone.
    """
    socket.send_fds(end, [json.dumps(message).encode()], list(descriptors), socket.MSG_NOSIGNAL)


def receive(end: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, or None if the other end is closed.

    The descriptors are not inherited.
    """
    try:
        packet, descriptors, _, _ = socket.recv_fds(
            end, MAX_PACKET_BYTES, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None
    if not packet:
        return None
    message: dict[str, Any] = json.loads(packet)
    return message, descriptors
