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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainParts:
    """Parts that the addons share, and their settings."""

    store: ConfigStore
    """The configuration."""
    sink: Sink
    """Gets the records of flows."""
    resolver: CredentialResolver
    """Renews credentials after a 401."""
    around: Surroundings
    """What the steps of the request path may ask."""
    runs: RunBook
    """The captured commands."""
    overrides: Overrides
    """Names and destinations that are replaced."""
    proxies: UpstreamProxies
    """The company's, by which providers are reached."""
    transport: Transport
    """Sends requests with a browser's TLS handshake."""
    mcp: McpAddress | None
    """Where the MCP server listens; None: nowhere."""
    idle_timeout_s: float
    """How long a provider may be silent."""
    own_call_timeout_s: float | None
    """Limit until the response to a request that the proxy makes itself; None: no such limit."""
    stream_over_bytes: int | None
    """Responses over this size are never held; None: no such size."""


def build_chain(parts: ChainParts) -> Chain:
    """Return the chain."""
    around, runs, overrides, proxies = parts.around, parts.runs, parts.overrides, parts.proxies
    record = RecordAddon(parts.sink, parts.stream_over_bytes, around.recording)
    around.activity.listener = record.show_activity
    hellos, chosen = ClientHelloAddon(), ChosenDestinations()
    gate = ForwardGate(runs, parts.store, overrides, proxies, parts.sink)
    upstream = UpstreamAddon(runs, overrides, chosen)
    via = ViaAddon(proxies, overrides, upstream, chosen)
    fingerprints = TransportAddon(parts.transport, chosen)
    addons: list[object] = [
        hellos,
        ConnectionsAddon(runs, hellos, parts.sink),
        upstream,
        CheckedAddressAddon(gate, upstream, chosen),
        gate,
        PriorKnowledgeAddon(),
        InspectorAddon(parts.store, around),
        TransparentAddon(runs, hellos, gate),
        CompanyProxyAddon(proxies, runs, upstream, chosen),
        GuardAddon(around),
        ForwardMcpAddon(parts.mcp),
        *step_addons(around, chosen),
        via,
        fingerprints,
        WebSocketAddon(),
        TranslateAddon(),
        PerplexityAddon(),
        TimeoutsAddon(
            idle_timeout_s=parts.idle_timeout_s, own_call_timeout_s=parts.own_call_timeout_s
        ),
        record,
        PerplexityHeadersAddon(),
        *_failure_addons(parts, chosen, via, fingerprints),
        SignatureAddon(),
        SettleNotesAddon(around.notes),
    ]
    return Chain(addons, record, RunDns(runs, overrides, parts.sink, proxies))


def _failure_addons(
    parts: ChainParts, chosen: ChosenDestinations, via: ViaAddon, fingerprints: TransportAddon
) -> list[object]:
    """Return the addons that answer a failure with another try, in the order they are asked."""
    auth, retry = AuthAddon(parts.store, parts.resolver), RetryAddon()
    capacity = CapacityAddon(parts.around.capacity)
    return [
        CooldownAddon(parts.around.cooldowns),
        auth,
        capacity,
        retry,
        FallbackAddon(parts.around, chosen, via, fingerprints, (auth, capacity, retry)),
    ]
