"""Event loop between a TUN descriptor and a UDP socket, in one thread.

A packet costs two system calls and one cipher call. After each wait a descriptor is read until it
is empty, or for a batch, so that neither direction starves the other.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from jail.wireguard.initiator import Initiator
from jail.wireguard.keylog import handshake_logger
from jail.wireguard.noise import Handshake, Keys
from jail.wireguard.peer import Peer, decode_key

SERVER_HOST = "127.0.0.1"
# The device's MTU is 1420, and so is mitmproxy's. A packet has 32 bytes more on the wire.
MAX_PACKET_BYTES = 2048
BATCH_PACKETS = 64
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
_LOST = select.POLLERR | select.POLLHUP | select.POLLNVAL


def run_initiator(
    tun: int,
    *,
    peer: Peer,
    stop: int,
    keylog: Path | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Run the tunnel until `stop` is readable or closed at its other end, or the device is gone.

    `tun` and `stop` stay open. `on_ready` is called once, after the first handshake.

    Raises:
        ValueError: a key is malformed.
        OSError: no socket can be made.
    """
    keys = Keys.from_raw(decode_key(peer.private_key), decode_key(peer.public_key))
    os.set_blocking(tun, False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        # Connected, so that the kernel drops datagrams of other senders.
        udp.connect((SERVER_HOST, peer.port))
        log = handshake_logger(keylog) if keylog is not None else _no_log
        _Loop(tun, udp, keys, log).run(stop, on_ready)


def _no_log(handshake: Handshake) -> None:
    """Ignore a handshake while key logs are off."""


class _Loop:
    def __init__(
        self, tun: int, udp: socket.socket, keys: Keys, log: Callable[[Handshake], None]
    ) -> None:
        self._tun = tun
        self._udp = udp
        self._engine = Initiator(
            keys, send=self._send, deliver=self._deliver, now=time.monotonic(), on_handshake=log
        )

    def run(self, stop: int, on_ready: Callable[[], None]) -> None:
        engine, tun, clock = self._engine, self._tun, time.monotonic
        poll = select.poll()
        for descriptor in (tun, self._udp.fileno(), stop):
            poll.register(descriptor, select.POLLIN)
        engine.start()
        waits = True
        while True:
            due = engine.due_at()
            timeout_ms = None if due is None else max((due - clock()) * 1000, 0)
            ready = poll.poll(timeout_ms)
            engine.now = clock()
            for descriptor, event in ready:
                if descriptor == stop or (descriptor == tun and event & _LOST):
                    return
                if descriptor == tun:
                    self._read_packets()
                else:
                    self._read_datagrams()
            if due is not None and engine.now >= due:
                engine.tick()
            if waits and engine.is_up:
                waits = False
                on_ready()

    def _read_packets(self) -> None:
        tun, take, read = self._tun, self._engine.packet, os.read
        try:
            for _ in range(BATCH_PACKETS):
                take(read(tun, MAX_PACKET_BYTES))
        except OSError:
            return  # empty, or down; when it is gone, poll says so

    def _read_datagrams(self) -> None:
        take, receive = self._engine.datagram, self._udp.recv
        try:
            for _ in range(BATCH_PACKETS):
                take(receive(MAX_PACKET_BYTES))
        except OSError:
            return  # empty, or the server's port is closed for now

    def _send(self, datagram: bytes) -> None:
        try:
            self._udp.send(datagram)
        except OSError:
            return  # lost, as datagrams may be: TCP and the handshake's retry send it again

    def _deliver(self, packet: bytes | memoryview) -> None:
        try:
            os.write(self._tun, packet)
        except OSError:
            return  # the device is not up yet, or its queue is full
