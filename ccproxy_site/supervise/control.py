"""Messages between the supervisor and one child, with file descriptors. Standard library only.

A message is four bytes of length, big-endian, then a JSON object. Descriptors travel with the
first of those bytes (SCM_RIGHTS, unix(7)). The supervisor says `{"serve"}`, `{"client"}`,
`{"recorder"}`, `{"announce"}` and `{"stop"}`; a child says `{"checked"}`, `{"ready"}`,
`{"refused": sentence}` and `{"drained": ring}`. The end of the stream tells either side that the
other is gone.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_DESCRIPTORS = 64
_LENGTH = struct.Struct(">I")


@dataclass
class Message:
    """One message; who receives it owns the descriptors."""

    words: dict[str, Any]
    descriptors: list[int] = field(default_factory=list)


class Control:
    """One end of the socket pair between the supervisor and a child; blocking."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        end.setblocking(True)

    def say(self, descriptors: Sequence[int] = (), **words: Any) -> bool:
        """Send one message; False when the other side is gone."""
        text = json.dumps(words).encode()
        head = _LENGTH.pack(len(text))
        try:
            if descriptors:
                socket.send_fds(self.socket, [head], list(descriptors))
                self.socket.sendall(text)
            else:
                self.socket.sendall(head + text)
        except OSError:
            return False
        return True

    def hear(self) -> Message | None:
        """Wait for the next message; None once the other side is gone."""
        try:
            head, descriptors, _, _ = socket.recv_fds(self.socket, _LENGTH.size, MAX_DESCRIPTORS)
            head += self._exactly(_LENGTH.size - len(head)) if head else b""
            if len(head) < _LENGTH.size:
                return None
            (size_bytes,) = _LENGTH.unpack(head)
            text = self._exactly(size_bytes)
        except OSError:
            return None
        if len(text) < size_bytes:
            return None
        return Message(json.loads(text), list(descriptors))

    def close(self) -> None:
        """Close this end."""
        self.socket.close()

    def _exactly(self, size_bytes: int) -> bytes:
        """Return so many bytes, fewer at the end of the stream."""
        got = bytearray()
        while len(got) < size_bytes:
            more = self.socket.recv(size_bytes - len(got))
            if not more:
                break
            got += more
        return bytes(got)
