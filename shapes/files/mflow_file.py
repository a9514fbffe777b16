"""Shapes as mitmproxy captures: `TYPE.mflow`, of which the last HTTP request counts.

mitmproxy takes most of a second to import, so only the commands and pages that need it load this.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from mitmproxy import http
from mitmproxy.connection import Client, Server
from mitmproxy.exceptions import FlowReadException
from mitmproxy.io import FlowReader, FlowWriter

from flows.display.units import size
from shapes.capture.captured_request import Headers
from shapes.capture.validity import Recorded
from shapes.files.shape_file_error import ShapeFileError

MAX_FILE_BYTES: Final = 50_000_000
FINGERPRINT_KEY: Final = "ccproxy.fingerprint.profile"
ORDER_KEY: Final = "ccproxy.shape.key_order"
_UNREADABLE: Final = (
    FlowReadException,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
    OverflowError,
    RecursionError,
)
_MAX_NAMES: Final = 500
_NO_HOST: Final = "shape.invalid"


@dataclass(frozen=True, slots=True)
class ShapeFile:
    """The last request of a capture, and the fingerprint that it embeds."""

    recorded: Recorded
    origin: str
    fingerprint: dict[str, Any] | None
    captured_at: datetime | None
    key_order: tuple[str, ...]
    has_response: bool


def read_path(path: Path) -> ShapeFile:
    """Return the last request of a file.

    Raises:
        ShapeFileError: it is missing, too large, cut off, or no capture.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _too_large(path.name, path.stat().st_size)
        with path.open("rb") as file:
            return read_mflow(file, path.name)
    except OSError as exc:
        raise ShapeFileError(f"{path} cannot be read: {exc.strerror}") from None


def read_mflow(file: BinaryIO, name: str) -> ShapeFile:
    """Return the last request of an open file; `name` is for messages.

    Raises:
        ShapeFileError: it is too large, cut off, or no capture.
    """
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(name, len(data))
    if not data:
        raise ShapeFileError(f"{name} is empty.")
    last: http.HTTPFlow | None = None
    # A file that ends in the middle of a flow is refused, also if earlier flows are complete:
    # the last one is the shape.
    for flow in _flows(data, name):
        last = flow
    if last is None:
        raise ShapeFileError(f"{name} has no HTTP request.")
    return _shape_file(last)


def _flows(data: bytes, name: str) -> Iterator[http.HTTPFlow]:
    try:
        for flow in FlowReader(io.BytesIO(data)).stream():
            if isinstance(flow, http.HTTPFlow):
                yield flow
    except _UNREADABLE as exc:
        reason = str(exc)[:120] or type(exc).__name__
        raise ShapeFileError(
            f"{name} is cut off, damaged or no mitmproxy capture: {reason}"
        ) from None


def _shape_file(flow: http.HTTPFlow) -> ShapeFile:
    request = flow.request
    headers: Headers = tuple(
        (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
        for name, value in request.headers.fields
    )
    try:
        body = request.get_content(strict=True)
    except ValueError:
        # A content encoding that cannot be undone.
        body = None
    status = flow.response.status_code if flow.response else 200
    parts = urlsplit(request.url)
    fingerprint = flow.metadata.get(FINGERPRINT_KEY)
    return ShapeFile(
        Recorded(request.method, request.path, headers, body, status),
        f"{parts.scheme}://{parts.netloc}",
        fingerprint if isinstance(fingerprint, dict) else None,
        _moment(request.timestamp_start),
        _names(flow.metadata.get(ORDER_KEY)),
        flow.response is not None,
    )


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(name for name in value[:_MAX_NAMES] if isinstance(name, str))


def _moment(timestamp: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def write_mflow(
    *,
    method: str,
    url: str,
    headers: Headers,
    body: str,
    fingerprint: dict[str, Any] | None,
    captured_at: float,
    key_order: Sequence[str] = (),
) -> bytes:
    """Return a shape as a capture without a response. `captured_at` is in seconds since 1970."""
    parts = urlsplit(url)
    host = parts.hostname or _NO_HOST
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    fields = tuple((name.encode(), value.encode()) for name, value in headers)
    path = parts.path or "/"
    request = http.Request(
        host=host,
        port=port,
        method=method.encode(),
        scheme=(parts.scheme or "https").encode(),
        authority=b"",
        path=(f"{path}?{parts.query}" if parts.query else path).encode(),
        http_version=b"HTTP/1.1",
        headers=http.Headers(fields),
        content=body.encode(),
        trailers=None,
        timestamp_start=captured_at,
        timestamp_end=captured_at,
    )
    flow = http.HTTPFlow(
        Client(peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=captured_at),
        Server(address=(host, port)),
    )
    flow.request = request
    if fingerprint is not None:
        # mitmproxy's files hold texts, numbers, lists and mappings alone.
        flow.metadata[FINGERPRINT_KEY] = json.loads(json.dumps(fingerprint))
    if key_order:
        flow.metadata[ORDER_KEY] = list(key_order)
    file = io.BytesIO()
    FlowWriter(file).add(flow)
    return file.getvalue()


def _too_large(name: str, size_bytes: int) -> ShapeFileError:
    return ShapeFileError(
        f"{name} is {size(size_bytes)} long, and a shape's file has at most {size(MAX_FILE_BYTES)}."
    )
