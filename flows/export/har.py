"""Flows as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), written entry by entry. Pure.

One page a flow, whose id is the flow's. Of its two entries the first (2i) is the forwarded request
and the provider's response, the second (2i + 1) what the client sent and received. A side that is
missing is taken from its counterpart. Binary bodies are base64 (`_encoding` on a request, where the
format has no field for it). Websocket messages and our own facts are in fields with a leading
underscore, which other tools skip.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson

from flows.bodies.complete_flow import CompleteFlow
from flows.models import Flow, WebSocketMessage
from flows.redaction.redactor import Redactor
from flows.sides import FlowSide, Lines, header
from providers.auth.registry import SecretRegistry

CONTENT_TYPE: Final = "application/har+json"
CREATOR: Final = "ccproxy"
_CREATOR_VERSION: Final = "0.1.0"
_MARK: Final = "‹redacted "
_by_name = Redactor(SecretRegistry())
_FACTS: Final = (
    "state",
    "source",
    "action",
    "provider",
    "provider_type",
    "rule",
    "route",
    "requested_model",
    "sent_model",
    "session_id",
    "client_format",
    "provider_format",
    "is_stream",
    "is_websocket",
    "error",
    "hooks_changed",
    "event_count",
    "connect_ms",
    "first_byte_ms",
    "first_event_ms",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "run_label",
    "run_command",
    "ja3",
    "ja4",
)


@dataclass(frozen=True, slots=True)
class _Half:
    """The sides of one entry, each with the side that replaces a missing one."""

    request: tuple[str, str]
    response: tuple[str, str]
    is_outer: bool


_OUTER: Final = _Half(("forwarded", "client"), ("upstream", "delivered"), is_outer=True)
_INNER: Final = _Half(("client", "forwarded"), ("delivered", "upstream"), is_outer=False)


def har_text(pages: Iterable[Flow], flows: Iterable[CompleteFlow]) -> Iterator[bytes]:
    """Write the document in parts; `pages` and `flows` are the same flows, each read once."""
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
    """Return the page of a flow; a proxy does not know a page's times."""
    url = flow.forwarded_url or flow.client_url or flow.path
    return {
        "startedDateTime": _moment(flow),
        "id": flow.pk,
        "title": _text(f"{flow.pk} {flow.method} {url}"),
        "pageTimings": {"onContentLoad": -1, "onLoad": -1},
        "_ccproxy": {name: _encodable(getattr(flow, name)) for name in _FACTS},
    }


def entries(flow: CompleteFlow) -> list[dict[str, Any]]:
    """Return the two entries of a flow."""
    outer = _entry(flow, _OUTER)
    if flow.flow.is_websocket:
        outer["_resourceType"] = "websocket"
        outer["_webSocketMessages"] = [_message(flow, message) for message in flow.messages]
    return [outer, _entry(flow, _INNER)]


def _entry(flow: CompleteFlow, half: _Half) -> dict[str, Any]:
    request = flow.side(*half.request)
    response = flow.side(*half.response)
    timings = _timings(flow.flow, is_outer=half.is_outer)
    known = [value for value in timings.values() if value > 0]
    return {
        "pageref": flow.flow.pk,
        "startedDateTime": _moment(flow.flow),
        "time": round(sum(known), 3),
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


def _timings(flow: Flow, *, is_outer: bool) -> dict[str, float]:
    """Return milliseconds; -1 where unknown, but send, wait and receive must not be negative.

    Example: connected at 20 ms, first byte at 300 ms, 900 ms in all → connect 20, wait 280,
    receive 600.
    """
    connect = -1.0
    if is_outer and flow.connect_ms is not None:
        connect = max(0.0, flow.connect_ms)
    total = max(0.0, flow.duration_ms or 0.0)
    first_byte = total
    if flow.first_byte_ms is not None:
        first_byte = max(0.0, flow.first_byte_ms)
    wait = max(0.0, first_byte - max(0.0, connect))
    receive = max(0.0, total - first_byte)
    return {
        "blocked": -1,
        "dns": -1,
        "connect": round(connect, 3),
        "ssl": -1,
        "send": 0,
        "wait": round(wait, 3),
        "receive": round(receive, 3),
    }


def _request(flow: CompleteFlow, recorded: FlowSide | None) -> dict[str, Any]:
    row = flow.flow
    side = recorded or FlowSide("")
    url = side.url or row.forwarded_url or row.client_url or row.path
    request: dict[str, Any] = {
        "method": _text(side.method or row.method),
        "url": _text(url),
        "httpVersion": _text(side.http_version or "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(side),
        "queryString": _query(url),
        "headersSize": -1,
        "bodySize": -1 if recorded is None else side.body_size_bytes,
    }
    if recorded is not None and (flow.stored(side) or side.body_size_bytes):
        request["postData"] = _post_data(flow, side)
    return request


def _post_data(flow: CompleteFlow, side: FlowSide) -> dict[str, Any]:
    body = _body(flow, side)
    # HAR 1.2 has `encoding` on the content of a response only.
    if "encoding" in body:
        body["_encoding"] = body.pop("encoding")
    mime_type = header(side.headers, "content-type") or "application/octet-stream"
    return {"mimeType": _text(mime_type), **body, "params": []}


def _response(flow: CompleteFlow, recorded: FlowSide | None) -> dict[str, Any]:
    row = flow.flow
    side = recorded or FlowSide("", status_code=row.status_code)
    response: dict[str, Any] = {
        "status": side.status_code or 0,
        "statusText": _text(side.reason),
        "httpVersion": _text(side.http_version or "HTTP/1.1"),
        "cookies": [],
        "headers": _headers(side),
        "content": _content(flow, recorded),
        "redirectURL": _text(header(side.headers, "location")),
        "headersSize": -1,
        "bodySize": -1 if recorded is None else side.body_size_bytes,
    }
    if row.error:
        response["_error"] = _text(row.error)
    if side.chunk_times:
        response["_chunkTimes"] = side.chunk_times
    return response


def _content(flow: CompleteFlow, side: FlowSide | None) -> dict[str, Any]:
    if side is None:
        return {"size": 0, "mimeType": "x-unknown", "text": ""}
    plain = flow.plain(side)
    content = {
        "size": len(plain),
        "mimeType": _text(header(side.headers, "content-type") or "x-unknown"),
        **_body(flow, side),
    }
    # Bytes saved on the wire. Of a truncated body the size without the encoding is unknown.
    is_encoded = bool(header(side.headers, "content-encoding"))
    if plain and is_encoded and not side.body_truncated:
        content["compression"] = len(plain) - side.body_size_bytes
    return content


def _body(flow: CompleteFlow, side: FlowSide) -> dict[str, Any]:
    """Return text, or base64 with its `encoding`; a comment if the body is not complete."""
    stored = flow.stored(side)
    plain = flow.plain(side)
    body = {}
    if _is_utf8(plain):
        body["text"] = plain.decode()
    else:
        body["text"] = base64.b64encode(plain).decode()
        body["encoding"] = "base64"
    if stored is None:
        body["comment"] = f"The body ({side.body_size_bytes} bytes) was not kept."
    elif side.body_truncated:
        body["comment"] = f"Only the first {len(stored)} of {side.body_size_bytes} bytes were kept."
    return body


def _headers(side: FlowSide) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in redacted_headers(side.headers)]


def redacted_headers(lines: Lines) -> Lines:
    """Return headers as JSON can hold them, redacted by name once more.

    The record is redacted. Rows of an older version, or edited by hand, may not be.
    """
    headers = []
    for name, value in lines:
        safe = value if _MARK in value else _by_name.header(name, value)
        headers.append([_text(name), _text(safe)])
    return headers


def _query(url: str) -> list[dict[str, str]]:
    try:
        pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return []
    return [{"name": _text(name), "value": _text(value)} for name, value in pairs]


def _message(flow: CompleteFlow, message: WebSocketMessage) -> dict[str, Any]:
    """Return a message as Chrome writes it: seconds, opcode 1 for text and 2 for base64.

    `_isText` marks a text message that is not UTF-8.
    """
    data = flow.bodies.get(message.body_digest, b"")
    is_text = message.is_text and _is_utf8(data)
    written: dict[str, Any] = {
        "type": "send" if message.from_client else "receive",
        "time": flow.flow.started_at.timestamp() + message.at_ms / 1000,
        "opcode": 1 if is_text else 2,
        "data": data.decode() if is_text else base64.b64encode(data).decode(),
    }
    if message.is_text and not is_text:
        written["_isText"] = True
    return written


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _moment(flow: Flow) -> str:
    """Write the start as ISO 8601 to the millisecond; Charles refuses microseconds."""
    started = flow.started_at
    milliseconds = started.microsecond // 1000
    return f"{started:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def _encodable(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """Replace lone surrogates, which JSON files cannot hold."""
    return value.encode("utf-8", "replace").decode()
