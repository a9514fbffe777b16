"""First to see a flow: pins the configuration, takes the client's snapshot before anything touches
the request.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.mode_specs import ReverseMode

from flows.reading.search_text import question_in
from flows.record import HookStep, SideRecord
from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.conversation_id import conversation_id
from interceptor.exchange.flow_state import METADATA_KEY, FlowState, state_of
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.pipeline.hook import Stage
from interceptor.pipeline.overrides import HEADER as OVERRIDES_HEADER
from interceptor.pipeline.overrides import parse_overrides
from interceptor.pipeline.runner import as_record
from providers.auth.resolve import CredentialResolver
from providers.wire.detect import client_format, family_of, model_of

INTERNAL_PREFIX = b"x-ccproxy-"
NOT_DECODED = (
    "The compressed body is damaged, in an unknown encoding, or unfolds to far more than its size:"
    " passed on unread."
)
SHOW_LOSSES_HEADER = "x-ccproxy-show-losses"


class InspectorAddon:
    """Creates the flow's state; hooks work on its exchange, never on mitmproxy's request."""

    def __init__(self, store: ConfigStore, resolver: CredentialResolver) -> None:
        self._store = store
        self._resolver = resolver

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Pin the snapshot, and answer errors from here on in the caller's format."""
        headers = HeaderMap(flow.request.headers.fields)
        flow.metadata[METADATA_KEY] = FlowState(
            snapshot=self._store.current,
            flow_id=flow.id,
            source=(
                "reverse" if isinstance(flow.client_conn.proxy_mode, ReverseMode) else "wireguard"
            ),
            family=family_of(flow.request.path, headers.get),
        )

    async def request(self, flow: HTTPFlow) -> None:
        """Keep the client's side and open the exchange."""
        state = state_of(flow)
        if state is None or state.observed is not None:
            return
        request = flow.request
        headers = HeaderMap(request.headers.fields)
        body = request.raw_content or b""
        state.client = SideRecord(
            side="client",
            http_version=request.http_version,
            method=request.method,
            url=client_url(flow, headers),
            headers=as_record(headers.fields),
            body=body,
            body_size_bytes=len(body),
        )
        state.client_format = client_format(request.path, headers.get)
        state.wants_losses = bool(headers.get(SHOW_LOSSES_HEADER))
        state.overrides = parse_overrides(headers.get(OVERRIDES_HEADER))
        scheme, host, port = _address(flow, headers)
        state.exchange = exchange = Exchange(
            flow_id=flow.id,
            method=request.method,
            scheme=scheme,
            host=host,
            port=port,
            path=request.path,
            headers=HeaderMap(
                tuple(f for f in headers.fields if not f[0].lower().startswith(INTERNAL_PREFIX))
            ),
            body=Body(body, headers.get("content-encoding") or ""),
            providers=state.snapshot.providers,
            source=state.source,
            client_format=state.client_format,
            resolver=self._resolver,
        )
        if not await exchange.body.decode_off_loop():
            state.steps.append(HookStep(Stage.INBOUND, "body", "skipped", NOT_DECODED))
        parsed = exchange.body.peek() if request.method != "GET" else None
        state.requested_model = (
            model_of(request.path, parsed if isinstance(parsed, dict) else None) or ""
        )
        state.conversation_id = conversation_id(parsed)
        state.question = None if parsed is None else question_in(parsed)


def _address(flow: HTTPFlow, headers: HeaderMap) -> tuple[str, str, int]:
    """Where the client thinks it is talking to; on the reverse listener that is the proxy
    itself.
    """
    request = flow.request
    if not isinstance(flow.client_conn.proxy_mode, ReverseMode):
        return request.scheme, request.host, request.port
    scheme = "https" if flow.client_conn.tls else "http"
    try:
        parts = urlsplit(f"//{headers.get('host') or ''}")
        return (
            scheme,
            parts.hostname or "localhost",
            parts.port or (443 if scheme == "https" else 80),
        )
    except ValueError:
        return scheme, "localhost", 80


def client_url(flow: HTTPFlow, headers: HeaderMap) -> str:
    """The address as the client wrote it: on the reverse listener the Host header names the
    proxy.
    """
    if isinstance(flow.client_conn.proxy_mode, ReverseMode):
        scheme = "https" if flow.client_conn.tls else "http"
        return f"{scheme}://{headers.get('host') or ''}{flow.request.path}"
    return flow.request.pretty_url
