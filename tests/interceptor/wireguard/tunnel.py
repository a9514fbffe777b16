"""A captured command that the test itself plays: sockets inside a namespace whose only way out is a
lease's tunnel.
"""

from __future__ import annotations

import array
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mitmproxy.dns import DNSMessage, Question
from mitmproxy.net.dns import types

from interceptor.wireguard.lease_client import Lease, take_lease
from jail.wireguard.loop import run_initiator
from jail.wireguard.peer import Peer
from tests.environment import need
from tests.patience import PATIENCE_S

CA_FILE = "mitmproxy-ca-cert.pem"
DNS_SERVER = "10.0.0.53"


def need_tunnel() -> None:
    """Skip or fail where no tunnel can be made."""
    need("/dev/net/tun, readable and writable,", os.access("/dev/net/tun", os.R_OK | os.W_OK))
    need("ip of iproute2", shutil.which("ip") is not None)


@dataclass
class Captured:
    """The command's view of the network."""

    lease: Lease
    lease_socket: socket.socket
    ca_file: Path
    channel: socket.socket

    def made(self, kind: str) -> socket.socket:
        """A fresh socket: `t` for TCP, `u` for UDP."""
        self.channel.send(kind.encode())
        made = socket.socket(fileno=received(self.channel))
        made.settimeout(PATIENCE_S)
        return made

    def tcp(self, address: str, port: int) -> socket.socket:
        """A connection."""
        made = self.made("t")
        made.connect((address, port))
        return made

    def tls(
        self, address: str, name: str | None, port: int = 443, alpn: Sequence[str] = ()
    ) -> ssl.SSLSocket:
        """A TLS connection that trusts the proxy's authority alone."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.check_hostname = name is not None
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context.wrap_socket(self.tcp(address, port), server_hostname=name)

    def lookup(self, name: str, kind: int = types.A, server: str = DNS_SERVER) -> DNSMessage:
        """The answer to a lookup."""
        return DNSMessage.unpack(self.exchange(server, 53, query(name, kind)))

    def address(self, name: str) -> str:
        """The first address of a name."""
        return str(self.lookup(name).answers[0].ipv4_address)

    def exchange(self, address: str, port: int, datagram: bytes) -> bytes:
        """Send a datagram; what comes back."""
        with self.made("u") as udp:
            udp.connect((address, port))
            udp.send(datagram)
            return udp.recv(4096)


def query(name: str, kind: int) -> bytes:
    """A DNS question."""
    return DNSMessage(
        timestamp=0, id=7, query=True, op_code=0, authoritative_answer=False, truncation=False,
        recursion_desired=True,
        recursion_available=False, reserved=0, response_code=0, questions=[Question(name, kind, 1)],
        answers=[],
        authorities=[], additionals=[],
    ).packed  # fmt: skip


def received(channel: socket.socket) -> int:
    """The descriptor that comes next."""
    _, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(4))
    if not ancillary:
        raise OSError("the namespace could not be made")
    return array.array("i", ancillary[0][2])[0]


@contextmanager
def captured(
    directory: Path, ca_dir: Path, *, label: str = "test", egress: Sequence[str] | None = None
) -> Iterator[Captured]:
    """A lease and its tunnel, as the jail makes them."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE_S)
    inside = Path(__file__).with_name("inside.py")
    lease, connection = take_lease(
        directory, label=label, command=["agent", "--flag", "two words"], egress=egress
    )
    peer = Peer(lease.port, lease.private_key, lease.peer_public_key)
    stop, stopper = socket.socketpair()
    child = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$0" "$1" 3<&0', sys.executable, str(inside)], stdin=theirs.fileno()
    )
    theirs.close()
    tun = received(ours)
    ready = threading.Event()
    options = {"peer": peer, "stop": stop.fileno(), "on_ready": ready.set}
    thread = threading.Thread(target=run_initiator, args=(tun,), kwargs=options, daemon=True)
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield Captured(lease, connection, ca_dir / CA_FILE, ours)
    finally:
        connection.close()
        stopper.close()
        thread.join(PATIENCE_S)
        ours.close()
        child.wait(PATIENCE_S)
        stop.close()
        os.close(tun)
