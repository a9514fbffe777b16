"""Initiator's side of the handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s.

WireGuard paper, section 5.4. Names follow the paper: a chaining key and a transcript hash go
through every step; `MIX` steps are `_mixed`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
import time
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

INITIATION, RESPONSE, COOKIE_REPLY, TRANSPORT = 1, 2, 3, 4
INITIATION_BYTES, RESPONSE_BYTES, COOKIE_REPLY_BYTES = 148, 92, 64
MACS_BYTES = 32
NO_PRESHARED_KEY = bytes(32)

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_ZERO_NONCE = bytes(12)
# TAI64 labels count from 2^62, and TAI was 10 s ahead of UTC in 1970: https://cr.yp.to/libtai/tai64.html
_TAI_OFFSET = 2**62 + 10


class HandshakeError(Exception):
    """A handshake message does not come from the expected peer. It is dropped."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Our static key pair and the peer's public key, with the values derived from them once."""

    private: X25519PrivateKey
    public: bytes
    peer_public: bytes
    static_shared: bytes

    @classmethod
    def from_raw(cls, private_key: bytes, peer_public_key: bytes) -> Keys:
        """Build the keys from 32 raw bytes each.

        Raises:
            ValueError: the peer's key is one of the few that share no secret.
        """
        private = X25519PrivateKey.from_private_bytes(private_key)
        shared = private.exchange(X25519PublicKey.from_public_bytes(peer_public_key))
        return cls(private, private.public_key().public_bytes_raw(), peer_public_key, shared)


@dataclass(frozen=True, slots=True)
class TransportKeys:
    """Result of a complete handshake: keys of 32 bytes and both sides' session indices."""

    sending: bytes
    receiving: bytes
    local_index: int
    remote_index: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """A sent initiation that waits for its response. `message` has no MACs yet."""

    keys: Keys
    ephemeral: X25519PrivateKey
    local_index: int
    chaining: bytes
    transcript: bytes
    message: bytes

    def finish(self, response: bytes) -> TransportKeys:
        """Return the transport keys, from a response of 92 bytes whose first MAC was checked.

        Raises:
            HandshakeError: it answers another initiation, or was not made by the peer.
        """
        remote_index, receiver = struct.unpack_from("<II", response, 4)
        if receiver != self.local_index:
            raise HandshakeError("the response is for another initiation")
        # Message 2: type, both indices, E_r (32 bytes), an encrypted empty text (16), the MACs.
        ephemeral, empty = response[12:44], response[44:60]
        transcript = digest(self.transcript, ephemeral)
        (chaining,) = derive(self.chaining, ephemeral, 1)
        # `ee`, then `se`: our ephemeral and our static key with the peer's ephemeral one.
        for private in (self.ephemeral, self.keys.private):
            (chaining,) = derive(chaining, _shared(private, ephemeral), 1)
        # `psk2`: WireGuard without a preshared key mixes in zeros.
        chaining, mixed, key = derive(chaining, NO_PRESHARED_KEY, 3)
        try:
            ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, empty, digest(transcript, mixed))
        except InvalidTag:
            raise HandshakeError("the response was not made by the peer") from None
        sending, receiving = derive(chaining, b"", 2)
        return TransportKeys(sending, receiving, self.local_index, remote_index)


def initiate(
    keys: Keys, *, ephemeral: X25519PrivateKey | None = None, index: int | None = None
) -> Handshake:
    """Build message 1 without its MACs.

    116 bytes with a fresh ephemeral key, a random index, and the time of day.
    """
    ephemeral = ephemeral or X25519PrivateKey.generate()
    index = int.from_bytes(os.urandom(4)) if index is None else index
    public = ephemeral.public_key().public_bytes_raw()
    chaining = digest(CONSTRUCTION)
    transcript = digest(chaining, IDENTIFIER)
    transcript = digest(transcript, keys.peer_public)
    # `e`
    transcript = digest(transcript, public)
    (chaining,) = derive(chaining, public, 1)
    # `es`, which hides our static key from everybody but the peer
    chaining, key = derive(chaining, _shared(ephemeral, keys.peer_public), 2)
    static = ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, keys.public, transcript)
    transcript = digest(transcript, static)
    # `ss`, which proves that we know the private key
    chaining, key = derive(chaining, keys.static_shared, 2)
    stamp = ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, timestamp(time.time_ns()), transcript)
    message = struct.pack("<II", INITIATION, index) + public + static + stamp
    return Handshake(keys, ephemeral, index, chaining, digest(transcript, stamp), message)


def timestamp(now_ns: int) -> bytes:
    """Return a TAI64N label of 12 bytes, the paper's guard against replayed initiations."""
    seconds, nanoseconds = divmod(now_ns, 1_000_000_000)
    return struct.pack(">QI", seconds + _TAI_OFFSET, nanoseconds)


def digest(*parts: bytes) -> bytes:
    """Return the paper's HASH: BLAKE2s, 32 bytes, of the parts one after the other."""
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key: bytes, data: bytes) -> bytes:
    """Return the paper's MAC: keyed BLAKE2s, 16 bytes."""
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def derive(chaining: bytes, material: bytes, count: int) -> list[bytes]:
    """Return the paper's KDF_n: HKDF with HMAC-BLAKE2s, `count` keys of 32 bytes."""
    secret = hmac.digest(chaining, material, "blake2s")
    keys: list[bytes] = []
    previous = b""
    for number in range(1, count + 1):
        previous = hmac.digest(secret, previous + bytes([number]), "blake2s")
        keys.append(previous)
    return keys


def _shared(private: X25519PrivateKey, public: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise HandshakeError("the ephemeral key shares no secret") from None
