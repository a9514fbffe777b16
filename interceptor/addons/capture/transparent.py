"""Traffic of captured commands: forwarded byte for byte, recorded, limited to its run's hosts.

One kind is treated like the reverse listener's: a request to a provider's own host, over TLS, with
that provider's sentinel key. It is dialled by the provider's name, so that the certificate of that
very name is checked before the credential leaves. A sentinel key on its way to any other host stays
what it is.
"""

from __future__ import annotations

from dataclasses import replace

from mitmproxy.http import HTTPFlow

from flows.record import SideRecord
from interceptor.addons.capture.client_hello import ClientHelloAddon
from interceptor.addons.capture.forward_gate import ForwardGate
from interceptor.addons.capture.runs import run_of
from interceptor.addons.inspector import head_of
from interceptor.exchange.conversation_id import conversation_id
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.observed_request import Observed
from interceptor.exchange.own_answer import answer_error
from interceptor.exchange.refusal_table import Kind
from interceptor.hooks.extract_session_id import extract_session_id
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.pipeline.runner import as_record
from interceptor.request_path.captured import intended_provider
from interceptor.transform.decision import Decision
from interceptor.wireguard.destination import Destination
from interceptor.wireguard.lease import Run, RunBook
from providers.wire.detect import client_format, model_of


class TransparentAddon:
    """Addon between the inspector, which made the state, and those for the reverse listener.

    Args:
        runs: the running commands.
        hellos: the ClientHellos of TLS clients.
        gate: the forward proxy's.
    """

    def __init__(self, runs: RunBook, hellos: ClientHelloAddon, gate: ForwardGate) -> None:
        self._gate = gate
        self._runs = runs
        self._hellos = hellos

    async def requestheaders(self, flow: HTTPFlow) -> None:
        """Refuse the request, prepare it for its provider, or forward it chunk by chunk."""
        state = state_of(flow)
        if state is None or state.source == "reverse" or flow.error:
            return
        state.run = run_of(flow.client_conn, self._runs)
        state.hello = self._hellos.of(flow.client_conn)
        closed = await self._gate.refusal_of_request(flow)
        state.client_token = self._gate.token_of(flow.client_conn)
        headers = HeaderMap(flow.request.headers.fields)
        place = destination(flow, headers, state.run)
        reason = closed.reason if closed else ""
        if not reason and state.run:
            reason = place.refusal(state.run)
        note = "" if reason else _take_for_provider(flow, state, place)
        if note is None:
            return
        _observe(flow, state, headers, place)
        if reason:
            state.decision = Decision("refused", reason, status_code=403)
            answer_error(flow, state, Kind.OUT_OF_SCOPE, reason)
            if closed is not None:
                self._gate.challenge(flow, closed)
                # Without its side of the client a flow is not recorded.
                state.client = state.client if self._gate.may_record(closed) else None
        else:
            state.forwarded = replace(state.client, side="forwarded") if state.client else None
            state.decision = Decision("passthrough", f"forwarded to where it was going{note}")

    async def request(self, flow: HTTPFlow) -> None:
        """Note the facts of a complete request."""
        state = state_of(flow)
        if state is None or state.observed is None or state.client is None:
            return
        _close_tape(state)
        if state.client_format is None:
            return
        headers = HeaderMap(flow.request.headers.fields)
        body = Body(state.observed.tape.body(), ",".join(headers.get_all("content-encoding")))
        if state.observed.tape.truncated or not await body.decode_off_loop():
            return
        parsed = body.peek()
        state.requested_model = (
            model_of(flow.request.path, parsed if isinstance(parsed, dict) else None) or ""
        )
        state.sent_model = state.requested_model
        state.conversation_id = conversation_id(parsed)
        state.observed.session_id = _session(flow, state, headers, body)

    def error(self, flow: HTTPFlow) -> None:
        """Keep the received part of a broken request."""
        state = state_of(flow)
        if state is not None and state.observed is not None:
            _close_tape(state)


def destination(flow: HTTPFlow, headers: HeaderMap, run: Run | None) -> Destination:
    """Return all names of the request's destination."""
    request, client = flow.request, flow.client_conn
    return Destination(
        scheme=request.scheme,
        address=request.data.host,
        port=request.data.port,
        sni=(client.sni or "") if client.tls else "",
        authorities=tuple(filter(None, (*headers.get_all("host"), request.authority))),
        looked_up=run.answers.names(request.data.host) if run else (),
    )


def _take_for_provider(flow: HTTPFlow, state: FlowState, place: Destination) -> str | None:
    """Prepare a request with a sentinel key for its provider, connected by its name.

    Return None then; for every other request, the reason why its sentinel key stays, "" without
    one.
    """
    head = head_of(flow)
    provider, note = intended_provider(state, head, place)
    if provider is None:
        return note
    flow.request.data.host = head.host
    if head.fields is not flow.request.headers.fields:
        flow.request.headers.fields = head.fields
    return None


def _observe(flow: HTTPFlow, state: FlowState, headers: HeaderMap, place: Destination) -> None:
    """Forward the body as it comes, and keep a copy."""
    request = flow.request
    state.client_format = client_format(request.path, headers.get)
    state.observed = observed = Observed(place.host, is_llm=state.client_format is not None)
    state.client = SideRecord(
        side="client",
        http_version=request.http_version,
        method=request.method,
        url=f"{place.origin}{request.path}",
        headers=as_record(headers.fields),
    )
    observed.begin(state.ms)
    request.stream = observed.pass_on


def _close_tape(state: FlowState) -> None:
    """Put the kept part of the body into the sides; one object serves both."""
    if state.observed is None or state.client is None or state.forwarded is None:
        return
    tape = state.observed.tape
    kept, size, cut = tape.body(), tape.size_bytes, tape.truncated
    state.client = replace(state.client, body=kept, body_size_bytes=size, body_truncated=cut)
    state.forwarded = replace(state.forwarded, body=kept, body_size_bytes=size, body_truncated=cut)


def _session(flow: HTTPFlow, state: FlowState, headers: HeaderMap, body: Body) -> str:
    exchange = _looked_at(flow, state, headers, body)
    extract_session_id.apply(exchange)
    return str(exchange.metadata.get("session_id", ""))


def _looked_at(
    flow: HTTPFlow, state: FlowState, headers: HeaderMap, body: Body | None = None
) -> Exchange:
    """Return the request as hooks see one, to read only."""
    request = flow.request
    return Exchange(
        flow_id=flow.id,
        method=request.method,
        scheme=request.scheme,
        host=request.data.host,
        port=request.data.port,
        path=request.path,
        headers=headers,
        body=body or Body(b""),
        providers=state.snapshot.providers,
        source=state.source,
        client_format=state.client_format,
    )
