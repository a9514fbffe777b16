"""THE list: every addon in the order in which it sees a flow, on the way out and on the way
back.
"""

from __future__ import annotations

from dataclasses import dataclass

from flows.record import Sink
from interceptor.access.caller_rules import GuardRules
from interceptor.access.grant import GrantBook
from interceptor.addons.auth import AuthAddon
from interceptor.addons.capture.client_hello import ClientHelloAddon
from interceptor.addons.capture.connections import ConnectionsAddon
from interceptor.addons.capture.dns import RunDns
from interceptor.addons.capture.transparent import TransparentAddon
from interceptor.addons.capture.upstream import UpstreamAddon
from interceptor.addons.egress import EgressAddon
from interceptor.addons.guard import GuardAddon, TokenScopeAddon
from interceptor.addons.hooks import HooksAddon
from interceptor.addons.inspector import InspectorAddon
from interceptor.addons.local_routes import LocalRoutesAddon
from interceptor.addons.record import RecordAddon
from interceptor.addons.timeouts import TimeoutsAddon
from interceptor.addons.transform import TransformAddon
from interceptor.addons.translate import TranslateAddon
from interceptor.addons.websocket import WebSocketAddon
from interceptor.config.snapshot.store import ConfigStore
from interceptor.pipeline.hook import Stage
from interceptor.wireguard.lease import RunBook
from interceptor.wireguard.overrides import Overrides
from providers.auth.resolve import CredentialResolver


@dataclass(frozen=True, slots=True)
class Chain:
    """The addons, and those that others ask for by name."""

    addons: list[object]
    record: RecordAddon
    dns: RunDns
    """Takes the place of mitmproxy's own resolver."""


def build_chain(
    store: ConfigStore,
    sink: Sink,
    resolver: CredentialResolver,
    *,
    version: str,
    require_token: bool,
    rules: GuardRules,
    idle_timeout_s: float,
    own_call_timeout_s: float | None = None,
    stream_over_bytes: int | None = None,
    grants: GrantBook,
    runs: RunBook | None = None,
    overrides: Overrides | None = None,
) -> Chain:
    """The addon chain. FingerprintCapture, MultiHAR, ShapeCapturer, TransportOverride, Gemini and
    Perplexity have their places in it when they come.
    """
    runs, overrides = RunBook() if runs is None else runs, overrides or Overrides()
    record = RecordAddon(sink, stream_over_bytes)
    hellos = ClientHelloAddon()
    addons = [
        hellos,
        ConnectionsAddon(runs, hellos, sink),
        UpstreamAddon(runs, overrides),
        InspectorAddon(store, resolver),
        TransparentAddon(runs, hellos),
        GuardAddon(rules, grants, require_token=require_token),
        LocalRoutesAddon(version),
        HooksAddon(Stage.INBOUND),
        TransformAddon(),
        TokenScopeAddon(),
        HooksAddon(Stage.OUTBOUND),
        EgressAddon(),
        WebSocketAddon(),
        TranslateAddon(),
        TimeoutsAddon(idle_timeout_s=idle_timeout_s, own_call_timeout_s=own_call_timeout_s),
        record,
        AuthAddon(store, resolver),
    ]
    return Chain(addons, record, RunDns(runs, overrides, sink))
