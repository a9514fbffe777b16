"""Routes the request: decides, then points the exchange at its destination and changes the model
when a rule asks.
"""

from __future__ import annotations

from time import perf_counter

from mitmproxy.http import HTTPFlow

from interceptor.addons.websocket import asks_for_websocket, refuse_websocket, speaks_websocket
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import answer_error
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.runner import describe_change
from interceptor.transform.dispatch import Decision, decide
from interceptor.transform.forwarded import decide_again
from interceptor.transform.match import Facts, host_names
from interceptor.transform.translation import begin, request_headers
from providers.auth.resolve import Credential
from providers.base.errors import AuthConfigError, MalformedBody, UnsupportedByTarget
from providers.base.names import GOOGLE_GENERATE
from providers.wire.detect import model_of
from providers.wire.surgery import replace_model


class TransformAddon:
    """First matching rule, else the sentinel's provider, else an answer that names the fix."""

    async def request(self, flow: HTTPFlow) -> None:
        """Decide and apply."""
        state = state_of(flow)
        if state is None or state.exchange is None or flow.response or flow.error:
            return
        ex = state.exchange
        if state.resend is not None and state.resend.as_forwarded:
            await self._carry_out(
                flow,
                state,
                decide_again(state.snapshot, state.resend, ex.path, state.client_format),
            )
            return
        parsed = ex.body.peek() if ex.method != "GET" else None
        body = parsed if isinstance(parsed, dict) else None
        forwarded_host = ex.headers.get("x-forwarded-host") if _is_local(flow) else None
        facts = Facts(
            hosts=host_names(_named_host(flow, ex), ex.headers.get("host"), forwarded_host),
            path=ex.path,
            model=model_of(ex.path, body) or "",
        )
        decision = decide(
            state.snapshot,
            facts,
            sentinel=ex.provider,
            client_format=state.client_format,
            method=ex.method,
            body=body,
            transparent=state.source != "reverse",
            family=state.family,
        )
        await self._carry_out(flow, state, decision)

    async def _carry_out(self, flow: HTTPFlow, state: FlowState, decision: Decision) -> None:
        state.decision = decision
        state.wants_websocket = state.exchange is not None and asks_for_websocket(state.exchange)
        if state.wants_websocket and not speaks_websocket(decision, state):
            refuse_websocket(flow, state)
        elif decision.status_code:
            answer_error(flow, state, decision.status_code, decision.route)
        else:
            await _apply(flow, state, decision)


def _named_host(flow: HTTPFlow, ex: Exchange) -> str:
    """The host where no Host header names it; mitmproxy takes 20 µs to look into that header
    again.
    """
    named = "host" in ex.headers and not (flow.request.is_http2 or flow.request.is_http3)
    return "" if named else flow.request.pretty_host


def _is_local(flow: HTTPFlow) -> bool:
    """X-Forwarded-Host counts only from a peer on this machine."""
    peer = flow.client_conn.peername
    return bool(peer) and (peer[0].startswith("127.") or peer[0] in ("::1", "::ffff:127.0.0.1"))


async def _apply(flow: HTTPFlow, state: FlowState, decision: Decision) -> None:
    """Point the exchange at its destination, with the credential of the provider that serves it."""
    ex = state.exchange
    if ex is None:
        return
    began, point = perf_counter(), ex.checkpoint()
    try:
        if decision.provider is not ex.provider:
            ex.credential = await _credential_of(ex, decision)
    except AuthConfigError as exc:
        answer_error(flow, state, exc.status_code, str(exc))
        return
    ex.provider = decision.provider
    if state.resend is not None and state.resend.as_forwarded:
        _remember_place(ex, state.resend.session_id)
    if decision.host:
        ex.scheme, ex.host, ex.port, ex.path = (
            decision.scheme,
            decision.host,
            decision.port,
            decision.path,
        )
    try:
        change = change_body(state, ex, decision)
    except (MalformedBody, UnsupportedByTarget) as exc:
        answer_error(flow, state, 400, str(exc))
        return
    for name, value in decision.provider.headers if decision.provider else ():
        ex.headers.set(name, value)
    state.sent_model = decision.model or state.requested_model
    state.steps.append(
        describe_change(
            "transform",
            decision.action,
            ex,
            point,
            change,
            reason=decision.route,
            apply_ms=(perf_counter() - began) * 1000,
        )
    )


def _remember_place(ex: Exchange, session_id: str) -> None:
    """What hooks noted when the request was forwarded first: its session, and where its credential
    stood.
    """
    if session_id:
        ex.metadata["session_id"] = session_id
    place = ex.headers.index(ex.credential.header) if ex.credential else None
    if place is not None:
        ex.credential_slot = (place, ex.headers.fields[place][0].decode("utf-8", "surrogateescape"))


async def _credential_of(ex: Exchange, decision: Decision) -> Credential | None:
    provider = decision.provider
    if provider is None or provider.auth is None or ex.resolver is None:
        return None
    return await ex.resolver.resolve(provider.name, provider.auth)


def change_body(state: FlowState, ex: Exchange, decision: Decision) -> tuple[bytes, bytes] | None:
    """Translate the body when the provider speaks another format, else change the model when a rule
    asks.
    """
    if decision.action != "transform" or state.client_format is None:
        return _set_model(ex, decision.model) if decision.model else None
    before = ex.body.decoded() or b""
    state.translation, after = begin(
        decision, state.client_format, decision.client_path, ex.body.peek()
    )
    ex.body = Body(after)
    if decision.provider_format:
        request_headers(ex.headers, decision.provider_format)
    return before, after


def _set_model(ex: Exchange, model: str) -> tuple[bytes, bytes] | None:
    """Replace the model's value alone: every other byte of the body stays."""
    plain = ex.body.decoded()
    if not plain or ex.client_format == GOOGLE_GENERATE:
        return None  # Google names the model in the path, where the target has it already
    changed = replace_model(plain, model)
    if changed is None or changed == plain:
        return None
    ex.body.replace_plain(changed)
    return plain, changed
