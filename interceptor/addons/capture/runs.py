"""Run of a connection, and its fields in the record."""

from __future__ import annotations

from typing import Any

from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import WireGuardMode

from interceptor.forward.mode import ForwardMode
from interceptor.wireguard.client_hello import ClientHello
from interceptor.wireguard.lease import Run, RunBook

_FINGERPRINTS = ("ja3", "ja3_full", "ja4", "ja4_r")


def came_by_wireguard(client: Client) -> bool:
    """Return whether traffic came through a tunnel, on its way to another host."""
    return isinstance(client.proxy_mode, WireGuardMode)


def came_by_forward(client: Client) -> bool:
    """Return whether a client uses the forward proxy."""
    return isinstance(client.proxy_mode, ForwardMode)


def was_captured(client: Client) -> bool:
    """Return whether traffic was on its way to another host, by a tunnel or the forward proxy."""
    return isinstance(client.proxy_mode, (WireGuardMode, ForwardMode))


def run_of(client: Client, runs: RunBook) -> Run | None:
    """Return the run of a connection.

    None for the static listener's clients, and after the run has ended.
    """
    mode = client.proxy_mode
    return runs.get(mode.data) if isinstance(mode, (WireGuardMode, ForwardMode)) else None


def origin_fields(run: Run | None, hello: ClientHello | None) -> dict[str, Any]:
    """Return the fields of a flow's record that tell the captured command and its TLS client."""
    known = {"run_label": run.label, "run_command": run.command} if run else {}
    if hello is None:
        return known
    return known | {name: getattr(hello, name) for name in _FINGERPRINTS}
