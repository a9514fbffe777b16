"""Lease server: a unix socket in the config directory, with one connection for each run.

The line of a launcher is answered with a fresh WireGuard server. When either side closes the
connection, the server and everything known of the run is gone. The socket is for this user alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from interceptor.forward.server import LOOPBACK, ForwardServer, start_forward_server
from interceptor.stock_addons import Proxyserver
from interceptor.wireguard.lease import FORWARD_USER, Run, RunBook, parse_request
from interceptor.wireguard.lease_client import MAX_LINE_BYTES, SOCKET_NAME, short_path
from interceptor.wireguard.server import DNS_SERVER, WireGuardServer, start_fresh_server
from providers.base.errors import ConfigError

logger = logging.getLogger(__name__)


class LeaseServer:
    """Server of the lease socket.

    Args:
        run_dir: directory of socket and key files, for this user alone.
        book: the runs; addons find the run of a flow in it.
        proxy_host: the reverse listener's address as this machine reaches it.
        proxy_port: its port.
        is_provider: whether a name is that of a provider's host.
    """

    def __init__(
        self,
        run_dir: Path,
        book: RunBook,
        *,
        proxy_host: str,
        proxy_port: int,
        max_leases: int,
        request_timeout_s: float,
        is_provider: Callable[[str], bool],
    ) -> None:
        self._is_provider = is_provider
        self._max_leases = max_leases
        self._request_timeout_s = request_timeout_s
        self._run_dir = run_dir
        self._book = book
        self._proxy = proxy_host, proxy_port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, manager: Proxyserver) -> None:
        """Start to listen.

        Raises:
            OSError: the socket cannot be made.
        """
        self._manager = manager
        listener = _private_socket(self._run_dir)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=MAX_LINE_BYTES
        )

    def refuse(self) -> None:
        """Stop listening; leases go on."""
        if self._server is not None and self._server.is_serving():
            self._server.close()
            (self._run_dir / SOCKET_NAME).unlink(missing_ok=True)

    async def stop(self) -> None:
        """End every lease and stop listening."""
        self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="lease")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one lease from its request to its end."""
        try:
            if not _same_user(writer.get_extra_info("socket")):
                return
            line = await asyncio.wait_for(reader.readline(), self._request_timeout_s)
            await self._lease(line, reader, writer)
        except ConfigError as exc:
            writer.write(json.dumps({"error": str(exc)}).encode() + b"\n")
        except (OSError, ValueError, TimeoutError) as exc:
            logger.warning("a lease ended early: %s", exc)
        finally:
            writer.close()

    async def _lease(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Start a server and keep it until the connection ends.

        Raises:
            ConfigError: the lease is refused.
        """
        run = parse_request(line)
        if len(self._book) >= self._max_leases:
            raise ConfigError(
                f"{self._max_leases} captured commands run already; end one of them first"
            )
        try:
            server = await self._start(run)
        except OSError as exc:
            raise ConfigError(f"the proxy cannot open another port: {exc}") from None
        self._book.add(server.key, run)
        logger.info("run %s (%s) is captured on port %d", run.label, run.id, server.port)
        try:
            writer.write(self._answer(server, run))
            await writer.drain()
            # The launcher has no more to say; only the end of the connection matters.
            while await reader.read(4096):
                pass
        finally:
            self._book.remove(server.key)
            await asyncio.shield(server.stop())
            logger.info("run %s (%s) ended", run.label, run.id)

    async def _start(self, run: Run) -> WireGuardServer | ForwardServer:
        """Start the listener that the run asked for.

        Raises:
            OSError: it cannot listen.
        """
        terms = run.forward
        if terms is None:
            return await start_fresh_server(self._manager, self._run_dir)

        def reads(names: Sequence[str]) -> bool:
            if terms.reads_all:
                return True
            return any(terms.hosts.covers(name) or self._is_provider(name) for name in names)

        return await start_forward_server(self._manager, reads)

    def _answer(self, server: WireGuardServer | ForwardServer, run: Run) -> bytes:
        if isinstance(server, ForwardServer):
            password = run.forward.password if run.forward else ""
            url = f"http://{FORWARD_USER}:{password}@{LOOPBACK}:{server.port}"
            return json.dumps({"forward_url": url}).encode() + b"\n"
        answer = {
            "port": server.port,
            "private_key": server.client_private_key,
            "peer_public_key": server.public_key,
            "dns": DNS_SERVER,
            "proxy_host": self._proxy[0],
            "proxy_port": self._proxy[1],
            "lease": run.id,
        }
        return json.dumps(answer).encode() + b"\n"


def _private_socket(run_dir: Path) -> socket.socket:
    """Return the bound socket, to which no other user can connect from the first moment on."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(run_dir, SOCKET_NAME) as path:
        # Left by a process that was killed: this one holds the lock.
        Path(path).unlink(missing_ok=True)
        # A chmod after bind would leave a moment in which others can connect.
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    return listener


def _same_user(connection: socket.socket) -> bool:
    """Return whether the peer is this user or root; always true without SO_PEERCRED.

    Where there is none, the socket's mode alone keeps others out.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    )
    return uid in (os.getuid(), 0)
