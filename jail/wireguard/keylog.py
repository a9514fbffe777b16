"""Key log for Wireshark (`wg.keylog`), to decrypt a capture of the tunnel.

Transport keys follow from the ephemeral keys, so static keys alone decrypt no packet. That is why
only this client, and neither the kernel nor `wireguard-go`, can write a log that works. The format
is that of Wireshark's preference "wg.keylog_file": https://wiki.wireshark.org/WireGuard
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from interceptor.operate.keylog import append_rotated
from jail.wireguard.noise import Handshake
from jail.wireguard.peer import encode_key


def handshake_logger(path: Path) -> Callable[[Handshake], None]:
    """Return a function that appends a handshake's keys to the file.

    It never fails: a full disk must not cut a tunnel.
    """

    def log(handshake: Handshake) -> None:
        try:
            append_rotated(path, handshake_lines(handshake))
        except OSError:
            return

    return log


def handshake_lines(handshake: Handshake) -> str:
    """Format a handshake as three lines.

    The static keys come first, because an ephemeral key belongs to the static keys above it.
    """
    return "".join(
        f"{name} = {encode_key(key)}\n"
        for name, key in (
            ("LOCAL_STATIC_PRIVATE_KEY", handshake.keys.private.private_bytes_raw()),
            ("REMOTE_STATIC_PUBLIC_KEY", handshake.keys.peer_public),
            ("LOCAL_EPHEMERAL_PRIVATE_KEY", handshake.ephemeral.private_bytes_raw()),
        )
    )
