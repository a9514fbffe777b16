"""State machine of the tunnel: packets and datagrams in and out. No descriptor, no clock.

It only initiates. mitmproxy's server responds; an initiation from its side (it has lost its keys)
is ignored, because the next packet of ours, or the 15 s of silence after it, brings a new
handshake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from jail.wireguard.cookie import Macs
from jail.wireguard.noise import (
    COOKIE_REPLY,
    COOKIE_REPLY_BYTES,
    RESPONSE,
    RESPONSE_BYTES,
    TRANSPORT,
    Handshake,
    HandshakeError,
    Keys,
    initiate,
)
from jail.wireguard.session import (
    HEADER_BYTES,
    REJECT_AFTER_MESSAGES,
    REKEY_AFTER_MESSAGES,
    TAG_BYTES,
    Session,
)
from jail.wireguard.timers import REJECT_AFTER_S, REKEY_AFTER_S, REKEY_WHEN_RECEIVING_S, Timers

QUEUE_PACKETS = 128
_IPV4 = 4
_IPV4_HEADER_BYTES = 20


class Initiator:
    """One tunnel to one server.

    `send` takes datagrams for it, `deliver` the packets that came out of it. The caller sets `now`
    before each batch: seconds of a clock that never goes back. `on_handshake` is called with each
    initiation before it is sent, for the key log.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        send: Callable[[bytes], object],
        deliver: Callable[[bytes | memoryview], object],
        now: float,
        on_handshake: Callable[[Handshake], None] = lambda handshake: None,
    ) -> None:
        self.now = now
        self._keys = keys
        self._send = send
        self._deliver = deliver
        self._on_handshake = on_handshake
        self._macs = Macs(keys.public, keys.peer_public)
        self._timers = Timers()
        self._handshake: Handshake | None = None
        self._hurried = False
        self._current: Session | None = None
        self._previous: Session | None = None
        self._waiting: deque[bytes] = deque(maxlen=QUEUE_PACKETS)

    @property
    def is_up(self) -> bool:
        """True while packets can be sent."""
        session = self._current
        return (
            session is not None
            and self.now - session.created_at < REJECT_AFTER_S
            and session.sent < REJECT_AFTER_MESSAGES
        )

    def start(self) -> None:
        """Start a handshake before there is a packet, so that the first one does not wait."""
        self._initiate(again=False)

    def packet(self, packet: bytes) -> None:
        """Send a packet of the TUN device. IPv6 is dropped: the tunnel is IPv4 only."""
        if len(packet) < _IPV4_HEADER_BYTES or packet[0] >> 4 != _IPV4:
            return
        session = self._current
        if session is None or not self.is_up:
            self._waiting.append(packet)
            self._want_keys()
            return
        self._send(session.seal(packet))
        self._timers.sent(self.now, data=True)
        if self.now - session.created_at >= REKEY_AFTER_S or session.sent >= REKEY_AFTER_MESSAGES:
            self._want_keys()

    def datagram(self, datagram: bytes) -> None:
        """Take a datagram from the server's address. Malformed and forged ones are dropped."""
        kind = int.from_bytes(datagram[:4], "little")
        if kind == TRANSPORT and len(datagram) >= HEADER_BYTES + TAG_BYTES:
            self._transport(datagram)
            return
        try:
            if kind == RESPONSE and len(datagram) == RESPONSE_BYTES:
                self._response(datagram)
            elif kind == COOKIE_REPLY and len(datagram) == COOKIE_REPLY_BYTES:
                self._cookie(datagram)
        except HandshakeError:
            return

    def due_at(self) -> float | None:
        """Return the time of the next `tick`, or None if nothing is due."""
        return self._timers.next()

    def tick(self) -> None:
        """Do what is due at `now`."""
        timers, now = self._timers, self.now
        if timers.keepalive_at is not None and now >= timers.keepalive_at:
            timers.keepalive_at = None
            self._keepalive()
        if timers.silence_at is not None and now >= timers.silence_at:
            timers.silence_at = None
            self._want_keys()
        if timers.retry_at is not None and now >= timers.retry_at:
            self._retry()
        if timers.forget_at is not None and now >= timers.forget_at:
            timers.forget_at = self._current = self._previous = None

    def _transport(self, datagram: bytes) -> None:
        index = int.from_bytes(datagram[4:8], "little")
        session = self._current
        # After a handshake, packets under the keys before it are still on their way.
        if session is None or session.local_index != index:
            session = self._previous
            if session is None or session.local_index != index:
                return
        age_s = self.now - session.created_at
        if age_s >= REJECT_AFTER_S:
            return
        packet = session.open(datagram)
        if packet is None:
            return
        self._timers.received(self.now, data=bool(packet))
        if session is self._current and age_s >= REKEY_WHEN_RECEIVING_S:
            self._want_keys()
        if len(packet) >= _IPV4_HEADER_BYTES and packet[0] >> 4 == _IPV4:
            self._deliver_unpadded(packet)

    def _deliver_unpadded(self, packet: bytes) -> None:
        # Packets are padded to 16 bytes before encryption; the IPv4 header has the true length.
        size_bytes = (packet[2] << 8) | packet[3]
        if size_bytes == len(packet):
            self._deliver(packet)
        elif _IPV4_HEADER_BYTES <= size_bytes < len(packet):
            self._deliver(memoryview(packet)[:size_bytes])

    def _response(self, message: bytes) -> None:
        if self._handshake is None:
            return
        self._macs.check(message)
        keys = self._handshake.finish(message)
        self._handshake = None
        self._timers.completed(self.now)
        self._previous, self._current = self._current, Session(keys, self.now)
        if self._waiting:
            for packet in self._waiting:
                self._send(self._current.seal(packet))
            self._waiting.clear()
            self._timers.sent(self.now, data=True)
        else:
            # The server may use the new keys only after it has received a packet under them.
            self._keepalive()

    def _cookie(self, message: bytes) -> None:
        """Store a cookie for the next attempt, or try at once if packets wait for the keys.

        The paper says the next attempt. mitmproxy's server is not under load when it asks for a
        cookie, and the five seconds would stall the command. Once a series of attempts, so that no
        server can make us send in a loop.
        """
        receiver = int.from_bytes(message[4:8], "little")
        if self._handshake is None or receiver != self._handshake.local_index:
            return
        self._macs.take_cookie(message, self.now)
        if not self.is_up and not self._hurried:
            self._initiate(again=True)
            self._hurried = True

    def _keepalive(self) -> None:
        if self._current is not None and self.is_up:
            self._send(self._current.seal(b""))
            self._timers.sent(self.now, data=False)

    def _want_keys(self) -> None:
        """Start a handshake unless one is under way."""
        if self._timers.retry_at is None:
            self._initiate(again=False)

    def _retry(self) -> None:
        if self.now < self._timers.give_up_at:
            self._initiate(again=True)
            return
        self._timers.retry_at = None
        self._handshake = None
        self._waiting.clear()

    def _initiate(self, *, again: bool) -> None:
        self._hurried = self._hurried and again
        self._handshake = initiate(self._keys)
        self._on_handshake(self._handshake)
        self._timers.initiated(self.now, again=again)
        self._send(self._macs.sealed(self._handshake.message, self.now))
