"""mitmproxy's own captures (`mitmdump -w FILE`, `.mflow`) as records of flows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from mitmproxy import http
from mitmproxy.exceptions import FlowReadException
from mitmproxy.io import FlowReader

from flows.imports.har import NAMESPACE, SOURCE, CaptureError
from flows.record import FlowRecord, Headers, SideRecord, WebSocketRecord
from providers.wire.detect import client_format, model_of


def records_of_mflow(file: BinaryIO) -> Iterator[FlowRecord]:
    """The HTTP flows of a capture, read one by one.

    Raises:
        CaptureError: it is no such file, or damaged; the flows before the damage were given.
    """
    try:
        for flow in FlowReader(file).stream():
            if isinstance(flow, http.HTTPFlow):
                yield _record(flow)
    except (FlowReadException, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise CaptureError(f"The capture cannot be read further: {exc}") from None


def _record(flow: http.HTTPFlow) -> FlowRecord:
    request, response = flow.request, flow.response
    client = SideRecord(
        side="client",
        http_version=request.http_version,
        method=request.method,
        url=request.pretty_url,
        headers=_headers(request),
        body=request.raw_content or b"",
        body_size_bytes=len(request.raw_content or b""),
    )
    sides = [client, replace(client, side="forwarded", url=request.url)]
    if response is not None:
        answer = SideRecord(
            side="upstream",
            http_version=response.http_version,
            status_code=response.status_code,
            reason=response.reason,
            headers=_headers(response),
            body=response.raw_content or b"",
            body_size_bytes=len(response.raw_content or b""),
        )
        sides += [answer, replace(answer, side="delivered")]
    started = request.timestamp_start
    ended = (response.timestamp_end if response else None) or request.timestamp_end or started
    found = client_format(request.path, lambda name: request.headers.get(name)) or ""
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
        client_format=found,
        provider_format=found,
        requested_model=model_of(request.path, _json(request)) or "",
        status_code=response.status_code if response else None,
        is_stream=_content_type(response).startswith("text/event-stream"),
        is_websocket=flow.websocket is not None,
        error=flow.error.msg if flow.error else "" if response else "The capture has no answer.",
        first_byte_ms=_ms(response.timestamp_start - started) if response else None,
        duration_ms=_ms(ended - started),
        sides=tuple(sides),
        messages=tuple(_messages(flow)),
    )


def _id(flow: http.HTTPFlow) -> str:
    """mitmproxy's own id; of a file that was tampered with, one that our addresses can hold."""
    try:
        return str(uuid.UUID(flow.id))
    except (ValueError, AttributeError, TypeError):
        return str(uuid.uuid5(NAMESPACE, repr(flow.id)))


def _content_type(response: http.Response | None) -> str:
    return str(response.headers.get("content-type", "")) if response else ""


def _ms(seconds: float) -> float:
    return max(0.0, seconds * 1000)


def _headers(message: http.Message) -> Headers:
    return tuple(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in message.headers.fields
    )


def _json(request: http.Request) -> dict[str, Any] | None:
    try:
        found = request.json()
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _messages(flow: http.HTTPFlow) -> Iterator[WebSocketRecord]:
    for seq, message in enumerate(flow.websocket.messages if flow.websocket else ()):
        at_ms = _ms(message.timestamp - flow.request.timestamp_start)
        yield WebSocketRecord(seq, at_ms, message.from_client, message.is_text, message.content)
