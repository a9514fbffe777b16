"""Mode and first layer of a connection to the forward proxy, in mitmproxy's terms."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.modes import HttpProxy
from mitmproxy.proxy.mode_servers import AsyncioServerInstance
from mitmproxy.proxy.mode_specs import RegularMode, ReverseMode

Reads = Callable[[Sequence[str]], bool]
"""Return whether TLS to a host is read, given all the host's names."""


@dataclass(frozen=True, eq=False)
class ForwardMode(RegularMode):
    """mitmproxy's regular mode. `data` names the run; it is no secret."""

    reads: Reads

    def __post_init__(self) -> None:
        """Accept any data: mitmproxy's own mode takes none."""


class ForwardConnection(HttpProxy):
    """The first layer. HTTP/1 without TLS is all that it understands."""

    child_layer: HttpLayer

    def _handle_event(self, event: events.Event) -> Generator[commands.Command, Any, None]:
        # mitmproxy would also take TLS here, inside which the checks of a tunnel are not made.
        self.child_layer = HttpLayer(self.context, HTTPMode.regular)
        vars(self)["_handle_event"] = self.child_layer.handle_event
        yield from self.child_layer.handle_event(event)


class ForwardInstance(AsyncioServerInstance[ForwardMode]):
    """Listener of mitmproxy's with that layer."""

    def make_top_layer(self, context: Context) -> ForwardConnection:
        """Return the first layer of a connection."""
        return ForwardConnection(context)


def is_outside(context: Context) -> bool:
    """Return True where a layer talks to the proxy itself, not through a tunnel."""
    http = next((layer for layer in context.layers[::-1] if isinstance(layer, HttpLayer)), None)
    return http is not None and http.mode is HTTPMode.regular


def source_of(client: Client) -> str:
    """Return the listener of a client, as flows name it."""
    mode = client.proxy_mode
    if isinstance(mode, ReverseMode):
        return "reverse"
    return "forward" if isinstance(mode, ForwardMode) else "wireguard"
