"""Checks of bind addresses before anything is started."""

from __future__ import annotations

import errno
import socket

from interceptor.operate.liveness import is_ccproxy
from interceptor.operate.port_owner import port_owner
from providers.base.errors import ConfigError
from providers.base.loopback import is_loopback


def check_bind_address(host: str, *, has_client_token: bool) -> bool:
    """Return True when clients must show a token: other machines can reach the address.

    Raises:
        ConfigError: for such an address while there is no token.
    """
    if is_loopback(host):
        return False
    if not has_client_token:
        raise ConfigError(
            f"host {host} can be reached from other machines, and anyone there could spend your"
            " accounts; make a client token first (ccproxy clienttoken add NAME) or bind 127.0.0.1"
        )
    return True


def check_forward_listener(port: int | None, *, has_client_token: bool) -> None:
    """Reject a forward proxy that no client could use, because there is no client token.

    Raises:
        ConfigError: one sentence that names the fix.
    """
    if port is not None and not has_client_token:
        raise ConfigError(
            "inspector.forward_port is a forward proxy for clients with a token, and there is none;"
            " make one first (ccproxy clienttoken add NAME)"
        )


def check_port_free(what: str, host: str, port: int, setting: str) -> None:
    """Reject an address that something listens on already.

    Raises:
        ConfigError: one sentence, with the owner of the port and the setting to change.
    """
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as exc:
        raise ConfigError(f"cannot resolve the {what}'s address {host}: {exc.strerror}") from None
    with socket.socket(info[0], socket.SOCK_STREAM) as probe:
        # Without it, connections that have just ended would count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(info[4])
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise ConfigError(
                    f"cannot bind {host}:{port} for the {what}: {exc.strerror}"
                ) from None
            owner = port_owner(port)
            if is_ours(port, owner) or is_ccproxy(host, port):
                raise ConfigError(
                    f"port {port} for the {what} is taken by a ccproxy that runs already"
                    f"{_process(owner)}; stop that one, or set {setting} for a second one"
                ) from None
            raise ConfigError(
                f"port {port} for the {what} is taken by {owner}; stop it or set {setting}"
            ) from None


def is_ours(port: int, owner: str = "") -> bool:
    """Return True when a process of a ccproxy listens on the port, as its command line tells."""
    return "ccproxy_site." in (owner or port_owner(port))


def _process(owner: str) -> str:
    """Return the end of an owner's description: "… (pid 4711)" → " (pid 4711)"."""
    _, _, pid = owner.rpartition(" (pid ")
    return f" (pid {pid}" if pid.endswith(")") else ""
