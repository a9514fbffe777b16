"""An initiator under a clock of the test's own, beside the responder written from the paper."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from jail.wireguard.initiator import Initiator
from jail.wireguard.noise import Handshake, Keys
from tests.fakes.wireguard import Responder, Seen


def ipv4(payload: bytes = b"payload") -> bytes:
    """An IPv4 packet as far as the tunnel looks at it: version and total length."""
    return struct.pack(">BBH", 0x45, 0, 20 + len(payload)) + bytes(16) + payload


@dataclass
class Tunnel:
    """`sent` are datagrams of the initiator, `delivered` the packets that it took out of the
    responder's.
    """

    sent: list[bytes] = field(default_factory=list)
    delivered: list[bytes] = field(default_factory=list)
    handshakes: list[Handshake] = field(default_factory=list)

    def __post_init__(self) -> None:
        private = X25519PrivateKey.generate()
        self.responder = Responder(private.public_key().public_bytes_raw())
        self.engine = Initiator(
            Keys.from_raw(private.private_bytes_raw(), self.responder.public),
            send=self.sent.append,
            deliver=lambda packet: self.delivered.append(bytes(packet)),
            now=1000.0,
            on_handshake=self.handshakes.append,
        )

    def connect(self) -> Seen:
        """Shake hands; returns the responder's session."""
        self.engine.start()
        return self.answer()

    def answer(self) -> Seen:
        """Let the responder answer the newest datagram, which must be an initiation."""
        message, session = self.responder.answer(self.take())
        assert session is not None
        self.engine.datagram(message)
        return session

    def take(self) -> bytes:
        """The oldest datagram that was sent and not yet looked at."""
        return self.sent.pop(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick whenever one is due, as the loop does."""
        end = self.engine.now + seconds
        while (due := self.engine.due_at()) is not None and due <= end:
            self.engine.now = max(due, self.engine.now)
            self.engine.tick()
        self.engine.now = end


def flipped(data: bytes, bit: int) -> bytes:
    """The data with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def noise(count: int) -> bytes:
    """Bytes that nobody made on purpose."""
    return os.urandom(count)
