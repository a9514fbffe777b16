"""mitmproxy's own captures (`mitmdump -w FILE`, `.mflow`) as records of flows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from mitmproxy import http
from mitmproxy.exceptions import FlowReadException
from mitmproxy.io import FlowReader

from flows.imports.capture_file import CaptureError
from flows.imports.captured_flow import CapturedFlow
from flows.imports.har_facts import NO_RESPONSE
from flows.imports.har_messages import stream_events
from flows.imports.har_reader import NAMESPACE, SOURCE
from flows.imports.loose_json import count_of
from flows.record import FlowRecord, Headers, SideRecord, WebSocketRecord
from providers.wire.detect import client_format, model_of


def records_of_mflow(file: BinaryIO) -> Iterator[CapturedFlow]:
    """Yield the HTTP flows of a capture, read one by one.

    Raises:
        CaptureError: it is not such a file, or damaged. The flows before the damage come first.
    """
    try:
        for flow in FlowReader(file).stream():
            if isinstance(flow, http.HTTPFlow):
                yield CapturedFlow(_record(flow))
    except (FlowReadException, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CaptureError(f"The capture cannot be read further: {exc}") from None


def _record(flow: http.HTTPFlow) -> FlowRecord:
    request = flow.request
    response = flow.response
    started = request.timestamp_start
    ended = request.timestamp_end or started
    first_byte_ms = None
    if response is not None:
        ended = response.timestamp_end or ended
        first_byte_ms = _ms(response.timestamp_start - started)
    event_count = _event_count(response)
    wire = client_format(request.path, lambda name: request.headers.get(name)) or ""
    return FlowRecord(
        id=_id(flow),
        state="done" if response and not flow.error else "error",
        started_at=started,
        finished_at=ended,
        source=SOURCE,
        method=request.method,
        host=request.pretty_host,
        path=request.path,
        client_url=request.pretty_url,
        forwarded_url=request.url,
        user_agent=str(request.headers.get("user-agent", "")),
        client_format=wire,
        provider_format=wire,
        requested_model=model_of(request.path, _json(request)) or "",
        status_code=response.status_code if response else None,
        is_stream=event_count is not None,
        is_websocket=flow.websocket is not None,
        error=_error(flow),
        event_count=event_count or 0,
        first_byte_ms=first_byte_ms,
        duration_ms=_ms(ended - started),
        sides=tuple(_sides(flow)),
        messages=tuple(_messages(flow)),
    )


def _sides(flow: http.HTTPFlow) -> Iterator[SideRecord]:
    request = flow.request
    client = SideRecord(
        side="client",
        http_version=request.http_version,
        method=request.method,
        url=request.pretty_url,
        headers=_headers(request),
        # None: the body was not kept.
        body=request.raw_content,
        body_size_bytes=_size(request),
    )
    yield client
    # mitmproxy sends to `url`, which a reverse proxy takes from its own settings.
    yield replace(client, side="forwarded", url=request.url)
    response = flow.response
    if response is None:
        return
    upstream = SideRecord(
        side="upstream",
        http_version=response.http_version,
        status_code=response.status_code,
        reason=response.reason,
        headers=_headers(response),
        body=response.raw_content,
        body_size_bytes=_size(response),
    )
    yield upstream
    yield replace(upstream, side="delivered")


def _error(flow: http.HTTPFlow) -> str:
    if flow.error:
        return flow.error.msg
    return "" if flow.response else NO_RESPONSE


def _id(flow: http.HTTPFlow) -> str:
    """Return mitmproxy's own id; for an id that our addresses cannot hold, one derived from it."""
    try:
        return str(uuid.UUID(flow.id))
    except (ValueError, AttributeError, TypeError):
        return str(uuid.uuid5(NAMESPACE, repr(flow.id)))


def _event_count(response: http.Response | None) -> int | None:
    """Return the number of events of a response; None if it is no stream of events."""
    if response is None:
        return None
    content_type = str(response.headers.get("content-type", ""))
    # A damaged encoding gives the bytes as they are.
    body = response.get_content(strict=False) or b""
    return stream_events(content_type, body)


def _size(message: http.Message) -> int:
    """Return the size of a body; without one, the size that its header gives."""
    if message.raw_content is None:
        return count_of(message.headers.get("content-length")) or 0
    return len(message.raw_content)


def _ms(seconds: float) -> float:
    return max(0.0, seconds * 1000)


def _headers(message: http.Message) -> Headers:
    lines = []
    for name, value in message.headers.fields:
        lines.append((_text(name), _text(value)))
    return tuple(lines)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _json(request: http.Request) -> dict[str, Any] | None:
    try:
        body = request.json()
    except (ValueError, TypeError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _messages(flow: http.HTTPFlow) -> Iterator[WebSocketRecord]:
    if flow.websocket is None:
        return
    started = flow.request.timestamp_start
    for seq, message in enumerate(flow.websocket.messages):
        yield WebSocketRecord(
            seq=seq,
            at_ms=_ms(message.timestamp - started),
            from_client=message.from_client,
            is_text=message.is_text,
            content=message.content,
        )
