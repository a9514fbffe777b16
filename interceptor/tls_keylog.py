"""The TLS key log: what Wireshark needs to decrypt captured connections, both sides of the proxy. Off unless asked for.

Whoever can read it can decrypt all traffic that was ever captured while it was written, so that only its owner can.
Format: NSS key log, one line a secret.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from mitmproxy.net import tls

logger = logging.getLogger(__name__)

FILE_NAME = "tls.keylog"
MAX_BYTES = 8 * 1024 * 1024
"""Some thirty thousand handshakes; the file before it is kept as tls.keylog.1."""


def install(path: Path | None) -> None:
    """Write the secrets of every TLS connection from now on to `path`; None: no longer."""
    tls.log_master_secret = KeyLog(path) if path else None  # type: ignore[assignment]
    tls.create_proxy_server_context.cache_clear()  # contexts keep the log that they were made with
    tls.create_client_proxy_context.cache_clear()
    if path:
        logger.warning("inspector.keylog is on: %s lets whoever reads it decrypt captured traffic", path)


class KeyLog:
    """Appends lines; several processes may write to the same file."""

    __name__ = "KeyLog"  # pyOpenSSL wraps it like a function

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __call__(self, connection: Any, line: bytes) -> None:
        """One secret of a connection. What goes wrong here must not break the connection."""
        del connection
        try:
            os.write(self._file(), line + b"\n")
        except OSError as exc:
            logger.warning("a TLS secret could not be written to %s: %s", self._path, exc.strerror)

    def _file(self) -> int:
        """The descriptor of the file that has the name now, a new one when that is full."""
        if self._descriptor >= 0:
            opened = os.fstat(self._descriptor)
            is_current = self._path.exists() and os.path.samestat(opened, self._path.stat())
            if is_current and opened.st_size < MAX_BYTES:
                return self._descriptor
            if is_current:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            os.close(self._descriptor)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(self._descriptor, 0o600)  # it may have been there before
        return self._descriptor
