"""A proxy with a forward listener for one run, and scripted servers behind names only it knows.

`good.test` is a provider, `other.test` is somebody else, `plain.test` speaks HTTP without TLS.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.record import FlowRecord
from interceptor.wireguard.lease_client import take_forward_lease
from interceptor.wireguard.overrides import parse_overrides
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import CA_DIR, Running, key_auth, provider, running_proxy, snapshot
from tests.patience import PATIENCE_S
from tests.sockets import read_until

CANARY = "canary-51c0ffee7a11d00d"
CA_FILE = CA_DIR / "mitmproxy-ca-cert.pem"


@dataclass
class World:
    """The servers, the proxy, and the run's way to it."""

    proxy: Running
    good: Upstream
    other: Upstream
    plain: Upstream
    two: Http2Upstream
    directory: Path
    authority_file: Path
    url: str
    """The proxy's URL with the run's credentials."""
    leases: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The listener's."""
        return urlsplit(self.url).port or 0

    @property
    def password(self) -> str:
        """The run's."""
        return urlsplit(self.url).password or ""

    def authorization(self, password: str | None = None) -> str:
        """The header line of the run's credentials, or of another password's."""
        text = f"run:{self.password if password is None else password}"
        return f"Proxy-Authorization: Basic {base64.b64encode(text.encode()).decode()}\r\n"

    def lease(self, label: str = "test-run", *, reads_all: bool = False) -> str:
        """Another run's proxy URL."""
        url, connection = take_forward_lease(
            self.directory, label=label, command=["agent", "-p"], hosts=[], reads_all=reads_all
        )
        self.leases.append(connection)
        return url

    def say(self, data: bytes, port: int | None = None) -> tuple[int, bytes]:
        """Send exact bytes to the listener; the status code and all that comes back."""
        with self.connection(port) as connection:
            connection.sendall(data)
            got = b""
            while more := connection.recv(65536):
                got += more
                if got.startswith(b"HTTP/1.1 200 Connection established"):
                    break
        return int(got[9:12]), got

    def connection(self, port: int | None = None) -> socket.socket:
        """A fresh connection to the listener."""
        return socket.create_connection(("127.0.0.1", port or self.port), PATIENCE_S)

    def tunnel(self, host: str, port: int = 443, *, url: str = "") -> socket.socket:
        """A connection with an open tunnel."""
        parts = urlsplit(url or self.url)
        connection = self.connection(parts.port)
        head = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        head += self.authorization(parts.password)
        connection.sendall(f"{head}\r\n".encode())
        answer = read_until(connection, b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return connection

    def tls(
        self, host: str, *, name: str = "", ca: Path = CA_FILE, alpn: tuple[str, ...] = ()
    ) -> ssl.SSLSocket:
        """TLS in a tunnel."""
        context = ssl.create_default_context(cafile=ca)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context.wrap_socket(self.tunnel(host), server_hostname=name or host)

    def records(self, **wanted: Any) -> list[FlowRecord]:
        """Wait for finished records with these values."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = [
                record
                for record in self.proxy.sink.records
                if all(getattr(record, name) == value for name, value in wanted.items())
            ]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no record with {wanted} among {self.proxy.sink.records}")

    def forget(self) -> None:
        """Start with empty lists."""
        self.proxy.sink.records.clear()
        for server in (self.good, self.other, self.plain):
            server.requests.clear()
            server.scripts.clear()


@contextmanager
def running_world(directory: Path) -> Iterator[World]:
    """All of it."""
    names = ("good.test", "other.test", "two.test")
    authority = make_authority(directory, *names)
    context = authority.server_context(["http/1.1"])
    conf = provider(
        "good", 443, host="good.test", scheme="https", auth=key_auth("x-api-key", CANARY)
    )
    two_conf = provider("two", 443, host="two.test", scheme="https", auth=None)
    with (
        Upstream(context) as good,
        Upstream(context) as other,
        Upstream() as plain,
        Http2Upstream(authority.server_context(["h2"])) as two,
    ):
        servers = {"good.test": good, "other.test": other, "plain.test": plain, "two.test": two}
        overrides = parse_overrides(
            {}, {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}
        )
        with running_proxy(
            snapshot(conf, two_conf),
            config_dir=directory,
            overrides=overrides,
            ssl_verify_upstream_trusted_ca=str(authority.ca_file),
        ) as proxy:
            world = World(proxy, good, other, plain, two, directory, authority.ca_file, url="")
            world.url = world.lease()
            try:
                yield world
            finally:
                for lease in world.leases:
                    lease.close()
