"""Opening of the exchange: the client's own request is kept, and hooks get one to change."""

from __future__ import annotations

from typing import Any

from flows.reading.preview import tool_result_in
from flows.reading.search_text import question_in
from flows.record import HookStep, SideRecord
from interceptor.access.base_path import split_base_path
from interceptor.exchange.conversation_id import conversation_id
from interceptor.exchange.flow_state import FlowState
from interceptor.exchange.head import RequestHead
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import Fields, HeaderMap, values_by_name
from interceptor.pipeline.hook import Stage
from interceptor.pipeline.overrides import HEADER as OVERRIDES_HEADER
from interceptor.pipeline.overrides import parse_overrides
from interceptor.pipeline.runner import as_record
from interceptor.request_path.surroundings import Surroundings
from interceptor.wireguard.lease import Run
from providers.wire.detect import client_format, family_of, model_of
from providers.wire.surgery import read_model

INTERNAL_PREFIX = b"x-ccproxy-"
SHOW_LOSSES_HEADER = "x-ccproxy-show-losses"
NOT_DECODED = (
    "The compressed body is damaged, in an unknown encoding, or unfolds to far more than its size:"
    " forwarded unread."
)


async def open_exchange(
    state: FlowState, head: RequestHead, body: bytes, around: Surroundings, *, client_url: str
) -> Exchange:
    """Keep the client's side of the record and open the exchange that hooks work on.

    Args:
        state: of this flow; gets the exchange, the client's side, the format, model and question.
        head: as `admit` left it.
        body: as it came on the wire.
        around: gives the resolver of credentials.
        client_url: the address as the client wrote it.
    """
    headers = HeaderMap(head.fields)
    path = _take_base_path(state, head, headers)
    state.head = head
    state.client = SideRecord(
        side="client",
        http_version=head.http_version,
        method=head.method,
        url=client_url,
        headers=as_record(headers.fields),
        body=body,
        body_size_bytes=len(body),
    )
    state.client_format = client_format(path, headers.get)
    state.wants_losses = bool(headers.get(SHOW_LOSSES_HEADER))
    state.overrides = parse_overrides(headers.get(OVERRIDES_HEADER))
    state.exchange = exchange = _exchange_of(state, head, headers, path, body, around)
    if not await exchange.body.decode_off_loop():
        state.steps.append(HookStep(Stage.INBOUND, "body", "skipped", NOT_DECODED))
    parsed = parsed_body(exchange)
    state.requested_model = exchange.requested_model = asked_model(exchange)
    state.conversation_id = exchange.conversation_id = conversation_id(parsed)
    if parsed is not None:
        state.question = question_in(parsed)
        state.tool_result = tool_result_in(parsed)
    return exchange


def _exchange_of(
    state: FlowState,
    head: RequestHead,
    headers: HeaderMap,
    path: str,
    body: bytes,
    around: Surroundings,
) -> Exchange:
    """Return what hooks work on: the request without internal headers, and what they may ask."""
    scheme, host, port = head.address()
    return Exchange(
        flow_id=state.flow_id,
        method=head.method,
        scheme=scheme,
        host=host,
        port=port,
        path=path,
        headers=HeaderMap(without_internal(headers.fields)),
        body=Body(body, ",".join(headers.get_all("content-encoding"))),
        providers=state.snapshot.providers,
        source=state.source,
        client_format=state.client_format,
        resolver=around.resolver,
        projects=around.projects,
        perplexity=around.perplexity,
        caller=state.client_token.name if state.client_token else "",
        notes=around.notes,
        shapes=state.snapshot.shapes,
        began=state.began,
    )


def _take_base_path(state: FlowState, head: RequestHead, headers: HeaderMap) -> str:
    """Return the path that steps and hooks see; note the names in a base path."""
    # A request that is sent again as forwarded has the path at its provider's host.
    named = None if state.as_forwarded else split_base_path(head.path)
    if named is None or state.source != "reverse":
        return head.path
    state.to_provider = named.provider
    if named.run:
        state.run = Run(id=named.run, label=named.run, command=named.run)
    state.family = family_of(named.path, headers.get)
    return named.path


def without_internal(fields: Fields) -> Fields:
    """Return the headers without those that are meant for the proxy alone.

    Without any, the very same tuple: comparing it with the old one is then free.
    """
    internal = [name for name in values_by_name(fields) if name.startswith(INTERNAL_PREFIX)]
    if not internal:
        return fields
    return tuple(field for field in fields if field[0][:10].lower() != INTERNAL_PREFIX)


def parsed_body(exchange: Exchange) -> Any:
    """Return the parsed JSON body, to read only; a GET has none that means anything."""
    return None if exchange.method == "GET" else exchange.body.peek()


def asked_model(exchange: Exchange) -> str:
    """Return the model that the request names now; "" if it names none.

    A body that is no JSON for its numbers alone (`NaN`) still names its model.
    """
    parsed = parsed_body(exchange)
    if parsed is None and exchange.method != "GET":
        return model_of(exchange.path) or read_model(exchange.body.decoded() or b"") or ""
    return model_of(exchange.path, object_or_none(parsed)) or ""


def object_or_none(parsed: Any) -> dict[str, Any] | None:
    """Return a JSON object, and None for every other JSON value."""
    return parsed if isinstance(parsed, dict) else None
