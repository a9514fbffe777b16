"""A WireGuard responder written from the paper alone: it shares no line with the initiator under
test.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

Z12 = bytes(12)


def blake(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def keyed(key: bytes, data: bytes) -> bytes:
    return hashlib.blake2s(data, digest_size=16, key=key).digest()


def hm(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(key: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    t0 = hm(key, data)
    t1 = hm(t0, b"\x01")
    t2 = hm(t0, t1 + b"\x02")
    return t1, t2, hm(t0, t2 + b"\x03")


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """draft-irtf-cfrg-xchacha-03, section 2.2, by quarter rounds."""
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def rotated(value: int, count: int) -> int:
        return ((value << count) | (value >> (32 - count))) & 0xFFFFFFFF

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for x, y, z, count in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotated(s[z] ^ s[x], count)

    for _ in range(10):
        for column in range(4):
            quarter(column, column + 4, column + 8, column + 12)
        for diagonal in range(4):
            quarter(
                diagonal, (diagonal + 1) % 4 + 4, (diagonal + 2) % 4 + 8, (diagonal + 3) % 4 + 12
            )
    return struct.pack("<8I", *s[:4], *s[12:])


@dataclass
class Seen:
    """What one initiation told, and the keys that its answer made."""

    index: int
    stamp: bytes
    sending: bytes
    receiving: bytes
    ours: int
    counter: int = 0

    def seal(self, packet: bytes, counter: int | None = None) -> bytes:
        if counter is None:
            counter, self.counter = self.counter, self.counter + 1
        packet += bytes(-len(packet) % 16)
        nonce = bytes(4) + struct.pack("<Q", counter)
        return struct.pack("<IIQ", 4, self.index, counter) + ChaCha20Poly1305(self.sending).encrypt(
            nonce, packet, b""
        )

    def open(self, datagram: bytes) -> tuple[int, bytes]:
        """Counter and padded packet."""
        kind, index, counter = struct.unpack("<IIQ", datagram[:16])
        assert (kind, index) == (4, self.ours)
        nonce = bytes(4) + struct.pack("<Q", counter)
        return counter, ChaCha20Poly1305(self.receiving).decrypt(nonce, datagram[16:], b"")


@dataclass
class Responder:
    """The other end. `client` is the initiator's public key, `own` its own pair."""

    client: bytes
    own: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    under_load: bool = False
    cookie: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def public(self) -> bytes:
        return self.own.public_key().public_bytes_raw()

    def answer(self, message: bytes) -> tuple[bytes, Seen | None]:
        """The datagram to send back, and the session it opens; a cookie reply opens none."""
        assert len(message) == 148 and message[:4] == b"\x01\0\0\0"
        assert message[116:132] == keyed(blake(b"mac1----" + self.public), message[:116])
        if self.under_load and message[132:] != keyed(self.cookie, message[:132]):
            return self._cookie_reply(message), None
        assert self.under_load or message[132:] == bytes(16)
        index = struct.unpack("<I", message[4:8])[0]
        e = message[8:40]
        c = blake(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        h = blake(blake(blake(c + b"WireGuard v1 zx2c4 Jason@zx2c4.com") + self.public) + e)
        c = kdf(c, e)[0]
        c, k, _ = kdf(c, self._dh(self.own, e))
        static = ChaCha20Poly1305(k).decrypt(Z12, message[40:88], h)
        assert static == self.client
        h = blake(h + message[40:88])
        c, k, _ = kdf(c, self._dh(self.own, static))
        stamp = ChaCha20Poly1305(k).decrypt(Z12, message[88:116], h)
        h = blake(h + message[88:116])
        return self._response(index, e, stamp, c, h)

    def _response(
        self, index: int, e: bytes, stamp: bytes, c: bytes, h: bytes
    ) -> tuple[bytes, Seen]:
        mine = X25519PrivateKey.generate()
        public = mine.public_key().public_bytes_raw()
        ours = int.from_bytes(os.urandom(4))
        c = kdf(c, public)[0]
        h = blake(h + public)
        c = kdf(c, self._dh(mine, e))[0]
        c = kdf(c, self._dh(mine, self.client))[0]
        c, tau, k = kdf(c, bytes(32))
        h = blake(h + tau)
        body = (
            struct.pack("<III", 2, ours, index) + public + ChaCha20Poly1305(k).encrypt(Z12, b"", h)
        )
        body += keyed(blake(b"mac1----" + self.client), body)
        first, second, _ = kdf(c, b"")
        return body + bytes(16), Seen(index, stamp, sending=second, receiving=first, ours=ours)

    def _cookie_reply(self, message: bytes) -> bytes:
        nonce = os.urandom(24)
        key = hchacha20(blake(b"cookie--" + self.public), nonce[:16])
        sealed = ChaCha20Poly1305(key).encrypt(bytes(4) + nonce[16:], self.cookie, message[116:132])
        return b"\x03\0\0\0" + message[4:8] + nonce + sealed

    @staticmethod
    def _dh(private: X25519PrivateKey, public: bytes) -> bytes:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
