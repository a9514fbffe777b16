"""THE list of addons, in the order in which they see a flow on its way out and back."""

from __future__ import annotations

from dataclasses import dataclass

from flows.record import Sink
from interceptor.addons.auth import AuthAddon
from interceptor.addons.capture.client_hello import ClientHelloAddon
from interceptor.addons.capture.company_proxy import CompanyProxyAddon
from interceptor.addons.capture.connections import ConnectionsAddon
from interceptor.addons.capture.dns import RunDns
from interceptor.addons.capture.forward_gate import ForwardGate
from interceptor.addons.capture.transparent import TransparentAddon
from interceptor.addons.capture.upstream import (
    CheckedAddressAddon,
    ChosenDestinations,
    UpstreamAddon,
)
from interceptor.addons.failures.capacity import CapacityAddon
from interceptor.addons.failures.cooldown import CooldownAddon
from interceptor.addons.failures.fallback import FallbackAddon
from interceptor.addons.failures.retry import RetryAddon
from interceptor.addons.guard import GuardAddon
from interceptor.addons.inspector import InspectorAddon
from interceptor.addons.mcp.forward_mcp import ForwardMcpAddon, McpAddress
from interceptor.addons.mcp.settle_notes import SettleNotesAddon
from interceptor.addons.pplx.thread_addons import PerplexityAddon, PerplexityHeadersAddon
from interceptor.addons.prior_knowledge import PriorKnowledgeAddon
from interceptor.addons.record import RecordAddon
from interceptor.addons.signature import SignatureAddon
from interceptor.addons.step_addon import step_addons
from interceptor.addons.timeouts import TimeoutsAddon
from interceptor.addons.translate import TranslateAddon
from interceptor.addons.transport import TransportAddon
from interceptor.addons.via import ViaAddon
from interceptor.addons.websocket import WebSocketAddon
from interceptor.config.snapshot.store import ConfigStore
from interceptor.request_path.surroundings import Surroundings
from interceptor.transport.lazy_transport import Transport
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.overrides import Overrides
from providers.auth.resolve import CredentialResolver
from providers.base.upstream_proxy import UpstreamProxies


@dataclass(frozen=True, slots=True)
class Chain:
    """The addons, and those that others ask for by name."""

    addons: list[object]
    record: RecordAddon
    dns: RunDns
    """Replaces mitmproxy's own resolver."""


def build_chain(
    store: ConfigStore,
    sink: Sink,
    resolver: CredentialResolver,
    around: Surroundings,
    *,
    idle_timeout_s: float,
    own_call_timeout_s: float | None = None,
    stream_over_bytes: int | None = None,
    runs: RunBook | None = None,
    overrides: Overrides | None = None,
    proxies: UpstreamProxies | None = None,
    transport: Transport | None = None,
    mcp: McpAddress | None = None,
) -> Chain:
    """Return the chain.

    Args:
        store: the configuration.
        sink: gets the records of flows.
        resolver: renews credentials after a 401.
        around: what the steps of the request path may ask.
        idle_timeout_s: how long a provider may be silent.
        own_call_timeout_s: limit until the response to a request that the proxy makes itself.
        stream_over_bytes: responses over this size are never held; None: no such size.
        runs: the captured commands.
        overrides: names and destinations that are replaced.
        proxies: the company's, by which providers are reached; None: none.
        transport: sends requests with a browser's TLS handshake; None: one with no settings.
        mcp: where the MCP server listens; None: nowhere.
    """
    runs, overrides = RunBook() if runs is None else runs, overrides or Overrides()
    proxies = proxies or UpstreamProxies()
    record = RecordAddon(sink, stream_over_bytes, around.recording)
    around.activity.listener = record.show_activity
    hellos, chosen = ClientHelloAddon(), ChosenDestinations()
    gate = ForwardGate(runs, store, overrides, proxies, sink)
    upstream = UpstreamAddon(runs, overrides, chosen)
    via = ViaAddon(proxies, overrides, upstream, chosen)
    fingerprints = TransportAddon(transport or Transport(store), chosen)
    auth, retry = AuthAddon(store, resolver), RetryAddon()
    capacity = CapacityAddon(around.capacity)
    addons: list[object] = [
        hellos,
        ConnectionsAddon(runs, hellos, sink),
        upstream,
        CheckedAddressAddon(gate, upstream, chosen),
        gate,
        PriorKnowledgeAddon(),
        InspectorAddon(store, around),
        TransparentAddon(runs, hellos, gate),
        CompanyProxyAddon(proxies, runs, upstream, chosen),
        GuardAddon(around),
        ForwardMcpAddon(mcp),
        *step_addons(around, chosen),
        via,
        fingerprints,
        WebSocketAddon(),
        TranslateAddon(),
        PerplexityAddon(),
        TimeoutsAddon(idle_timeout_s=idle_timeout_s, own_call_timeout_s=own_call_timeout_s),
        record,
        PerplexityHeadersAddon(),
        CooldownAddon(around.cooldowns),
        auth,
        capacity,
        retry,
        FallbackAddon(around, chosen, via, fingerprints, (auth, capacity, retry)),
        SignatureAddon(),
        SettleNotesAddon(around.notes),
    ]
    return Chain(addons, record, RunDns(runs, overrides, sink, proxies))
