"""MACs of a handshake message, and the cookie that a loaded server asks for.

WireGuard paper, section 5.4.4 ff. mitmproxy's server counts handshakes and never forgets: after ten
in its life it answers each further one with a cookie reply first. A jail that rekeys for twenty
minutes gets there, so this is no rare path.
"""

from __future__ import annotations

import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from jail.wireguard.noise import MACS_BYTES, HandshakeError, digest, mac

COOKIE_LIFE_S = 120.0
_LABEL_MAC1, _LABEL_COOKIE = b"mac1----", b"cookie--"
_CHACHA_CONSTANTS = b"expand 32-byte k"
_NO_MAC = bytes(16)


class Macs:
    """Sealer of our handshake messages, and checker of the peer's."""

    def __init__(self, public_key: bytes, peer_public_key: bytes) -> None:
        self._our_mac1_key = digest(_LABEL_MAC1, public_key)
        self._mac1_key = digest(_LABEL_MAC1, peer_public_key)
        self._cookie_key = digest(_LABEL_COOKIE, peer_public_key)
        self._sent_mac1 = b""
        self._cookie: tuple[bytes, float] | None = None

    def sealed(self, message: bytes, now: float) -> bytes:
        """Return the message with both MACs.

        The second one is zero unless a cookie of the last two minutes is known.
        """
        # A cookie reply is bound to the first MAC of the message that it replies to.
        first = self._sent_mac1 = mac(self._mac1_key, message)
        second = _NO_MAC
        if self._cookie is not None and now - self._cookie[1] < COOKIE_LIFE_S:
            second = mac(self._cookie[0], message + first)
        return message + first + second

    def check(self, message: bytes) -> None:
        """Accept a message from the peer by its first MAC.

        Raises:
            HandshakeError: its sender does not know our public key.
        """
        body, first = message[:-MACS_BYTES], message[-MACS_BYTES:-16]
        if not hmac.compare_digest(mac(self._our_mac1_key, body), first):
            raise HandshakeError("the first MAC is wrong")

    def take_cookie(self, reply: bytes, now: float) -> None:
        """Store the cookie of a reply of 64 bytes to our last message.

        Raises:
            HandshakeError: it answers another message, or was not made by the peer.
        """
        key, nonce = _extended(self._cookie_key, reply[8:32])
        try:
            cookie = ChaCha20Poly1305(key).decrypt(nonce, reply[32:64], self._sent_mac1)
        except InvalidTag:
            raise HandshakeError("the cookie is not for our last message") from None
        self._cookie = (cookie, now)


def _extended(key: bytes, nonce: bytes) -> tuple[bytes, bytes]:
    """Return key and nonce for ChaCha20 that correspond to a key and 24 bytes of nonce.

    XChaCha20, draft-irtf-cfrg-xchacha-03. HChaCha20 is a ChaCha20 block without its last step, the
    addition of the start state: what was added is known, so it is subtracted again.
    """
    # The key stream over zeros is the block itself.
    cipher = Cipher(algorithms.ChaCha20(key, nonce[:16]), mode=None)
    block = struct.unpack("<16I", cipher.encryptor().update(bytes(64)))
    # HChaCha20 uses words 0 to 3 and 12 to 15. They start as the constants and the nonce.
    used = block[:4] + block[12:]
    start = struct.unpack("<4I", _CHACHA_CONSTANTS) + struct.unpack("<4I", nonce[:16])
    words = [(after - before) & 0xFFFFFFFF for after, before in zip(used, start, strict=True)]
    return struct.pack("<8I", *words), bytes(4) + nonce[16:]
