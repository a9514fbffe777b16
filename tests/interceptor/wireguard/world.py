"""A proxy that hands out leases, and scripted servers behind names that only it knows.

`good.test` and `other.test` are providers, `evil.test` is somebody else with a certificate that the
proxy trusts, `plain.test` speaks HTTP without TLS, `echo.test` swaps the case of whatever it gets,
`pinned.test` is passed on unread, `closed.test` does not listen, `udp.test` takes datagrams.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.record import FlowRecord
from interceptor.wireguard.overrides import parse_overrides
from tests.fakes.certificates import make_authority
from tests.fakes.http2 import Http2Upstream
from tests.fakes.upstream import Upstream
from tests.interceptor.proxied import CA_DIR, Running, key_auth, provider, running_proxy, snapshot
from tests.interceptor.wireguard.tunnel import Captured, captured
from tests.loop_thread import end_loop
from tests.patience import PATIENCE_S
from tests.ports import free_port

CANARY = "canary-7f3a19c04be2d658"
OTHER = "other-key-55cc11dd99ee33aa"
ADDRESSES = {
    "good.test": "192.0.2.10",
    "other.test": "192.0.2.11",
    "evil.test": "192.0.2.12",
    "plain.test": "192.0.2.13",
    "echo.test": "192.0.2.14",
    "pinned.test": "192.0.2.15",
    "closed.test": "192.0.2.16",
    "udp.test": "192.0.2.17",
}


@dataclass
class World:
    """The servers, the proxy, and a lease's view of them."""

    proxy: Running
    good: Upstream
    evil: Upstream
    plain: Upstream
    directory: Path
    authority_file: Path
    run: Captured
    udp_port: int
    """Where datagrams to udp.test arrive; nobody listens yet."""

    @contextmanager
    def another(self, **more: Any) -> Iterator[Captured]:
        """Another run."""
        with captured(self.directory, CA_DIR, **more) as run:
            yield run

    def record(self, **wanted: Any) -> FlowRecord:
        """The newest finished record with these values."""
        return self.records(**wanted)[-1]

    def records(self, **wanted: Any) -> list[FlowRecord]:
        """Wait for records with these values."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = [
                r
                for r in self.proxy.sink.records
                if all(getattr(r, k) == v for k, v in wanted.items())
            ]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no record with {wanted} among {self.proxy.sink.records}")

    def forget(self) -> None:
        """Start with empty lists."""
        self.proxy.sink.records.clear()
        for server in (self.good, self.evil, self.plain):
            server.requests.clear()
            server.scripts.clear()

    @property
    def everything_seen_by_evil(self) -> str:
        """All that arrived at other hosts than the provider's."""
        seen = [*self.evil.requests, *self.plain.requests]
        return "".join(one.head.decode("latin-1") + one.body.decode("latin-1") for one in seen)


@contextmanager
def echo_server() -> Iterator[int]:
    """A TCP server that answers in the other case; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.swapcase())
            await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    start = asyncio.start_server(serve, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(start, loop).result(PATIENCE_S)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        end_loop(loop, thread)


@contextmanager
def running_world(
    directory: Path,
    *,
    rules: tuple[Any, ...] = (),
    more: tuple[Any, ...] = (),
    http2: bool = False,
    **options: Any,
) -> Iterator[World]:
    """All of it; `more` are further providers; with `http2` the providers' server offers it."""
    # Servers of both protocols stand there, long after the choice.
    udp_port = free_port()
    authority = make_authority(directory, *ADDRESSES)
    context = authority.server_context(["http/1.1"])
    # It speaks HTTP/1.1 alone, and would be misunderstood by a proxy that offers more than its
    # client did.
    tempting = authority.server_context(["h2", "http/1.1"])
    providers = [
        provider("good", 443, host="good.test", scheme="https", auth=key_auth("x-api-key", CANARY)),
        provider(
            "other", 443, host="other.test", scheme="https", auth=key_auth("x-api-key", OTHER)
        ),
        *more,
    ]
    with (
        Http2Upstream(tempting) if http2 else Upstream(context) as good,
        Upstream(tempting) as evil,
        Upstream() as plain,
        echo_server() as echo,
    ):
        ports = {
            "good.test": good,
            "other.test": good,
            "evil.test": evil,
            "plain.test": plain,
            "pinned.test": evil,
        }
        upstreams = {name: f"127.0.0.1:{server.port}" for name, server in ports.items()}
        overrides = parse_overrides(
            ADDRESSES,
            upstreams
            | {
                "echo.test": f"127.0.0.1:{echo}",
                "closed.test": "127.0.0.1:1",
                "udp.test": f"127.0.0.1:{udp_port}",
            },
        )
        options.setdefault("ssl_verify_upstream_trusted_ca", str(authority.ca_file))
        config = snapshot(*providers, rules=rules)
        with (
            running_proxy(config, config_dir=directory, overrides=overrides, **options) as proxy,
            captured(directory, CA_DIR) as run,
        ):
            yield World(proxy, good, evil, plain, directory, authority.ca_file, run, udp_port)


def talk(connection: socket.socket, data: bytes) -> bytes:
    """Send exact bytes; everything that comes back, with the body that its Content-Length
    promises.
    """
    connection.sendall(data)
    got = b""
    while b"\r\n\r\n" not in got and (more := connection.recv(65536)):
        got += more
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(
        (
            int(v)
            for k, _, v in (h.partition(b":") for h in head.split(b"\r\n"))
            if k.lower() == b"content-length"
        ),
        -1,
    )
    while (length < 0 or len(body) < length) and (more := connection.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body
