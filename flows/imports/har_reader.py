"""HAR files of any tool (Chrome, Firefox, Charles, Proxyman, our own) as records of flows. Pure.

An entry of another tool is one flow, whose request counts both as sent by the client and as
forwarded. Of our own files the two entries of a page become the four sides again. The reader leaves
out fields that are missing or have a wrong type. Example, of another tool:

    {"request": {"method": "GET", "url": "https://a.example/x"}, "response": {"status": 200}}

becomes a flow with the sides client and forwarded (GET /x), upstream and delivered (200).
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Any, Final, NamedTuple, TypeGuard
from urllib.parse import urlencode, urlsplit

from flows.export.har import CREATOR
from flows.record import FlowRecord, Side, SideRecord, WebSocketRecord
from providers.base.errors import CcproxyError
from providers.wire.detect import client_format, model_of

SOURCE: Final = "import"
NAMESPACE: Final = uuid.UUID("5f2d3b1e-8f6b-4d8e-9d56-4c6f2a1b7e90")
NO_RESPONSE: Final = "The capture has no response."
# The start of the year 2100.
_LATEST: Final = 4_102_444_800.0
_LONGEST_MS: Final = 1e12
_LARGEST_NUMBER: Final = 1e15
_FACTS: Final = (
    "state", "action", "provider", "provider_type", "rule", "route", "requested_model",
    "sent_model", "session_id", "client_format", "provider_format", "error",
)  # fmt: skip
_STATES: Final = ("done", "error")
_SIDES: Final = ("client", "forwarded", "upstream", "delivered")
_BEFORE_FIRST_BYTE: Final = ("blocked", "dns", "connect", "send", "wait")


class CaptureError(CcproxyError):
    """A file that is not a capture, or cannot be read; the message gives the reason."""


class _Timing(NamedTuple):
    """Milliseconds since the request began; None where unknown."""

    connect_ms: float | None
    first_byte_ms: float | None
    duration_ms: float


@dataclass(slots=True)
class _Group:
    """The entries of one flow, and its page in a file of our own."""

    flow_id: str
    entries: list[dict[str, Any]]


def records_of_har(data: Any) -> Iterator[FlowRecord]:
    """Yield the flows of a parsed HAR.

    Raises:
        CaptureError: there is no `log.entries`.
    """
    log = _dict(_dict(data).get("log"))
    entries = log.get("entries")
    if not isinstance(entries, list):
        raise CaptureError("This is not a HAR: it has no log.entries.")
    creator = _dict(log.get("creator"))
    is_ours = creator.get("name") == CREATOR
    pages = {}
    for value in _list(log.get("pages")):
        page = _dict(value)
        pages[str(page.get("id"))] = page
    for group in _groups(entries, is_ours=is_ours):
        yield _record(group, pages.get(group.flow_id, {}))


def _groups(entries: Sequence[Any], *, is_ours: bool) -> Iterator[_Group]:
    """Group the entries of each flow, in the order of the first ones.

    Each entry of another tool is a group of its own, without an id.
    """
    ours: dict[str, _Group] = {}
    groups: list[_Group] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("request"), dict):
            continue
        flow_id = None
        if is_ours:
            flow_id = _dict(entry.get("_ccproxy")).get("flow")
        if isinstance(flow_id, str) and flow_id in ours:
            ours[flow_id].entries.append(entry)
            continue
        group = _Group("", [entry])
        groups.append(group)
        if isinstance(flow_id, str):
            group.flow_id = flow_id
            ours[flow_id] = group
    yield from groups


def _record(group: _Group, page: dict[str, Any]) -> FlowRecord:
    first = group.entries[0]
    sides = tuple(_own_sides(group.entries) if group.flow_id else _foreign_sides(first))
    by_name = {side.side: side for side in sides}
    client = by_name.get("client", sides[0])
    forwarded = by_name.get("forwarded", client)
    response = by_name.get("delivered")
    has_response = response is not None and bool(response.status_code)

    facts = _facts(client, has_response=has_response) | _known_facts(page)
    state = facts.pop("state")
    timing = _timing(first)
    started_at = _started(first)
    return FlowRecord(
        id=_id(group),
        state=state if state in _STATES else "error",
        started_at=started_at,
        finished_at=started_at + timing.duration_ms / 1000,
        source=SOURCE,
        method=client.method,
        host=_host(forwarded.url),
        path=_path(client.url),
        client_url=client.url,
        forwarded_url=forwarded.url,
        user_agent=_header(client, "user-agent"),
        status_code=response.status_code if response else None,
        is_stream=_header(response, "content-type").startswith("text/event-stream"),
        is_websocket=first.get("_resourceType") == "websocket",
        # An empty line ends each event.
        event_count=_body(response).count(b"\n\n"),
        connect_ms=timing.connect_ms,
        first_byte_ms=timing.first_byte_ms,
        duration_ms=timing.duration_ms,
        sides=sides,
        messages=tuple(_messages(first, started_at)),
        **facts,
    )


def _facts(client: SideRecord, *, has_response: bool) -> dict[str, Any]:
    """Derive the facts that only our own files name."""
    path = _path(client.url)
    wire = client_format(path, lambda name: _header(client, name) or None) or ""
    return {
        "state": "done" if has_response else "error",
        "error": "" if has_response else NO_RESPONSE,
        "client_format": wire,
        "provider_format": wire,
        "requested_model": model_of(path, _json(client.body)) or "",
    }


def _known_facts(page: dict[str, Any]) -> dict[str, str]:
    facts = _dict(page.get("_ccproxy"))
    known: dict[str, str] = {}
    for name in _FACTS:
        value = facts.get(name)
        if isinstance(value, str):
            known[name] = value
    return known


def _id(group: _Group) -> str:
    """Return our own id, or one that every import of this entry gives again."""
    try:
        return str(uuid.UUID(group.flow_id))
    except ValueError:
        content = json.dumps(group.entries, sort_keys=True)
        return str(uuid.uuid5(NAMESPACE, content))


def _own_sides(entries: Sequence[dict[str, Any]]) -> Iterator[SideRecord]:
    """Yield every side that the file names, once.

    An entry whose side was missing shows its counterpart, under the counterpart's name.
    """
    seen: set[str] = set()
    for entry in entries:
        names = _dict(entry.get("_ccproxy"))
        request_side = names.get("request")
        if request_side in _SIDES and request_side not in seen:
            seen.add(request_side)
            yield _request(entry, request_side)
        response_side = names.get("response")
        if response_side in _SIDES and response_side not in seen:
            seen.add(response_side)
            yield _response(entry, response_side)
    if not seen:
        yield _request(entries[0], "client")


def _foreign_sides(entry: dict[str, Any]) -> Iterator[SideRecord]:
    yield _request(entry, "client")
    yield _request(entry, "forwarded")
    # Browsers write a status of 0 for a request without a response.
    if _dict(entry.get("response")).get("status"):
        yield _response(entry, "upstream")
        yield _response(entry, "delivered")


def _request(entry: dict[str, Any], side: Side) -> SideRecord:
    request = _dict(entry.get("request"))
    body = _request_body(_dict(request.get("postData")))
    return SideRecord(
        side=side,
        http_version=_str(request.get("httpVersion"))[:10],
        method=_str(request.get("method"))[:32] or "GET",
        url=_str(request.get("url")),
        headers=_headers(request),
        body=body,
        body_size_bytes=_size(request.get("bodySize"), body),
    )


def _response(entry: dict[str, Any], side: Side) -> SideRecord:
    response = _dict(entry.get("response"))
    content = _dict(response.get("content"))
    body = _bytes(content.get("text"), content.get("encoding"))
    return SideRecord(
        side=side,
        http_version=_str(response.get("httpVersion"))[:10],
        status_code=_status(response.get("status")),
        reason=_str(response.get("statusText"))[:255],
        headers=_headers(response),
        body=body,
        body_size_bytes=_size(response.get("bodySize"), body),
        chunk_times=tuple(_chunk_times(response.get("_chunkTimes"))),
    )


def _status(value: Any) -> int | None:
    if isinstance(value, int) and 100 <= value <= 999:
        return value
    return None


def _request_body(post: dict[str, Any]) -> bytes:
    if "text" in post:
        return _bytes(post["text"], post.get("_encoding") or post.get("encoding"))
    # Some tools write the fields of a form instead of its text.
    pairs = []
    for value in _list(post.get("params")):
        param = _dict(value)
        pairs.append((_str(param.get("name")), _str(param.get("value"))))
    return urlencode(pairs).encode()


def _bytes(text: Any, encoding: Any) -> bytes:
    data = _str(text).encode("utf-8", "surrogatepass")
    if encoding != "base64":
        return data
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        return data


def _headers(message: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    headers = []
    for value in _list(message.get("headers")):
        line = _dict(value)
        name = _str(line.get("name"))
        if name:
            headers.append((name, _str(line.get("value"))))
    return tuple(headers)


def _chunk_times(value: Any) -> Iterator[tuple[int, float]]:
    for pair in _list(value):
        match pair:
            case [int(offset), at_ms] if _is_number(at_ms):
                yield offset, float(at_ms)


def _messages(entry: dict[str, Any], started_at: float) -> Iterator[WebSocketRecord]:
    for seq, value in enumerate(_list(entry.get("_webSocketMessages"))):
        message = _dict(value)
        sent_at = message.get("time")
        at_ms = 0.0
        if _is_number(sent_at):
            at_ms = max(0.0, (float(sent_at) - started_at) * 1000)
        # Chrome writes a binary frame (opcode 2) as base64.
        is_text = message.get("opcode") != 2
        encoding = None if is_text else "base64"
        yield WebSocketRecord(
            seq=seq,
            at_ms=at_ms,
            from_client=message.get("type") == "send",
            is_text=bool(message.get("_isText", is_text)),
            content=_bytes(message.get("data"), encoding),
        )


def _timing(entry: dict[str, Any]) -> _Timing:
    """Read the timings; -1 and nonsense are unknown.

    Example: connect 20, send 1, wait 300, receive 80 → first byte at 321 ms, duration 401 ms.
    """
    timings = _dict(entry.get("timings"))
    known: dict[str, float] = {}
    for name, value in timings.items():
        if _is_number(value) and value >= 0:
            known[name] = float(value)
    first_byte_ms = None
    if "wait" in known:
        first_byte_ms = sum(known.get(name, 0.0) for name in _BEFORE_FIRST_BYTE)
    total = entry.get("time")
    duration_ms = sum(known.values())
    if _is_number(total) and total >= 0:
        duration_ms = min(float(total), _LONGEST_MS)
    return _Timing(known.get("connect"), first_byte_ms, duration_ms)


def _started(entry: dict[str, Any]) -> float:
    try:
        moment = datetime.fromisoformat(_str(entry.get("startedDateTime"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return time()
    if 0 <= moment <= _LATEST:
        return moment
    return time()


def _size(value: Any, body: bytes) -> int:
    # -1 is unknown, and the database holds no larger number.
    if isinstance(value, int) and 0 <= value < 2**62:
        return value
    return len(body)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _body(side: SideRecord | None) -> bytes:
    if side is None:
        return b""
    return side.body or b""


def _header(side: SideRecord | None, wanted: str) -> str:
    if side is None:
        return ""
    for name, value in side.headers:
        if name.lower() == wanted:
            return value
    return ""


def _json(body: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_number(value: Any) -> TypeGuard[float]:
    # bool is an int, and NaN is the only float that differs from itself.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return False
    return abs(value) < _LARGEST_NUMBER


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
