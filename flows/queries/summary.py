"""A flow as JSON for REST and `flows list --json`: mitmweb's field names, and ours.

mitmweb's names are those of mitmproxy 12.2 (`mitmproxy/tools/web/app.py`, `flow_to_json`).
`request` is what left the proxy, `response` what the client received. The four sides by their own
names are in the detailed form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from flows.models import Flow
from flows.record import AttemptRecord
from flows.sides import FlowSide, HookTrace

OWN_FIELDS: Final = (
    "state", "source", "client_url", "forwarded_url", "user_agent", "client_format",
    "provider_format", "action", "provider", "provider_type", "rule", "rule_id", "route",
    "revision", "requested_model", "sent_model", "session_id", "conversation_id",
    "credential_injected", "is_stream", "is_websocket", "hooks_changed", "connect_ms",
    "first_byte_ms", "first_event_ms", "duration_ms", "request_size_bytes", "response_size_bytes",
    "event_count", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "price_version", "losses", "bodies_dropped", "pinned", "run_label",
    "run_command", "ja3", "ja3_full", "ja4", "ja4_r", "shape",
    "shape_problem", "asked", "tool_result", "said",
)  # fmt: skip
"""Columns of a flow that mitmweb does not have, under their own names."""
_SIDE_FIELDS: Final = (
    "http_version", "method", "url", "status_code", "reason", "headers", "body_digest",
    "body_size_bytes", "body_truncated", "body_redacted", "body_decoded", "trailers", "chunk_times",
)  # fmt: skip
_TRACE_FIELDS: Final = (
    "seq", "stage", "hook", "outcome", "reason", "prepare_ms", "apply_ms", "started_ms", "changed",
    "headers_before", "headers_after", "url_before", "url_after", "origins",
)  # fmt: skip
_NO_SIDES: Final[Mapping[str, FlowSide]] = {}
_MITMWEB_TYPES: Final = {"DNS": "dns", "TCP": "tcp", "TLS": "tcp", "UDP": "udp"}
_DEFAULT_PORTS: Final = {"https": 443, "http": 80, "wss": 443, "ws": 80}


class _Address(NamedTuple):
    """A URL in parts; a missing part is empty or None. `path` includes the query."""

    scheme: str = ""
    host: str = ""
    port: int | None = None
    path: str = ""


def flow_summary(flow: Flow, sides: Mapping[str, FlowSide] = _NO_SIDES) -> dict[str, Any]:
    """Return a flow with the headers of the forwarded request and the delivered response.

    No bodies, no queries.
    """
    request_side = sides.get("forwarded") or sides.get("client")
    response_side = sides.get("delivered") or sides.get("upstream")
    finished_at = flow.finished_at
    error = None
    if flow.error:
        error = {"msg": flow.error, "timestamp": _seconds(finished_at)}
    own_fields = {name: getattr(flow, name) for name in OWN_FIELDS}
    return {
        "id": flow.pk,
        "type": _MITMWEB_TYPES.get(flow.method, "http"),
        "timestamp_created": flow.started_at.timestamp(),
        "client_conn": {"id": "", "address": None},
        "server_conn": _server_conn(flow),
        "request": _request(flow, request_side),
        "response": _response(flow, response_side),
        "error": error,
        "comment": "",
        "marked": "",
        "modified": bool(flow.hooks_changed),
        "intercepted": False,
        "is_replay": None,
        "started_at": flow.started_at.isoformat(),
        "finished_at": None if finished_at is None else finished_at.isoformat(),
        **own_fields,
        "cost_usd": None if flow.cost_usd is None else float(flow.cost_usd),
    }


def flow_detail_json(
    flow: Flow,
    sides: Mapping[str, FlowSide],
    traces: Iterable[HookTrace],
    attempts: Iterable[AttemptRecord],
) -> dict[str, Any]:
    """Return the summary with the headers of all four sides, each hook's trace and each attempt."""
    return {
        **flow_summary(flow, sides),
        "sides": {name: _fields(side, _SIDE_FIELDS) for name, side in sides.items()},
        "hooks": [_fields(trace, _TRACE_FIELDS) for trace in traces],
        "attempts": [asdict(attempt) for attempt in attempts],
    }


def _fields(part: FlowSide | HookTrace, names: Sequence[str]) -> dict[str, Any]:
    fields = {}
    for name in names:
        fields[name] = getattr(part, name)
    return fields


def _server_conn(flow: Flow) -> dict[str, Any]:
    if not flow.forwarded_url:
        return {"id": "", "address": None}
    address = _address(flow.forwarded_url)
    return {"id": "", "address": [address.host, address.port]}


def _request(flow: Flow, recorded: FlowSide | None) -> dict[str, Any]:
    # A list without sides loads no headers; the row has the rest.
    side = recorded or FlowSide("")
    address = _address(side.url or flow.forwarded_url or flow.client_url)
    host = address.host or flow.host
    started = flow.started_at.timestamp()
    return {
        "method": side.method or flow.method,
        "scheme": address.scheme,
        "host": host,
        "port": address.port,
        "path": address.path or flow.path,
        "http_version": side.http_version,
        "headers": side.headers,
        "contentLength": None if recorded is None else side.body_size_bytes,
        "contentHash": side.body_digest or None,
        "timestamp_start": started,
        "timestamp_end": started,
        "pretty_host": _host_header(side.headers) or host,
    }


def _response(flow: Flow, recorded: FlowSide | None) -> dict[str, Any] | None:
    if recorded is None and flow.status_code is None:
        return None
    side = recorded or FlowSide("", status_code=flow.status_code)
    first_byte_s = None
    if flow.first_byte_ms is not None:
        first_byte_s = flow.started_at.timestamp() + flow.first_byte_ms / 1000
    return {
        "status_code": side.status_code,
        "reason": side.reason,
        "http_version": side.http_version,
        "headers": side.headers,
        "contentLength": None if recorded is None else side.body_size_bytes,
        "contentHash": side.body_digest or None,
        "timestamp_start": first_byte_s,
        "timestamp_end": _seconds(flow.finished_at),
    }


def _address(url: str) -> _Address:
    """Divide a URL: "https://a.example/x?y=1" → https, a.example, 443, /x?y=1."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return _Address()
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return _Address(parts.scheme, host, port, path)


def _host_header(headers: Iterable[Sequence[str]]) -> str:
    """Return the Host header without its port: "[::1]:8080" → "[::1]"."""
    for line in headers:
        if line[0].lower() in ("host", ":authority"):
            value = str(line[1])
            # An IPv6 address without a port ends with its bracket, and has colons too.
            return value if value.endswith("]") else value.rsplit(":", 1)[0]
    return ""


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return moment.timestamp()
