"""Transport messages under one pair of keys: WireGuard paper, section 5.4.6.

This is the path of every packet, so it does as little as it can: one cipher object a direction, no
parsing beyond the counter, and None instead of an exception for a packet to drop.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from jail.wireguard.noise import TRANSPORT, TransportKeys
from jail.wireguard.replay import ReplayWindow

HEADER_BYTES, TAG_BYTES = 16, 16
REKEY_AFTER_MESSAGES = 2**60
REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
_PADDING = tuple(bytes(count) for count in range(16))
_header = struct.Struct("<IIQ").pack
_nonce = struct.Struct("<4xQ").pack
_PREFIX = bytes(4)


class Session:
    """One pair of transport keys. Times are the caller's clock in seconds."""

    __slots__ = (
        "_decrypt",
        "_encrypt",
        "_remote_index",
        "_seen",
        "created_at",
        "local_index",
        "sent",
    )

    def __init__(self, keys: TransportKeys, created_at: float) -> None:
        self.local_index = keys.local_index
        self.created_at = created_at
        self.sent = 0
        self._remote_index = keys.remote_index
        self._encrypt = ChaCha20Poly1305(keys.sending).encrypt
        self._decrypt = ChaCha20Poly1305(keys.receiving).decrypt
        self._seen = ReplayWindow()

    def seal(self, packet: bytes) -> bytes:
        """Return the datagram of a packet, padded to 16 bytes. An empty packet is a keep-alive."""
        counter = self.sent
        self.sent = counter + 1
        padded = packet + _PADDING[-len(packet) & 15]
        return _header(TRANSPORT, self._remote_index, counter) + self._encrypt(
            _nonce(counter), padded, None
        )

    def open(self, datagram: bytes) -> bytes | None:
        """Return the padded packet of a datagram of at least 32 bytes.

        None if it is forged, too old or repeated.
        """
        counter = int.from_bytes(datagram[8:HEADER_BYTES], "little")
        if counter >= REJECT_AFTER_MESSAGES:
            return None
        try:
            packet = self._decrypt(
                _PREFIX + datagram[8:HEADER_BYTES], datagram[HEADER_BYTES:], None
            )
        except InvalidTag:
            return None
        return packet if self._seen.accept(counter) else None
