"""THE list: every addon in the order in which it sees a flow, on the way out and on the way back."""

from __future__ import annotations

from dataclasses import dataclass

from flows.record import Sink
from interceptor.addons.auth import AuthAddon
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
from interceptor.config.store import ConfigStore
from interceptor.guard import GuardRules
from interceptor.pipeline.hook import Stage
from interceptor.resend_grant import GrantBook
from providers.auth.resolve import CredentialResolver


@dataclass(frozen=True, slots=True)
class Chain:
    """The addons, and the one others ask about running flows."""

    addons: list[object]
    record: RecordAddon


def build_chain(
    store: ConfigStore,
    sink: Sink,
    resolver: CredentialResolver,
    *,
    version: str,
    require_token: bool,
    rules: GuardRules,
    idle_timeout_s: float,
    grants: GrantBook,
) -> Chain:
    """The addon chain. FingerprintCapture, MultiHAR, ShapeCapturer, TransportOverride, Gemini and Perplexity have
    their places in it when they come."""
    record = RecordAddon(sink)
    addons = [
        InspectorAddon(store, resolver),
        GuardAddon(rules, grants, require_token=require_token),
        LocalRoutesAddon(version),
        HooksAddon(Stage.INBOUND),
        TransformAddon(),
        TokenScopeAddon(),
        HooksAddon(Stage.OUTBOUND),
        EgressAddon(),
        WebSocketAddon(),
        TranslateAddon(),
        TimeoutsAddon(idle_timeout_s=idle_timeout_s),
        record,
        AuthAddon(store, resolver),
    ]
    return Chain(addons, record)
