"""Embedded mitmproxy: the few of its addons that are needed, ours, and the patches."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from pathlib import Path
from typing import Any

from mitmproxy.master import Master
from mitmproxy.options import Options

from interceptor.addons.capture.dns import RunDns
from interceptor.addons.chain import Chain
from interceptor.addons.tls import ProviderTls
from interceptor.config.snapshot.store import ConfigStore
from interceptor.mitm import patches
from interceptor.operate.stock import Why
from interceptor.stock_addons import (
    Core,
    DisableH2C,
    NextLayer,
    Proxyserver,
    StripDnsHttpsRecords,
    UpstreamAuth,
)

PLACEHOLDER = "reverse:http://localhost:1"
"""The reverse listener has no upstream of its own: every flow is routed or refused."""


def build_master(
    loop: AbstractEventLoop,
    store: ConfigStore,
    chain: Chain,
    *,
    host: str,
    port: int,
    ca_dir: Path,
    stock: frozenset[Why] = frozenset(),
    options: dict[str, object] | None = None,
) -> Master:
    """Return a master that listens on host:port once it runs.

    Args:
        loop: the loop it will run on.
        store: the configuration.
        chain: our addons.
        host: address of the reverse listener.
        port: its TCP port.
        ca_dir: where mitmproxy keeps its CA.
        stock: kinds of patches to leave out.
        options: further mitmproxy options.
    """
    patches.install(stock=stock)
    address = f"[{host}]" if ":" in host else host
    opts = Options(confdir=str(ca_dir), mode=[f"{PLACEHOLDER}@{address}:{port}"])
    master = Master(opts, event_loop=loop)
    addons: Any = master.addons
    addons.add(*mitmproxy_addons(store, chain.dns), *chain.addons)
    master.options.update(
        # Eager would dial the placeholder and close the client's connection before any addon sees
        # the request.
        connection_strategy="lazy",
        # The client's snapshot shows the Host that the client sent.
        keep_host_header=True,
        # The tee keeps them.
        store_streamed_bodies=False,
        # With a dead name server mitmproxy's own look-up takes 15 s.
        dns_use_hosts_file=False,
        # They are forwarded unread, but recorded.
        show_ignored_hosts=True,
        **(options or {}),
    )
    return master


def mitmproxy_addons(store: ConfigStore, dns: RunDns) -> list[object]:
    """Return the addons of mitmproxy's that a proxy without user interfaces needs, in its order."""
    return [
        Core(),
        DisableH2C(),
        StripDnsHttpsRecords(),
        Proxyserver(),
        dns,
        NextLayer(),
        ProviderTls(store),
        UpstreamAuth(),
    ]
