"""HAR files of any tool (Chrome, Firefox, Charles, Proxyman, our own) as captured flows. Pure.

An entry of another tool is one flow, whose request counts both as sent by the client and as
forwarded. Of our own files the two entries of a page become the four sides again. The reader leaves
out fields that are missing or have a wrong type. Example, of another tool:

    {"request": {"method": "GET", "url": "https://a.example/x"}, "response": {"status": 200}}

becomes a flow with the sides client and forwarded (GET /x), upstream and delivered (200).
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Final

from flows.export.har import CREATOR
from flows.imports import har_messages
from flows.imports.capture_file import CaptureError
from flows.imports.capture_time import in_file_order, moment_of
from flows.imports.captured_flow import CapturedFlow
from flows.imports.har_body import own_body, request_body, response_body
from flows.imports.har_facts import (
    derived_facts,
    header_of,
    host_of,
    known_columns,
    known_facts,
    path_of,
    stream_facts,
    timing_of,
)
from flows.imports.loose_json import (
    count_of,
    dict_of,
    is_number,
    list_of,
    shown_text_of,
    text_of,
)
from flows.record import FlowRecord, Headers, Side, SideRecord

SOURCE: Final = "import"
NAMESPACE: Final = uuid.UUID("5f2d3b1e-8f6b-4d8e-9d56-4c6f2a1b7e90")
_STATES: Final = ("done", "error")
_SIDES: Final = ("client", "forwarded", "upstream", "delivered")


@dataclass(slots=True)
class _Group:
    """The entries of one flow, and its page in a file of our own.

    `moment` is its start as the file has it; `copy` counts equal entries before it.
    """

    flow_id: str
    entries: list[dict[str, Any]]
    moment: float | None = None
    copy: int = 0


def records_of_har(data: Any) -> Iterator[CapturedFlow | None]:
    """Yield the flows of a parsed HAR in its order; None for an entry without a request.

    Raises:
        CaptureError: there is no `log.entries`.
    """
    log = dict_of(dict_of(data).get("log"))
    entries = log.get("entries")
    if not isinstance(entries, list):
        raise CaptureError("This is not a HAR: it has no log.entries.")
    creator = dict_of(log.get("creator"))
    is_ours = creator.get("name") == CREATOR
    pages = {}
    for value in list_of(log.get("pages")):
        page = dict_of(value)
        pages[shown_text_of(page.get("id"))] = page
    flows = [entry for entry in entries if _is_flow(entry)]
    groups = list(_groups(flows, is_ours=is_ours))
    for group in groups:
        group.moment = moment_of(group.entries[0].get("startedDateTime"))
    starts = in_file_order([group.moment for group in groups], time())
    copies: Counter[str] = Counter()
    for group, started_at in zip(groups, starts, strict=True):
        flow_id = _id(group, copies)
        yield _captured(group, pages.get(group.flow_id, {}), flow_id, started_at)
    for _ in range(len(entries) - len(flows)):
        yield None


def _is_flow(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("request"), dict)


def _groups(entries: Sequence[dict[str, Any]], *, is_ours: bool) -> Iterator[_Group]:
    """Group the entries of each flow, in the order of the first ones.

    Each entry of another tool is a group of its own, without an id.
    """
    ours: dict[str, _Group] = {}
    groups: list[_Group] = []
    for entry in entries:
        flow_id = None
        if is_ours:
            flow_id = dict_of(entry.get("_ccproxy")).get("flow")
        if isinstance(flow_id, str) and flow_id in ours:
            ours[flow_id].entries.append(entry)
            continue
        group = _Group("", [entry])
        groups.append(group)
        if isinstance(flow_id, str):
            group.flow_id = flow_id
            ours[flow_id] = group
    yield from groups


def _captured(group: _Group, page: dict[str, Any], flow_id: str, started_at: float) -> CapturedFlow:
    first = group.entries[0]
    sides = tuple(_own_sides(group.entries) if group.flow_id else _foreign_sides(group))
    by_name = {side.side: side for side in sides}
    client = by_name.get("client", sides[0])
    forwarded = by_name.get("forwarded", client)
    response = by_name.get("delivered")
    timing = timing_of(first)
    own_facts = dict_of(page.get("_ccproxy"))
    facts = derived_facts(client, first, response) | stream_facts(first, response)
    facts |= timing._asdict()
    facts |= known_facts(own_facts)
    state = facts.pop("state")
    record = FlowRecord(
        id=flow_id,
        state=state if state in _STATES else "error",
        started_at=started_at,
        finished_at=started_at + timing.duration_ms / 1000,
        source=SOURCE,
        method=client.method,
        host=host_of(forwarded.url),
        path=path_of(client.url),
        client_url=client.url,
        forwarded_url=forwarded.url,
        user_agent=header_of(client, "user-agent"),
        status_code=response.status_code if response else None,
        sides=sides,
        messages=tuple(har_messages.websocket_messages(first, group.moment)),
        **facts,
    )
    has_time = group.moment is not None
    return CapturedFlow(record, has_time=has_time, columns=known_columns(own_facts))


def _id(group: _Group, copies: Counter[str]) -> str:
    """Return our own id, or one that every import of this entry gives again.

    Entries of a file may be equal: requests of a loop, without times.
    """
    try:
        return str(uuid.UUID(group.flow_id))
    except ValueError:
        content = _canonical(group.entries)
    copies[content] += 1
    if copies[content] > 1:
        content = f"{content}#{copies[content]}"
    return str(uuid.uuid5(NAMESPACE, content))


def _canonical(entries: Sequence[dict[str, Any]]) -> str:
    try:
        return json.dumps(entries, sort_keys=True)
    except RecursionError:
        raise CaptureError("An entry of this HAR is nested too deeply.") from None


def _own_sides(entries: Sequence[dict[str, Any]]) -> Iterator[SideRecord]:
    """Yield every side that the file names, once.

    An entry whose side was missing shows its counterpart, under the counterpart's name.
    """
    seen: set[str] = set()
    for entry in entries:
        names = dict_of(entry.get("_ccproxy"))
        request_side = names.get("request")
        if request_side in _SIDES and request_side not in seen:
            seen.add(request_side)
            yield _request(entry, request_side, is_ours=True)
        response_side = names.get("response")
        if response_side in _SIDES and response_side not in seen:
            seen.add(response_side)
            yield _own_response(entry, response_side)
    if not seen:
        yield _request(entries[0], "client", is_ours=True)


def _foreign_sides(group: _Group) -> Iterator[SideRecord]:
    entry = group.entries[0]
    yield _request(entry, "client")
    yield _request(entry, "forwarded")
    response = _response(entry, "upstream", group.moment)
    # Browsers write a status of 0 for a request without a response, and what came before it failed.
    if response.status_code or response.body:
        yield response
        yield _response(entry, "delivered", group.moment)


def _request(entry: dict[str, Any], side: Side, *, is_ours: bool = False) -> SideRecord:
    request = dict_of(entry.get("request"))
    headers = _headers(request)
    if is_ours:
        body = own_body(request, dict_of(request.get("postData")))
    else:
        body = request_body(request, _by_name(headers))
    return SideRecord(
        side=side,
        http_version=text_of(request.get("httpVersion"))[:10],
        method=text_of(request.get("method"))[:32] or "GET",
        url=text_of(request.get("url")),
        headers=headers,
        body=body.data,
        body_size_bytes=body.size_bytes,
        body_truncated=body.truncated,
    )


def _own_response(entry: dict[str, Any], side: Side) -> SideRecord:
    response = dict_of(entry.get("response"))
    body = own_body(response, dict_of(response.get("content")))
    return SideRecord(
        side=side,
        body=body.data,
        body_size_bytes=body.size_bytes,
        body_truncated=body.truncated,
        chunk_times=tuple(_chunk_times(response.get("_chunkTimes"))),
        **_start_line(response),
        headers=_headers(response),
    )


def _response(entry: dict[str, Any], side: Side, moment: float | None) -> SideRecord:
    response = dict_of(entry.get("response"))
    headers = _headers(response)
    method = text_of(dict_of(entry.get("request")).get("method")).upper()
    events = har_messages.event_body(entry, moment)
    body = response_body(
        response, _by_name(headers), is_bodiless=method == "HEAD", streamed=events.data
    )
    return SideRecord(
        side=side,
        body=body.data,
        body_size_bytes=body.size_bytes,
        body_truncated=body.truncated,
        chunk_times=events.times if body.data == events.data else (),
        **_start_line(response),
        headers=headers,
    )


def _start_line(response: dict[str, Any]) -> dict[str, Any]:
    status = count_of(response.get("status"))
    return {
        "http_version": text_of(response.get("httpVersion"))[:10],
        "status_code": status if status and 100 <= status <= 999 else None,
        "reason": text_of(response.get("statusText"))[:255],
    }


def _headers(message: dict[str, Any]) -> Headers:
    """Return the headers: a list of names and values, or an object of them."""
    lines: list[tuple[Any, Any]] = list(dict_of(message.get("headers")).items())
    for value in list_of(message.get("headers")):
        line = dict_of(value)
        lines.append((line.get("name"), line.get("value")))
    headers = []
    for name, value in lines:
        if text_of(name):
            headers.append((text_of(name), shown_text_of(value)))
    return tuple(headers)


def _by_name(headers: Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _chunk_times(value: Any) -> Iterator[tuple[int, float]]:
    for pair in list_of(value):
        match pair:
            case [int(offset), at_ms] if is_number(at_ms):
                yield offset, float(at_ms)
