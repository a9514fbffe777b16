"""The table of everything that replaces something of mitmproxy's.

Later patches build on earlier ones, so they are installed in the order of the table and undone
backwards. docs/decisions/005-mitmproxy-patches.md says why each exists and how to upgrade
mitmproxy; tests/interceptor/mitm/test_patches.py fails when mitmproxy moves what one relies on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from interceptor.mitm import chunked_body, error_page, listener, quick_messages
from interceptor.mitm.addon_dispatch import CachedAddonManager
from interceptor.mitm.connection_handler import FastConnectionHandler
from interceptor.mitm.ending.lost_peers import PeerWatchingHandler
from interceptor.mitm.ending.websocket_end import RecordedWebsocket
from interceptor.mitm.events import layer_dispatch
from interceptor.mitm.http1.http1_client import LimitedClient
from interceptor.mitm.http1.http1_fast_path import FastClient, FastServer
from interceptor.mitm.http1.http1_server import LimitedServer
from interceptor.mitm.http_stream import LimitedStream
from interceptor.mitm.replacement import Replacement
from interceptor.mitm.replay_stream import ReplayStream
from interceptor.operate.authority import load_checked_key
from interceptor.operate.stock import STOCK_VARIABLE, Why
from interceptor.wireguard.layers import CapturedConnection, client_hello_of, ignores_connection
from interceptor.wireguard.server import hide_keys, show_keys

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement.

    `replaces` are dotted paths. `install` and `uninstall` do nothing the second time, and
    `uninstall` puts the very objects back.
    """

    name: str
    replaces: tuple[str, ...]
    why: Why
    install: Callable[[], None]
    uninstall: Callable[[], None]


@dataclass(frozen=True, slots=True)
class AddonSubclass:
    """An addon of mitmproxy's in whose place `interceptor.master` registers a subclass."""

    replaces: str
    ours: str
    why: Why


def _patch(name: str, why: Why, values: Mapping[str, object]) -> Patch:
    replacement = Replacement(values)
    return Patch(name, tuple(values), why, replacement.install, replacement.uninstall)


_HTTP: Final = "mitmproxy.proxy.layers.http"

PATCHES: Final = (
    # Before the connection handler, which calls this manager's own methods.
    _patch(
        "addon dispatch",
        "speed",
        {"mitmproxy.addonmanager.AddonManager": CachedAddonManager},
    ),
    _patch(
        "lost peers",
        "safety",
        {"mitmproxy.proxy.mode_servers.ProxyConnectionHandler": PeerWatchingHandler},
    ),
    _patch(
        "connection handler",
        "speed",
        {"mitmproxy.proxy.mode_servers.ProxyConnectionHandler": FastConnectionHandler},
    ),
    _patch(
        "layer dispatch",
        "speed",
        {
            "mitmproxy.proxy.layer.Layer.handle_event": layer_dispatch.handle_event,
            "mitmproxy.proxy.layer.NextLayer.handle_event": layer_dispatch.pass_to_next_layer,
            f"{_HTTP}.HttpLayer.event_to_child": layer_dispatch.event_to_child,
        },
    ),
    _patch(
        "header look-ups",
        "speed",
        {
            "mitmproxy.http.Headers.get": quick_messages.get_header,
            "mitmproxy.http.Headers.__getitem__": quick_messages.header_item,
            "mitmproxy.http.Headers.__contains__": quick_messages.has_header,
        },
    ),
    _patch(
        "message type check",
        "speed",
        {"mitmproxy.http.MessageData.__post_init__": quick_messages.skip_type_check},
    ),
    _patch(
        "context fork",
        "speed",
        {"mitmproxy.proxy.context.Context.fork": quick_messages.fork_context},
    ),
    _patch(
        "ids",
        "speed",
        {
            "mitmproxy.flow.uuid": quick_messages.PooledIds(),
            "mitmproxy.connection.uuid": quick_messages.PooledIds(),
        },
    ),
    _patch(
        "option values",
        "speed",
        {"mitmproxy.optmanager._Option.current": quick_messages.option_value},
    ),
    _patch(
        "error page",
        "safety",
        {
            f"{_HTTP}._http1.make_error_response": error_page.make_error_response,
            f"{_HTTP}.Http2Server": error_page.JsonErrorServer,
        },
    ),
    _patch("HTTP/1 server", "safety", {f"{_HTTP}.Http1Server": LimitedServer}),
    _patch("HTTP/1 client", "safety", {f"{_HTTP}.Http1Client": LimitedClient}),
    _patch(
        "chunked body",
        "safety",
        {f"{_HTTP}._http1.make_body_reader": chunked_body.bounded_body_reader},
    ),
    _patch("stream limits", "safety", {f"{_HTTP}.HttpStream": LimitedStream}),
    _patch("replay", "feature", {f"{_HTTP}.HttpStream": ReplayStream}),
    _patch(
        "websocket end",
        "safety",
        {"mitmproxy.proxy.layers.websocket.WebsocketLayer": RecordedWebsocket},
    ),
    _patch("CA key", "speed", {"mitmproxy.certs.load_pem_private_key": load_checked_key}),
    _patch("upload fast path", "speed", {f"{_HTTP}.Http1Server": FastServer}),
    _patch("stream fast path", "speed", {f"{_HTTP}.Http1Client": FastClient}),
    _patch(
        "chunk fast path",
        "speed",
        {f"{_HTTP}._http1.make_body_reader": chunked_body.fast_body_reader},
    ),
    _patch(
        "shared listener",
        "feature",
        {"mitmproxy.proxy.mode_servers.ReverseInstance.listen": listener.listen_on_shared},
    ),
    _patch(
        "captured connection",
        "feature",
        {
            "mitmproxy.proxy.mode_servers.WireGuardServerInstance.make_top_layer": (
                CapturedConnection
            )
        },
    ),
    _patch(
        "ignored hosts",
        "feature",
        {"mitmproxy.addons.next_layer.NextLayer._ignore_connection": ignores_connection},
    ),
    _patch(
        "client hello of datagrams",
        "feature",
        {"mitmproxy.addons.next_layer.NextLayer._get_client_hello": staticmethod(client_hello_of)},
    ),
    Patch(
        "key log filter",
        ("log:mitmproxy.proxy.mode_servers",),
        "safety",
        hide_keys,
        show_keys,
    ),
)

ADDON_SUBCLASSES: Final = (
    AddonSubclass(
        "mitmproxy.addons.tlsconfig.TlsConfig", "interceptor.addons.tls.ProviderTls", "safety"
    ),
    AddonSubclass(
        "mitmproxy.addons.dns_resolver.DnsResolver",
        "interceptor.addons.capture.dns.RunDns",
        "feature",
    ),
)
"""Named as text: they stand above this module. They use mitmproxy's public addon interface."""


_installed: list[Patch] = []
"""In the order in which they were installed."""


def install(*, stock: frozenset[Why] = frozenset()) -> None:
    """Install the patches of this process, all but the kinds in `stock`."""
    if stock:
        logger.warning(
            "%s=%s: mitmproxy runs without ccproxy's %s patches, and slower",
            STOCK_VARIABLE,
            ",".join(sorted(stock)),
            " and ".join(sorted(stock)),
        )
    wanted = [patch for patch in PATCHES if patch.why not in stock]
    if _installed == wanted:
        return
    # Two patches may replace the same name: one on top cannot stay while one below goes.
    uninstall()
    for patch in wanted:
        patch.install()
        _installed.append(patch)


def uninstall() -> None:
    """Put everything of mitmproxy's back."""
    while _installed:
        _installed.pop().uninstall()
