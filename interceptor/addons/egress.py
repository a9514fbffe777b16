"""Last on the way out: puts the credential in for the provider's own host alone; lets no internal
header leave.
"""

from __future__ import annotations

from time import perf_counter

from mitmproxy.http import HTTPFlow

from flows.record import SideRecord
from interceptor.addons.inspector import INTERNAL_PREFIX
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import answer_error
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.pipeline.runner import as_record, describe_change
from providers.auth.resolve import Credential
from providers.auth.sentinel import AUTH_HEADERS
from providers.base.loopback import is_loopback


class EgressAddon:
    """Writes the exchange back into mitmproxy's request and keeps the forwarded side."""

    def request(self, flow: HTTPFlow) -> None:
        """Stamp the credential, then hand the request over."""
        state = state_of(flow)
        if state is None or state.exchange is None or flow.response or flow.error:
            return
        ex = state.exchange
        if (
            state.decision is None
            or not ex.host
            or (state.source == "reverse" and not state.decision.host)
        ):
            answer_error(
                flow, state, 502, "The request was not routed anywhere; see the log for the reason."
            )
            return
        if ex.credential is not None:
            stamp_credential(state, ex, ex.credential)
        _hand_over(flow, ex)
        state.forwarded = SideRecord(
            side="forwarded",
            http_version=flow.request.http_version,
            method=ex.method,
            url=ex.url,
            headers=as_record(flow.request.headers.fields),
            body=ex.body.data,
            body_size_bytes=len(ex.body.data),
        )


def refusal_to_inject(ex: Exchange) -> str | None:
    """Why the credential must not go where the request goes, or None: own host over verified TLS,
    or this machine.
    """
    provider = ex.provider
    if provider is None:
        return "the destination belongs to no provider"
    if not provider.owns(ex.host, ex.port):
        return f"{ex.host} is not the host of provider {provider.name}"
    if is_loopback(ex.host):
        return None
    if ex.scheme != "https" or not provider.verify_tls:
        return f"{ex.host} is not reached over verified TLS"
    return None


def stamp_credential(state: FlowState, ex: Exchange, credential: Credential) -> None:
    """Replace whatever credential headers there are by the provider's; traced like a hook."""
    began, point = perf_counter(), ex.checkpoint()
    reason = refusal_to_inject(ex)
    if reason is None:
        for header in AUTH_HEADERS:
            if header != credential.header:
                ex.headers.remove(header)
        place, spelling = ex.credential_slot or (len(ex.headers.fields), credential.header)
        name = spelling if spelling.lower() == credential.header else credential.header
        ex.headers.insert(place, name, credential.value)
        for name, value in credential.companions:
            ex.headers.set(name, value)
        state.credential_injected = True
        text = f"credential of {ex.provider.name if ex.provider else ''} ({credential.source})"
    else:
        text = f"credential withheld: {reason}"
    state.steps.append(
        describe_change(
            "egress",
            "inject_auth",
            ex,
            point,
            None,
            reason=text,
            apply_ms=(perf_counter() - began) * 1000,
        )
    )


def _hand_over(flow: HTTPFlow, ex: Exchange) -> None:
    """Give mitmproxy the destination, the headers and, if it changed, the body."""
    request = flow.request
    data = request.data
    headers = HeaderMap(tuple(f for f in ex.headers.fields if f[0][:10].lower() != INTERNAL_PREFIX))
    if (data.host, data.port, request.scheme) != (ex.host, ex.port, ex.scheme):
        headers.set("host", _host_value(ex))
    data.host, data.port, data.authority = ex.host, ex.port, b""
    request.scheme, request.path = ex.scheme, ex.path
    if ex.body.data != request.raw_content:
        request.raw_content = ex.body.data
        if "content-length" in headers:
            headers.set("content-length", str(len(ex.body.data)))
    if headers.fields != request.headers.fields:
        request.headers.fields = headers.fields


def _host_value(ex: Exchange) -> str:
    default = 443 if ex.scheme == "https" else 80
    name = f"[{ex.host}]" if ":" in ex.host else ex.host
    return name if ex.port == default else f"{name}:{ex.port}"
