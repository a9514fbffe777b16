"""Log handler for the systemd journal, over its native socket.

Source: systemd, "Native Journal Protocol".
"""

from __future__ import annotations

import logging
import socket
import struct
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
_PRIORITY = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}


class JournalHandler(logging.Handler):
    """Handler that sends each record under one SYSLOG_IDENTIFIER.

    An entry that does not fit or cannot be sent is dropped.
    """

    def __init__(self, identifier: str, path: Path = SOCKET) -> None:
        super().__init__()
        self._identifier = identifier
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry."""
        try:
            self._socket.sendto(
                entry(self._identifier, record.levelno, self.format(record)), self._path
            )
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


def entry(identifier: str, level: int, message: str) -> bytes:
    """Return the fields of an entry; the message has a length, as it may have several lines."""
    text = message.encode("utf-8", "backslashreplace")
    priority = _PRIORITY.get(level, 6)
    head = f"PRIORITY={priority}\nSYSLOG_IDENTIFIER={identifier}\nMESSAGE\n".encode()
    return head + struct.pack("<Q", len(text)) + text + b"\n"
