"""HAR files of any tool (Chrome, Firefox, Charles, Proxyman, our own) as records of flows. Pure,
and tolerant.

An entry of another tool is one flow, whose request counts as both what the client sent and what
left. Of our own files the two entries of a page become the four sides again. What is missing or of
the wrong type is left out.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from time import time
from typing import Any, Final, TypeGuard
from urllib.parse import urlencode, urlsplit

from flows.export.har import CREATOR
from flows.record import FlowRecord, Side, SideRecord, WebSocketRecord
from providers.base.errors import CcproxyError
from providers.wire.detect import client_format, model_of

SOURCE: Final = "import"
_LATEST: Final = 4_102_444_800.0  # 2100
NAMESPACE: Final = uuid.UUID("5f2d3b1e-8f6b-4d8e-9d56-4c6f2a1b7e90")
_FACTS: Final = (
    "state", "action", "provider", "provider_type", "rule", "route", "requested_model",
    "sent_model", "session_id",
    "client_format", "provider_format", "error",
)  # fmt: skip
_STATES: Final = ("done", "error")


class CaptureError(CcproxyError):
    """This is no file of the kind it is said to be; the message says why."""


def records_of_har(data: Any) -> Iterator[FlowRecord]:
    """The flows of a parsed HAR.

    Raises:
        CaptureError: there is no `log.entries`.
    """
    log = _dict(_dict(data).get("log"))
    entries = log.get("entries")
    if not isinstance(entries, list):
        raise CaptureError("This is no HAR: it has no log.entries.")
    ours = _dict(log.get("creator")).get("name") == CREATOR
    pages = {str(_dict(page).get("id")): _dict(page) for page in _list(log.get("pages"))}
    groups: dict[str, list[dict[str, Any]]] = {}
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and isinstance(entry.get("request"), dict):
            groups.setdefault(_group(entry, ours, number), []).append(entry)
    for key, group in groups.items():
        yield _record(key if ours else "", group, pages.get(key, {}))


def _group(entry: dict[str, Any], ours: bool, number: int) -> str:
    flow_id = _dict(entry.get("_ccproxy")).get("flow")
    return flow_id if ours and isinstance(flow_id, str) else f"#{number}"


def _record(key: str, entries: list[dict[str, Any]], page: dict[str, Any]) -> FlowRecord:
    sides = tuple(
        _own_sides(entries) if key and not key.startswith("#") else _foreign_sides(entries[0])
    )
    client = next((side for side in sides if side.side == "client"), sides[0])
    forwarded = next((side for side in sides if side.side == "forwarded"), client)
    answer = next((side for side in sides if side.side == "delivered"), None)
    path = _path(client.url)
    facts = {name: value for name in _FACTS if isinstance(value := _facts(page).get(name), str)}
    state = facts.pop("state", "done" if answer and answer.status_code else "error")
    timing = _timing(entries[0])
    found = client_format(path, lambda name: _header(client, name) or None) or ""
    known: dict[str, Any] = {
        "client_format": found,
        "provider_format": found,
        "requested_model": model_of(path, _json(client.body)) or "",
        "error": "" if answer and answer.status_code else "The capture has no answer.",
        **facts,
    }
    started_at = _started(entries[0])
    return FlowRecord(
        id=_id(key, entries),
        state=state if state in _STATES else "error",  # type: ignore[arg-type]
        started_at=started_at,
        finished_at=started_at + timing["duration_ms"] / 1000,
        source=SOURCE,
        method=client.method,
        host=_host(forwarded.url),
        path=path,
        client_url=client.url,
        forwarded_url=forwarded.url,
        user_agent=_header(client, "user-agent"),
        status_code=answer.status_code if answer else None,
        is_stream=bool(answer) and _header(answer, "content-type").startswith("text/event-stream"),
        is_websocket=entries[0].get("_resourceType") == "websocket",
        event_count=(answer.body or b"").count(b"\n\n") if answer else 0,
        sides=sides,
        messages=tuple(_messages(entries[0], started_at)),
        **timing,
        **known,
    )


def _facts(page: dict[str, Any]) -> dict[str, Any]:
    return _dict(page.get("_ccproxy"))


def _id(key: str, entries: list[dict[str, Any]]) -> str:
    """Our own id, or one that is the same whenever the same entry is imported."""
    try:
        return str(uuid.UUID(key))
    except ValueError:
        return str(uuid.uuid5(NAMESPACE, json.dumps(entries, sort_keys=True)))


def _own_sides(entries: list[dict[str, Any]]) -> Iterator[SideRecord]:
    """Every side that the file names, once; one that stood in for a missing one is not that
    side.
    """
    seen: set[str] = set()
    for entry in entries:
        names = _dict(entry.get("_ccproxy"))
        for name, make in ((names.get("request"), _request), (names.get("response"), _response)):
            if name in ("client", "forwarded", "upstream", "delivered") and name not in seen:
                seen.add(name)
                yield make(entry, name)
    if not seen:
        yield _request(entries[0], "client")


def _foreign_sides(entry: dict[str, Any]) -> Iterator[SideRecord]:
    yield _request(entry, "client")
    yield _request(entry, "forwarded")
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
    status = response.get("status")
    return SideRecord(
        side=side,
        http_version=_str(response.get("httpVersion"))[:10],
        status_code=status if isinstance(status, int) and 100 <= status <= 999 else None,
        reason=_str(response.get("statusText"))[:255],
        headers=_headers(response),
        body=body,
        body_size_bytes=_size(response.get("bodySize"), body),
        chunk_times=tuple(_chunk_times(response.get("_chunkTimes"))),
    )


def _request_body(post: dict[str, Any]) -> bytes:
    if "text" in post:
        return _bytes(post["text"], post.get("_encoding") or post.get("encoding"))
    params = [_dict(param) for param in _list(post.get("params"))]
    return urlencode(
        [(_str(param.get("name")), _str(param.get("value"))) for param in params]
    ).encode()


def _bytes(text: Any, encoding: Any) -> bytes:
    data = _str(text).encode("utf-8", "surrogatepass")
    if encoding != "base64":
        return data
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError):
        return data


def _headers(message: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    lines = [_dict(line) for line in _list(message.get("headers"))]
    return tuple(
        (_str(line.get("name")), _str(line.get("value"))) for line in lines if line.get("name")
    )


def _chunk_times(found: Any) -> Iterator[tuple[int, float]]:
    for pair in _list(found):
        if (
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], int)
            and _is_number(pair[1])
        ):
            yield pair[0], float(pair[1])


def _messages(entry: dict[str, Any], started_at: float) -> Iterator[WebSocketRecord]:
    for seq, found in enumerate(map(_dict, _list(entry.get("_webSocketMessages")))):
        at = found.get("time")
        is_text = found.get("opcode") != 2
        yield WebSocketRecord(
            seq=seq,
            at_ms=max(0.0, (float(at) - started_at) * 1000) if _is_number(at) else 0.0,
            from_client=found.get("type") == "send",
            is_text=bool(found.get("_isText", is_text)),
            content=_bytes(found.get("data"), None if is_text else "base64"),
        )


def _timing(entry: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds; -1 and nonsense are unknown."""
    timings = _dict(entry.get("timings"))
    known = {
        name: float(value) for name, value in timings.items() if _is_number(value) and value >= 0
    }
    total = entry.get("time")
    first = sum(known.get(name, 0.0) for name in ("blocked", "dns", "connect", "send", "wait"))
    return {
        "connect_ms": known.get("connect"),
        "first_byte_ms": first if "wait" in known else None,
        "duration_ms": (
            min(float(total), 1e12) if _is_number(total) and total >= 0 else sum(known.values())
        ),
    }


def _started(entry: dict[str, Any]) -> float:
    try:
        moment = datetime.fromisoformat(_str(entry.get("startedDateTime"))).timestamp()
    except (ValueError, OverflowError, OSError):
        return time()
    return moment if 0 <= moment <= _LATEST else time()


def _size(found: Any, body: bytes) -> int:
    return found if isinstance(found, int) and 0 <= found < 2**62 else len(body)


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
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _header(side: SideRecord | None, wanted: str) -> str:
    return (
        next((value for name, value in side.headers if name.lower() == wanted), "") if side else ""
    )


def _json(body: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value == value
        and abs(value) < 1e15
    )


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
