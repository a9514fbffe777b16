"""Configuration of the static listener's client, as the running interceptor left it.

Standard library only.
"""

from __future__ import annotations

from pathlib import Path

from providers.base.errors import ConfigError

CLIENT_FILE = "wireguard-client.conf"


def stored_client_config(directory: Path, static_port: int | None) -> str:
    """Return the configuration in the format of wg-quick, with the client's private key.

    Raises:
        ConfigError: there is no such listener, or nothing runs.
    """
    try:
        return (directory / CLIENT_FILE).read_text()
    except FileNotFoundError:
        if static_port is None:
            raise ConfigError(
                "there is no WireGuard listener for clients outside; set inspector.wireguard_port,"
                " e.g. 51820, and start the proxy again"
            ) from None
        raise ConfigError(
            "the WireGuard listener does not run; start it with: ccproxy start"
        ) from None
    except OSError as exc:
        raise ConfigError(f"cannot read {directory / CLIENT_FILE}: {exc.strerror}") from None
