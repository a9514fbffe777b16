"""One WireGuard server of mitmproxy: started with keys of its own, stopped with all its
connections.

A server of mitmproxy 12.2 allows about ten handshakes in its life before every further one costs
its client five seconds, and all its clients share one return path. So every run gets a fresh
server, which takes about two milliseconds to start.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mitmproxy.proxy.mode_servers import WireGuardServerInstance
from mitmproxy.proxy.mode_specs import WireGuardMode
from mitmproxy_rs import wireguard

from interceptor.stock_addons import Proxyserver

HOST = "127.0.0.1"
DNS_SERVER = "10.0.0.53"
"""mitmproxy's resolver inside every tunnel."""


class NoKeys(logging.Filter):
    """Filter that drops the client configuration, with its private key, which mitmproxy logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a message with a key."""
        return "PrivateKey" not in str(record.msg) and "PrivateKey" not in str(record.args or "")


_NO_KEYS = NoKeys()
_SERVER_LOG = logging.getLogger("mitmproxy.proxy.mode_servers")


def hide_keys() -> None:
    """Keep private keys out of the log; calling it again changes nothing."""
    _SERVER_LOG.addFilter(_NO_KEYS)


def show_keys() -> None:
    """Undo `hide_keys`; calling it again changes nothing."""
    _SERVER_LOG.removeFilter(_NO_KEYS)


@dataclass(frozen=True, slots=True)
class WireGuardServer:
    """Server that listens on loopback. Keys are base64."""

    key: str
    """The part of its flows' mode that names it."""
    port: int
    client_private_key: str
    public_key: str
    instance: WireGuardServerInstance

    async def stop(self) -> None:
        """Stop listening; that ends every connection that came through it."""
        if self.instance.is_running:
            await self.instance.stop()


async def start_fresh_server(manager: Proxyserver, run_dir: Path) -> WireGuardServer:
    """Start a server with new keys on a free port; its key file exists for that moment alone.

    Raises:
        OSError: it cannot listen.
    """
    keys = _key_file(run_dir)
    try:
        return await start_server(manager, keys, port=0)
    finally:
        keys.unlink(missing_ok=True)


def _key_file(run_dir: Path) -> Path:
    descriptor, name = tempfile.mkstemp(prefix="wg-", suffix=".conf", dir=run_dir)  # 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump({"server_key": wireguard.genkey(), "client_key": wireguard.genkey()}, file)
    return Path(name)


async def start_server(manager: Proxyserver, key_file: Path, *, port: int) -> WireGuardServer:
    """Start a server with the keys of a file.

    Raises:
        OSError: it cannot listen.
        ValueError: the file holds no keys.
    """
    # ProxyMode.parse would cache every mode it ever made.
    mode = WireGuardMode(f"wireguard:{key_file}@{HOST}:{port}", str(key_file), HOST, port)
    made = WireGuardServerInstance(mode, manager)
    await made.start()
    return WireGuardServer(
        key=made.mode.data,
        port=made.listen_addrs[0][1],
        client_private_key=made.client_key,
        public_key=wireguard.pubkey(made.server_key),
        instance=made,
    )


async def stop_all(servers: list[WireGuardServer]) -> None:
    """Stop several servers at once; log what fails."""
    for result in await asyncio.gather(
        *(server.stop() for server in servers), return_exceptions=True
    ):
        if isinstance(result, BaseException):
            logging.getLogger(__name__).warning("a WireGuard server did not stop: %s", result)
