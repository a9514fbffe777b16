"""The embedded mitmproxy: only the addons that are needed, plus ours, listening where the settings
say.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from pathlib import Path
from typing import Any

from mitmproxy.addons import (
    disable_h2c,
    proxyserver,
    strip_dns_https_records,
    upstream_auth,
)
from mitmproxy.addons.core import Core
from mitmproxy.master import Master
from mitmproxy.options import Options

from interceptor.addons.capture.dns import RunDns
from interceptor.addons.chain import Chain
from interceptor.addons.tls import ProviderTls
from interceptor.config.snapshot.store import ConfigStore
from interceptor.mitm import (
    connection_handler,
    error_page,
    http1_layers,
    quick_messages,
    second_try,
)
from interceptor.mitm.addon_dispatch import CachedAddonManager
from interceptor.wireguard.layers import CapturedNextLayer

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
    options: dict[str, object] | None = None,
) -> Master:
    """A master that listens on host:port once it runs.

    Args:
        loop: the loop it will run on.
        store: the configuration.
        chain: our addons.
        host: address of the reverse listener.
        port: its TCP port.
        ca_dir: where mitmproxy keeps its CA.
        options: further mitmproxy options.
    """
    connection_handler.install()
    quick_messages.install()
    error_page.install()
    http1_layers.install()
    second_try.install()
    address = f"[{host}]" if ":" in host else host
    opts = Options(confdir=str(ca_dir), mode=[f"{PLACEHOLDER}@{address}:{port}"])
    master = Master(opts, event_loop=loop)
    addons: Any = CachedAddonManager(master)
    master.addons = addons
    addons.add(*mitmproxy_addons(store, chain.dns), *chain.addons)
    master.options.update(
        # Eager would dial the placeholder and close the client's connection before any addon sees
        # the request.
        connection_strategy="lazy",
        keep_host_header=True,  # the client's snapshot shows the Host that the client sent
        store_streamed_bodies=False,  # the tee keeps them
        dns_use_hosts_file=False,  # with a dead name server it takes 15 s per lookup
        show_ignored_hosts=True,  # they are passed on unread, but not unseen
        **(options or {}),
    )
    return master


def mitmproxy_addons(store: ConfigStore, dns: RunDns) -> list[object]:
    """The addons of mitmproxy's own that a proxy without its user interfaces needs, in mitmproxy's
    order.
    """
    return [
        Core(),
        disable_h2c.DisableH2C(),
        strip_dns_https_records.StripDnsHttpsRecords(),
        proxyserver.Proxyserver(),
        dns,
        CapturedNextLayer(),
        ProviderTls(store),
        upstream_auth.UpstreamAuth(),
    ]
