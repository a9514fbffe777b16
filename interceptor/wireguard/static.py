"""Listener for clients that no launcher starts: a phone, a virtual machine, another container.

Its keys live in `wireguard.conf` of the config directory, made at first use; the client's
configuration is written beside it, with the port that was really bound, for `ccproxy namespace
wireguard-config` to print.
"""

from __future__ import annotations

import json
from pathlib import Path

from mitmproxy_rs import wireguard

from interceptor.stock_addons import Proxyserver
from interceptor.wireguard.client_config import CLIENT_FILE
from interceptor.wireguard.server import DNS_SERVER, HOST, WireGuardServer, start_server
from providers.base.errors import ConfigError
from providers.base.private_file import write_private

KEY_FILE = "wireguard.conf"
PORT_SETTING = "inspector.wireguard_port (CCPROXY_INSPECTOR__WIREGUARD_PORT)"


async def start_static_server(manager: Proxyserver, directory: Path, port: int) -> WireGuardServer:
    """Start the listener and write its client's configuration.

    Raises:
        ConfigError: the port is taken or the key file is damaged.
    """
    keys = directory / KEY_FILE
    try:
        if not keys.exists():
            write_private(
                keys,
                json.dumps({"server_key": wireguard.genkey(), "client_key": wireguard.genkey()}),
            )
        keys.chmod(0o600)
        server = await start_server(manager, keys, port=port)
        write_private(directory / CLIENT_FILE, client_config(server))
    except ValueError:
        raise ConfigError(
            f"{keys} holds no WireGuard keys; delete it, and new ones are made"
        ) from None
    except OSError as exc:
        raise ConfigError(
            f"cannot listen on UDP port {port} for WireGuard: {exc}; set {PORT_SETTING}"
        ) from None
    return server


def client_config(server: WireGuardServer) -> str:
    """Return the client's configuration in the format of wg-quick."""
    return (
        "[Interface]\n"
        f"PrivateKey = {server.client_private_key}\n"
        "Address = 10.0.0.1/32\n"
        f"DNS = {DNS_SERVER}\n"
        "MTU = 1420\n"
        "\n"
        "[Peer]\n"
        f"PublicKey = {server.public_key}\n"
        "AllowedIPs = 0.0.0.0/0\n"
        f"Endpoint = {HOST}:{server.port}\n"
    )
