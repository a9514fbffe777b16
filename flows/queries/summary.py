"""A flow as JSON: mitmweb's field names where they exist, ours on top. Used by the REST API and
`flows list --json`.

mitmweb's names as of mitmproxy 12.2 (`mitmproxy/tools/web/app.py`, `flow_to_json`). `request` is
what left the proxy, `response` what the client received; the four sides by their own names are in
the detailed form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from flows.models import Flow
from flows.sides import FlowSide, HookTrace

_OWN_FIELDS = (
    "state", "source", "client_url", "forwarded_url", "user_agent", "client_format",
    "provider_format", "action",
    "provider", "provider_type", "rule", "rule_id", "route", "revision", "requested_model",
    "sent_model", "session_id",
    "conversation_id", "credential_injected", "is_stream", "is_websocket", "hooks_changed",
    "connect_ms",
    "first_byte_ms", "first_event_ms", "duration_ms", "request_size_bytes", "response_size_bytes",
    "event_count",
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "price_version", "losses", "bodies_dropped", "pinned", "run_label", "run_command", "ja3",
    "ja3_full", "ja4",
)  # fmt: skip
_SIDE_FIELDS = (
    "http_version", "method", "url", "status_code", "reason", "headers", "body_digest",
    "body_size_bytes",
    "body_truncated", "body_redacted", "body_decoded", "trailers", "chunk_times",
)  # fmt: skip
_NO_SIDES: Mapping[str, FlowSide] = {}
_TRACE_FIELDS = (
    "seq", "stage", "hook", "outcome", "reason", "prepare_ms", "apply_ms", "started_ms", "changed",
    "headers_before", "headers_after",
    "url_before", "url_after",
)  # fmt: skip


def flow_summary(flow: Flow, sides: Mapping[str, FlowSide] = _NO_SIDES) -> dict[str, Any]:
    """A flow with the heads of what left the proxy and what the client received.

    No bodies, no queries.
    """
    return {
        "id": flow.pk,
        "type": {"DNS": "dns", "TCP": "tcp", "TLS": "tcp", "UDP": "udp"}.get(flow.method, "http"),
        "timestamp_created": flow.started_at.timestamp(),
        "client_conn": {"id": "", "address": None},
        "server_conn": _server_conn(flow),
        "request": _request(flow, sides.get("forwarded") or sides.get("client")),
        "response": _response(flow, sides.get("delivered") or sides.get("upstream")),
        "error": (
            {"msg": flow.error, "timestamp": _seconds(flow.finished_at)} if flow.error else None
        ),
        "comment": "",
        "marked": "",
        "modified": bool(flow.hooks_changed),
        "intercepted": False,
        "is_replay": None,
        "started_at": flow.started_at.isoformat(),
        "finished_at": flow.finished_at.isoformat() if flow.finished_at else None,
        **{name: getattr(flow, name) for name in _OWN_FIELDS},
        "cost_usd": None if flow.cost_usd is None else float(flow.cost_usd),
    }


def flow_detail_json(
    flow: Flow, sides: Mapping[str, FlowSide], traces: Iterable[HookTrace]
) -> dict[str, Any]:
    """The summary with all four sides' heads and what each hook did."""
    return {
        **flow_summary(flow, sides),
        "sides": {name: _side(side) for name, side in sides.items()},
        "hooks": [{name: getattr(trace, name) for name in _TRACE_FIELDS} for trace in traces],
    }


def _side(side: FlowSide) -> dict[str, Any]:
    return {name: getattr(side, name) for name in _SIDE_FIELDS}


def _server_conn(flow: Flow) -> dict[str, Any]:
    place = _place(flow.forwarded_url)
    return {"id": "", "address": [place["host"], place["port"]] if flow.forwarded_url else None}


def _request(flow: Flow, side: FlowSide | None) -> dict[str, Any]:
    url = (side.url if side else "") or flow.forwarded_url or flow.client_url
    place = _place(url)
    started = flow.started_at.timestamp()
    headers = side.headers if side else []
    return {
        "method": (side.method if side else "") or flow.method,
        "scheme": place["scheme"],
        "host": place["host"] or flow.host,
        "port": place["port"],
        "path": place["path"] or flow.path,
        "http_version": side.http_version if side else "",
        "headers": headers,
        "contentLength": side.body_size_bytes if side else None,
        "contentHash": (side.body_digest or None) if side else None,
        "timestamp_start": started,
        "timestamp_end": started,
        "pretty_host": _host_header(headers) or place["host"] or flow.host,
    }


def _response(flow: Flow, side: FlowSide | None) -> dict[str, Any] | None:
    if side is None and flow.status_code is None:
        return None
    first_byte_s = (
        None
        if flow.first_byte_ms is None
        else flow.started_at.timestamp() + flow.first_byte_ms / 1000
    )
    return {
        "status_code": flow.status_code if side is None else side.status_code,
        "reason": side.reason if side else "",
        "http_version": side.http_version if side else "",
        "headers": side.headers if side else [],
        "contentLength": side.body_size_bytes if side else None,
        "contentHash": (side.body_digest or None) if side else None,
        "timestamp_start": first_byte_s,
        "timestamp_end": _seconds(flow.finished_at),
    }


def _place(url: str) -> dict[str, Any]:
    """Scheme, host, port and path with query of a URL; what is not there is empty or None."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return {"scheme": "", "host": "", "port": None, "path": ""}
    default_port = {"https": 443, "http": 80, "wss": 443, "ws": 80}.get(parts.scheme)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return {"scheme": parts.scheme, "host": host, "port": port or default_port, "path": path}


def _host_header(headers: Iterable[Any]) -> str:
    value = next((line[1] for line in headers if line[0].lower() in ("host", ":authority")), "")
    return str(value).rsplit(":", 1)[0] if not value.endswith("]") else str(value)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
