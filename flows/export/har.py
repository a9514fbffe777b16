"""Flows as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), written piece by piece. Pure.

One page a flow, whose id is the flow's. Of its two entries the first (2i) is what left the proxy
and what the provider answered, the second (2i + 1) what the client sent and what it received. A
side that is missing is taken from its counterpart. Binary bodies are base64 (`_encoding` on a
request, where the format has no field for it); websocket messages and our own facts are in fields
with a leading underscore, which other tools skip.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from flows.bodies.complete_flow import CompleteFlow
from flows.models import Flow
from flows.redaction.redactor import Redactor
from flows.sides import FlowSide, header
from providers.auth.registry import SecretRegistry

CONTENT_TYPE: Final = "application/har+json"
CREATOR: Final = "ccproxy"
_CREATOR_VERSION: Final = "0.1.0"
_MARK: Final = "‹redacted "
_by_name = Redactor(SecretRegistry())

OUTER_SIDES: Final = ("forwarded", "upstream")
INNER_SIDES: Final = ("client", "delivered")
_FACTS: Final = (
    "state", "source", "action", "provider", "provider_type", "rule", "route", "requested_model",
    "sent_model",
    "session_id", "client_format", "provider_format", "is_stream", "is_websocket", "error",
    "hooks_changed",
    "first_event_ms", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "run_label",
    "run_command", "ja3", "ja4",
)  # fmt: skip


def har_text(pages: Iterable[Flow], flows: Iterable[CompleteFlow]) -> Iterator[bytes]:
    """The document in pieces; `pages` and `flows` are the same flows, each read once."""
    creator = orjson.dumps({"name": CREATOR, "version": _CREATOR_VERSION})
    yield b'{"log":{"version":"1.2","creator":' + creator + b',"pages":['
    yield from _joined(page(flow) for flow in pages)
    yield b'],"entries":['
    yield from _joined(entry for flow in flows for entry in entries(flow))
    yield b"]}}\n"


def _joined(values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    separator = b"\n"
    for value in values:
        yield separator + orjson.dumps(value)
        separator = b",\n"


def page(flow: Flow) -> dict[str, Any]:
    """The page of a flow; its times are unknown to a proxy."""
    return {
        "startedDateTime": _moment(flow),
        "id": flow.pk,
        "title": _text(
            f"{flow.pk} {flow.method} {flow.forwarded_url or flow.client_url or flow.path}"
        ),
        "pageTimings": {"onContentLoad": -1, "onLoad": -1},
        "_ccproxy": {name: _plain(getattr(flow, name)) for name in _FACTS},
    }


def entries(flow: CompleteFlow) -> list[dict[str, Any]]:
    """The two entries of a flow."""
    return [_entry(flow, *OUTER_SIDES, inner=False), _entry(flow, *INNER_SIDES, inner=True)]


def _entry(
    flow: CompleteFlow, request_name: str, response_name: str, *, inner: bool
) -> dict[str, Any]:
    request = flow.side(request_name, "client" if not inner else "forwarded")
    response = flow.side(response_name, "delivered" if not inner else "upstream")
    timings = _timings(flow.flow, inner=inner)
    entry: dict[str, Any] = {
        "pageref": flow.flow.pk,
        "startedDateTime": _moment(flow.flow),
        "time": round(sum(value for value in timings.values() if value > 0), 3),
        "request": _request(flow, request),
        "response": _response(flow, response),
        "cache": {},
        "timings": timings,
        "_ccproxy": {
            "flow": flow.flow.pk,
            "request": request.side if request else "",
            "response": response.side if response else "",
        },
    }
    if flow.flow.is_websocket and not inner:
        entry |= {"_resourceType": "websocket", "_webSocketMessages": list(_messages(flow))}
    return entry


def _timings(flow: Flow, *, inner: bool) -> dict[str, float]:
    """Milliseconds: -1 where unknown, but for send, wait and receive, which must not be
    negative.
    """
    connect = -1.0 if inner or flow.connect_ms is None else max(0.0, flow.connect_ms)
    total = max(0.0, flow.duration_ms or 0.0)
    first = total if flow.first_byte_ms is None else max(0.0, flow.first_byte_ms)
    return {
        "blocked": -1,
        "dns": -1,
        "connect": round(connect, 3),
        "ssl": -1,
        "send": 0,
        "wait": round(max(0.0, first - max(0.0, connect)), 3),
        "receive": round(max(0.0, total - first), 3),
    }


def _request(flow: CompleteFlow, side: FlowSide | None) -> dict[str, Any]:
    row = flow.flow
    url = (side.url if side else "") or row.forwarded_url or row.client_url or row.path
    found: dict[str, Any] = {
        "method": _text((side.method if side else "") or row.method),
        "url": _text(url),
        "httpVersion": _text((side.http_version if side else "") or "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(side),
        "queryString": _query(url),
        "headersSize": -1,
        "bodySize": side.body_size_bytes if side else -1,
    }
    stored = flow.stored(side) if side else None
    if side is not None and (stored or side.body_size_bytes):
        body = _body(flow, side)
        if "encoding" in body:
            body["_encoding"] = body.pop("encoding")
        mime_type = header(side.headers, "content-type") or "application/octet-stream"
        found["postData"] = {"mimeType": _text(mime_type), **body, "params": []}
    return found


def _response(flow: CompleteFlow, side: FlowSide | None) -> dict[str, Any]:
    headers = side.headers if side else []
    plain = flow.plain(side)
    content: dict[str, Any] = {
        "size": len(plain),
        "mimeType": _text(header(headers, "content-type") or "x-unknown"),
        **(_body(flow, side) if side else {"text": ""}),
    }
    if (
        side is not None
        and plain
        and header(headers, "content-encoding")
        and not side.body_truncated
    ):
        content["compression"] = len(plain) - side.body_size_bytes
    found: dict[str, Any] = {
        "status": (side.status_code if side else flow.flow.status_code) or 0,
        "statusText": _text(side.reason if side else ""),
        "httpVersion": _text((side.http_version if side else "") or "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(side),
        "content": content,
        "redirectURL": _text(header(headers, "location")),
        "headersSize": -1,
        "bodySize": side.body_size_bytes if side else -1,
    }
    if flow.flow.error:
        found["_error"] = _text(flow.flow.error)
    if side is not None and side.chunk_times:
        found["_chunkTimes"] = side.chunk_times
    return found


def _body(flow: CompleteFlow, side: FlowSide) -> dict[str, Any]:
    """Text, or base64 with its `encoding`; a comment where it is not all of it."""
    stored, plain = flow.stored(side), flow.plain(side)
    comment = {}
    if stored is None:
        comment = {"comment": f"The body ({side.body_size_bytes} bytes) was not kept."}
    elif side.body_truncated:
        comment = {
            "comment": f"Only the first {len(stored)} of {side.body_size_bytes} bytes were kept."
        }
    if _is_utf8(plain):
        return {"text": plain.decode(), **comment}
    return {"text": base64.b64encode(plain).decode(), "encoding": "base64", **comment}


def _headers(side: FlowSide | None) -> list[dict[str, str]]:
    """The record is redacted already; what was imported by an older version or edited by hand goes
    by name.
    """
    found = []
    for name, value in side.headers if side else []:
        safe = value if _MARK in value else _by_name.header(name, value)
        found.append({"name": _text(name), "value": _text(safe)})
    return found


def _query(url: str) -> list[dict[str, str]]:
    try:
        pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return []
    return [{"name": _text(name), "value": _text(value)} for name, value in pairs]


def _messages(flow: CompleteFlow) -> Iterator[dict[str, Any]]:
    """As Chrome writes them: the time in seconds, opcode 1 for text and 2 for base64."""
    for message in flow.messages:
        data = flow.bodies.get(message.body_digest, b"")
        is_text = message.is_text and _is_utf8(data)
        yield {
            "type": "send" if message.from_client else "receive",
            "time": flow.flow.started_at.timestamp() + message.at_ms / 1000,
            "opcode": 1 if is_text else 2,
            "data": data.decode() if is_text else base64.b64encode(data).decode(),
        }


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _moment(flow: Flow) -> str:
    """ISO 8601 to the millisecond, as Charles insists."""
    moment = flow.started_at
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """Without lone surrogates, which JSON files cannot hold."""
    return value.encode("utf-8", "replace").decode()
