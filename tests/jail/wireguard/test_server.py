"""Against the server that a jail really talks to, mitmproxy's.

A socket pair stands for the TUN device.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from mitmproxy_rs import Stream, wireguard

from jail.wireguard.initiator import Initiator
from jail.wireguard.loop import run_initiator
from jail.wireguard.noise import Keys
from jail.wireguard.peer import Peer, decode_key
from jail.wireguard.process import InitiatorProcess
from providers.base.errors import ConfigError
from tests.patience import PATIENCE_S

CLIENT, SERVER = "10.0.0.1", "10.9.8.7"


def checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def udp_packet(payload: bytes, port: int = 4242) -> bytes:
    """An IPv4 packet with a UDP datagram; a UDP checksum of zero means that there is none."""
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        28 + len(payload),
        1,
        0,
        64,
        17,
        0,
        *map(socket.inet_aton, (CLIENT, SERVER)),
    )
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return head + struct.pack(">HHHH", 5353, port, 8 + len(payload), 0) + payload


async def echo(stream: Stream) -> None:
    while data := await stream.read(65535):
        stream.write(data.swapcase())
        await stream.drain()


async def refuse(stream: Stream) -> None:
    stream.close()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def server() -> AsyncIterator[Peer]:
    """A fresh server on a free port, and what a client needs to know of it."""
    own, client = wireguard.genkey(), wireguard.genkey()
    running = await wireguard.start_wireguard_server(
        "127.0.0.1", 0, own, [wireguard.pubkey(client)], refuse, echo
    )
    try:
        yield Peer(running.getsockname()[1], client, wireguard.pubkey(own))
    finally:
        running.close()
        await running.wait_closed()


def tun_pair() -> tuple[socket.socket, socket.socket]:
    """The initiator's end and the namespace's end of a device: one packet a read."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.settimeout(PATIENCE_S)
    return ours, theirs


@contextmanager
def running(peer: Peer, keylog: Path | None = None) -> Iterator[socket.socket]:
    """The loop in a thread; yields the namespace's end."""
    tun, inside = tun_pair()
    stop, stopper = socket.socketpair()
    ready = threading.Event()
    thread = threading.Thread(
        target=run_initiator,
        args=(tun.fileno(),),
        kwargs={"peer": peer, "stop": stop.fileno(), "keylog": keylog, "on_ready": ready.set},
    )
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield inside
    finally:
        stopper.close()
        thread.join(PATIENCE_S)
        for end in (tun, inside, stop):
            end.close()
        assert not thread.is_alive()


def asked(inside: socket.socket, payload: bytes) -> bytes:
    """Send a datagram through the tunnel; returns the payload of what comes back."""
    inside.send(udp_packet(payload))
    return inside.recv(2048)[28:]


def command_line(pid: int) -> str:
    """A process's arguments; nothing when it is gone."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_text() if path.exists() else ""


async def test_packets_go_there_and_back() -> None:
    async with server() as peer:
        with running(peer) as inside:
            for size in (1, 3, 100, 1392):
                assert await asyncio.to_thread(asked, inside, b"A" * size) == b"a" * size


async def test_the_helper_process_carries_packets_and_ends() -> None:
    async with server() as peer:
        helper = InitiatorProcess.start()
        tun, inside = tun_pair()
        with tun, inside:
            helper.connect(tun.fileno(), peer)
            await asyncio.to_thread(helper.wait_ready)
            assert await asyncio.to_thread(asked, inside, b"hello") == b"HELLO"
            assert (
                "helper.py" in (line := command_line(helper.pid)) and peer.private_key not in line
            )
            assert os.getsid(helper.pid) == helper.pid, (
                "Ctrl-C and Ctrl-Z go to the terminal's session"
            )
            helper.stop()
            assert command_line(helper.pid) == ""
            helper.stop()


async def test_the_helper_ends_with_its_launcher() -> None:
    """What the kernel does when a launcher is killed: it closes the socket."""
    async with server() as peer:
        helper = InitiatorProcess.start()
        tun, inside = tun_pair()
        with tun, inside:
            helper.connect(tun.fileno(), peer)
            await asyncio.to_thread(helper.wait_ready)
            helper._channel.close()
            assert await asyncio.to_thread(helper._process.wait, 10) == 0


async def test_the_helper_ends_with_the_device() -> None:
    """What happens when the namespace goes, and its interfaces with it."""
    async with server() as peer:
        helper = InitiatorProcess.start()
        tun, inside = tun_pair()
        helper.connect(tun.fileno(), peer)
        await asyncio.to_thread(helper.wait_ready)
        tun.close()
        inside.close()
        assert await asyncio.to_thread(helper._process.wait, 10) == 0
        helper.stop()


def test_a_helper_that_was_given_nothing_ends() -> None:
    helper = InitiatorProcess.start()
    helper.stop()
    assert helper._process.returncode == 0


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        peer = Peer(
            silent.getsockname()[1], wireguard.genkey(), wireguard.pubkey(wireguard.genkey())
        )
        helper = InitiatorProcess.start()
        tun, inside = tun_pair()
        with tun, inside:
            helper.connect(tun.fileno(), peer)
            with pytest.raises(ConfigError, match="ccproxy start"):
                helper.wait_ready(0.5)
        helper.stop()


def test_a_key_that_is_none_is_told_without_the_key() -> None:
    helper = InitiatorProcess.start()
    tun, inside = tun_pair()
    with tun, inside:
        helper.connect(tun.fileno(), Peer(9, "short-secret", "x"))
        with pytest.raises(ConfigError, match="32 bytes") as caught:
            helper.wait_ready()
        assert "short-secret" not in str(caught.value)
    helper.stop()


async def test_a_server_that_counts_handshakes_is_satisfied_with_cookies() -> None:
    """mitmproxy's server asks for a cookie from its eleventh handshake on; a clock of our own saves
    twenty minutes.
    """
    async with server() as peer:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", peer.port))
            udp.settimeout(PATIENCE_S)
            keys = Keys.from_raw(decode_key(peer.private_key), decode_key(peer.public_key))
            delivered: list[bytes] = []
            engine = Initiator(
                keys, send=udp.send, deliver=lambda packet: delivered.append(bytes(packet)), now=0.0
            )

            def exchange(number: int) -> list[int]:
                """Renew the keys and send a packet; returns the kinds of the server's datagrams."""
                kinds: list[int] = []
                engine.now += 181
                engine.packet(udp_packet(b"number %d" % number))
                while len(delivered) <= number:
                    datagram = udp.recv(2048)
                    kinds.append(datagram[0])
                    engine.datagram(datagram)
                return kinds

            kinds = [await asyncio.to_thread(exchange, number) for number in range(13)]
    assert kinds[0] == [2, 4]
    assert kinds[-1] == [3, 2, 4]
    assert [packet[28:] for packet in delivered] == [b"NUMBER %d" % number for number in range(13)]


async def test_the_server_survives_whatever_we_send_and_so_do_we() -> None:
    async with server() as peer:
        with running(peer) as inside:
            for junk in (
                b"",
                b"\x45",
                b"\x60" + bytes(80),
                b"\x45\0\0\x10" + bytes(40),
                os.urandom(1400),
            ):
                inside.send(junk)
            assert await asyncio.to_thread(asked, inside, b"still there") == b"STILL THERE"
