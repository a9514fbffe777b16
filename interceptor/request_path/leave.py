"""Last step before a request leaves: credential, internal headers, Host and Content-Length.

The credential goes to its provider's own host alone, over verified TLS or to this machine.
"""

from __future__ import annotations

from time import perf_counter

from flows.record import SideRecord
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.head import RequestHead
from interceptor.exchange.refusal_table import Kind
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.runner import as_record, describe_change
from interceptor.request_path.open_exchange import without_internal
from interceptor.request_path.own_credential import refusal_to_carry
from interceptor.request_path.surroundings import Surroundings
from providers.auth.resolve import Credential
from providers.auth.sentinel import AUTH_HEADERS
from providers.base.loopback import is_loopback

NOT_ROUTED = "The request was not routed anywhere; see the log for the reason."


async def leave(state: FlowState, exchange: Exchange, around: Surroundings) -> None:
    """Make the exchange the request that leaves, and keep it as the record's forwarded side."""
    decision, head = state.decision, state.head
    routed = decision is not None and exchange.host
    if state.source == "reverse":
        routed = routed and decision is not None and decision.host
    if not routed or head is None:
        state.refuse(Kind.UNUSABLE, NOT_ROUTED)
        return
    if state.to_provider is not None:
        # A hook may have moved the request or found a credential since.
        exchange.credential = None
        own = state.snapshot.providers.get(state.to_provider)
        if reason := refusal_to_carry(exchange, own, around):
            state.refuse(Kind.UNUSABLE, f"The client's own credential goes nowhere else: {reason}.")
            return
    if exchange.credential is not None:
        stamp_credential(state, exchange, exchange.credential)
    finish(state, exchange, head)


def finish(state: FlowState, exchange: Exchange, head: RequestHead) -> None:
    """Drop internal headers, set Host and Content-Length, and keep the forwarded side."""
    exchange.headers.fields = without_internal(exchange.headers.fields)
    _set_host(head, exchange)
    sent = state.client.body if state.client else None
    if exchange.body.data != sent and "content-length" in exchange.headers:
        exchange.headers.set("content-length", str(len(exchange.body.data)))
    state.forwarded = SideRecord(
        side="forwarded",
        http_version=head.http_version,
        method=exchange.method,
        url=exchange.url,
        headers=as_record(exchange.headers.fields),
        body=exchange.body.data,
        body_size_bytes=len(exchange.body.data),
    )


def refusal_to_inject(exchange: Exchange) -> str | None:
    """Return why the credential must not go where the request goes, or None where it may."""
    provider = exchange.provider
    if provider is None:
        return "the destination belongs to no provider"
    if not provider.owns(exchange.host, exchange.port):
        return f"{exchange.host} is not the host of provider {provider.name}"
    if is_loopback(exchange.host):
        return None
    if exchange.scheme != "https" or not provider.verify_tls:
        return f"{exchange.host} is not reached over verified TLS"
    return None


def stamp_credential(state: FlowState, exchange: Exchange, credential: Credential) -> None:
    """Replace the client's credential headers by the provider's; recorded like a hook's change."""
    began, point = perf_counter(), exchange.checkpoint()
    reason = refusal_to_inject(exchange)
    if reason is None:
        _replace_credential_headers(exchange, credential)
        state.credential_injected = True
        provider_name = exchange.provider.name if exchange.provider else ""
        text = f"credential of {provider_name} ({credential.source})"
    else:
        text = f"credential withheld: {reason}"
    apply_ms = (perf_counter() - began) * 1000
    state.steps.append(
        describe_change(
            "egress",
            "inject_auth",
            exchange,
            point,
            None,
            reason=text,
            started_ms=(began - state.began) * 1000,
            apply_ms=apply_ms,
        )
    )


def _replace_credential_headers(exchange: Exchange, credential: Credential) -> None:
    """Put the credential where the sentinel key stood, in the client's spelling of the name."""
    headers = exchange.headers
    signs = credential.aws_keys is not None
    for name in AUTH_HEADERS:
        if signs or name != credential.header:
            headers.remove(name)
    # The last step signs the request, when nothing changes it any more.
    if signs:
        return
    position, spelling = exchange.credential_slot or (len(headers.fields), credential.header)
    same_header = spelling.lower() == credential.header
    headers.insert(position, spelling if same_header else credential.header, credential.value)
    for name, value in credential.companions:
        headers.set(name, value)


def _set_host(head: RequestHead, exchange: Exchange) -> None:
    """Name the destination in Host, unless a captured client named it already."""
    unmoved = (head.host, head.port, head.scheme) == (exchange.host, exchange.port, exchange.scheme)
    if unmoved and (head.authority or "host" in exchange.headers):
        return
    default_port = 443 if exchange.scheme == "https" else 80
    name = f"[{exchange.host}]" if ":" in exchange.host else exchange.host
    exchange.headers.set(
        "host", name if exchange.port == default_port else f"{name}:{exchange.port}"
    )
