"""`wg.keylog`: what Wireshark needs to decrypt a capture of the tunnel.

Transport keys follow from the ephemeral keys, so static keys alone decrypt no packet; that is why only this client, and
neither the kernel nor `wireguard-go`, can write a log that works. The format is that of Wireshark's preference
"wg.keylog_file": https://wiki.wireshark.org/WireGuard
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from jail.wireguard.noise import Handshake
from jail.wireguard.peer import encode_key

MAX_BYTES = 1024 * 1024


def handshake_logger(path: Path) -> Callable[[Handshake], None]:
    """Appends each handshake's keys to the file, and never fails: a full disk must not cut a tunnel."""

    def log(handshake: Handshake) -> None:
        try:
            append_rotated(path, handshake_lines(handshake))
        except OSError:
            return

    return log


def handshake_lines(handshake: Handshake) -> str:
    """Three lines; the static keys come first, because an ephemeral key belongs to the static keys above it."""
    return "".join(
        f"{name} = {encode_key(key)}\n"
        for name, key in (
            ("LOCAL_STATIC_PRIVATE_KEY", handshake.keys.private.private_bytes_raw()),
            ("REMOTE_STATIC_PUBLIC_KEY", handshake.keys.peer_public),
            ("LOCAL_EPHEMERAL_PRIVATE_KEY", handshake.ephemeral.private_bytes_raw()),
        )
    )


def append_rotated(path: Path, text: str, *, max_bytes: int = MAX_BYTES) -> None:
    """Append in one piece to a file that its owner alone can read; a full one becomes `NAME.1`.

    Several jails may write at once: the file is locked, and looked up again when it was renamed meanwhile.

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
            if os.fstat(descriptor).st_size + len(text) > max_bytes:
                path.rename(path.with_name(path.name + ".1"))
                continue
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, text.encode())
            return
        finally:
            os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
