"""First addon of the chain: pins the configuration and keeps the client's request untouched."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow
from mitmproxy.proxy.mode_specs import ReverseMode

from interceptor.config.snapshot.store import ConfigStore
from interceptor.exchange.flow_state import METADATA_KEY, FlowState, state_of
from interceptor.exchange.head import RequestHead
from interceptor.forward.mode import source_of
from interceptor.pipeline.headers import HeaderMap
from interceptor.request_path.open_exchange import open_exchange
from interceptor.request_path.surroundings import Surroundings
from interceptor.request_path.upgrade import asks_for_websocket
from providers.base.loopback import is_loopback
from providers.wire.detect import family_of


class InspectorAddon:
    """Creates the flow's state; hooks work on its exchange, never on mitmproxy's request."""

    def __init__(self, store: ConfigStore, around: Surroundings) -> None:
        self._store = store
        self._around = around

    def requestheaders(self, flow: HTTPFlow) -> None:
        """Pin the snapshot, and answer errors from here on in the client's format."""
        headers = HeaderMap(flow.request.headers.fields)
        flow.metadata[METADATA_KEY] = FlowState(
            snapshot=self._store.current,
            flow_id=flow.id,
            source=source_of(flow.client_conn),
            family=family_of(flow.request.path, headers.get),
            wants_websocket=asks_for_websocket(headers.get),
        )

    async def request(self, flow: HTTPFlow) -> None:
        """Keep the client's side and open the exchange."""
        state = state_of(flow)
        if state is None or state.observed is not None:
            return
        head = head_of(flow)
        body = flow.request.raw_content or b""
        await open_exchange(state, head, body, self._around, client_url=client_url(flow))


def came_to_us(flow: HTTPFlow) -> bool:
    """Return True on the reverse listener; other clients were captured on their way elsewhere."""
    return isinstance(flow.client_conn.proxy_mode, ReverseMode)


def head_of(flow: HTTPFlow) -> RequestHead:
    """Return mitmproxy's request as the steps of the request path see one."""
    request = flow.request
    head = RequestHead(
        method=request.method,
        path=request.path,
        fields=request.headers.fields,
        authority=request.authority,
        http_version=request.http_version,
        from_this_machine=_is_local(flow),
    )
    if came_to_us(flow):
        head.scheme = "https" if flow.client_conn.tls else "http"
    else:
        head.scheme, head.host, head.port = request.scheme, request.data.host, request.data.port
    return head


def _is_local(flow: HTTPFlow) -> bool:
    peer = flow.client_conn.peername
    return bool(peer) and is_loopback(peer[0].removeprefix("::ffff:"))


def client_url(flow: HTTPFlow) -> str:
    """Return the address as the client wrote it; on the reverse listener Host names the proxy."""
    if came_to_us(flow):
        scheme = "https" if flow.client_conn.tls else "http"
        host = HeaderMap(flow.request.headers.fields).get("host") or ""
        return f"{scheme}://{host}{flow.request.path}"
    return flow.request.pretty_url
