"""Key logs for Wireshark: private files of lines, which rotate. Standard library only.

`tls.keylog` has the format of https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-02.html,
both sides of the proxy in one file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

TLS_KEYLOG, WG_KEYLOG = "tls.keylog", "wg.keylog"
MAX_BYTES = 1024 * 1024


def append_rotated(path: Path, text: str, *, max_bytes: int = MAX_BYTES) -> None:
    """Append with one write to a private file; a full one becomes `NAME.1`.

    Several processes may write at once: the file is locked, and looked up again when it was renamed
    meanwhile.

    Raises:
        OSError: it cannot be written, or is a symbolic link.
    """
    while True:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_still(path, descriptor):
                continue
            size_bytes = os.fstat(descriptor).st_size
            if size_bytes and size_bytes + len(text) > max_bytes:
                path.rename(path.with_name(path.name + ".1"))
                continue
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, text.encode())
            return
        finally:
            os.close(descriptor)


def line_logger(path: Path) -> Callable[[object, bytes], None]:
    """Return the function that OpenSSL calls with every secret.

    It never fails: a full disk must not end a connection.
    """

    def log(_: object, line: bytes) -> None:
        try:
            append_rotated(path, line.decode("ascii") + "\n")
        except OSError:
            return

    return log


def log_tls_secrets(directory: Path) -> None:
    """Make mitmproxy write `tls.keylog` of the config directory, for every new TLS context."""
    from mitmproxy.net import tls

    tls.log_master_secret = line_logger(directory / TLS_KEYLOG)  # type: ignore[assignment]


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
