"""Attributes of a flow's span, from its record and its redacted row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from flows.models import Flow
from flows.telemetry import conventions as names
from flows.telemetry.content import content_of
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.otlp_span import Value, encode_attributes
from flows.telemetry.provider_names import operation_of, provider_name
from flows.telemetry.request_options import options_of
from flows.telemetry.response_summary import (
    EMPTY,
    ResponseSummary,
    summary_of_body,
    summary_of_messages,
)

MAX_TEXT_CHARS: Final = 4096
DISCONNECTED: Final = "Client disconnected"
"""Beginning of the error of a flow whose client went away."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class SpanConf:
    """Settings of the spans.

    `provider_map` gives hosts their `gen_ai.system`; `legacy_names` adds deprecated attributes;
    `capture_content` adds prompts and responses.
    """

    provider_map: Mapping[str, str] = field(default_factory=dict)
    legacy_names: bool = True
    capture_content: bool = False


class Address(NamedTuple):
    """Parts of a URL; port 0 if it names none and its scheme has no usual one."""

    scheme: str
    host: str
    port: int
    path: str


@lru_cache(maxsize=256)
def address_of(url: str) -> Address:
    """Return the parts of a URL; empty ones where it is malformed."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return Address("", "", 0, "")
    return Address(parts.scheme, parts.hostname or "", port, parts.path)


class SharedAttributes(NamedTuple):
    """Attributes that many flows have in common, encoded.

    `operation` is "" for a flow that asked no model.
    """

    encoded: bytes
    operation: str


_SHARED_COLUMNS: Final = attrgetter(
    "method", "client_url", "forwarded_url", "host", "path", "user_agent", "source", "provider",
    "provider_type", "action", "rule", "revision", "client_format", "provider_format",
    "requested_model", "sent_model", "credential_injected", "shape", "run_label", "is_stream",
    "is_websocket", "status_code",
)  # fmt: skip
_MAX_SHARED: Final = 1024


class FlowAttributes:
    """Maker of the attributes of flows' spans.

    Half of them repeat from flow to flow of a client; they are encoded once. Not thread-safe.
    """

    def __init__(self, conf: SpanConf) -> None:
        self._conf = conf
        self._shared: dict[Any, SharedAttributes] = {}

    def shared(self, row: Flow) -> SharedAttributes:
        """Return the attributes that depend on the row's `_SHARED_COLUMNS` alone."""
        key = (_SHARED_COLUMNS(row), tuple(row.hooks_changed))
        found = self._shared.get(key)
        if found is None:
            if len(self._shared) >= _MAX_SHARED:
                self._shared.clear()
            operation = operation_of(row.path, row.client_format, is_websocket=row.is_websocket)
            values = {**_http(row), **_ccproxy(row), **self._genai(row, operation)}
            found = self._shared[key] = SharedAttributes(encode_attributes(values), operation)
        return found

    def _genai(self, row: Flow, operation: str) -> dict[str, Value | None]:
        if not operation:
            return {}
        values: dict[str, Value | None] = {
            names.OPERATION: operation,
            names.PROVIDER_NAME: provider_name(row.host, row.provider_type, row.provider_format),
            names.REQUEST_MODEL: row.sent_model or row.requested_model,
            names.REQUEST_STREAM: row.is_stream or None,
        }
        if self._conf.legacy_names:
            values[names.SYSTEM] = self._conf.provider_map.get(row.host, row.host)
        return values

    def own(self, flow: FinishedFlow, operation: str) -> dict[str, Value | None]:
        """Return the attributes that differ from flow to flow."""
        row = flow.row
        values = _measured(flow)
        if operation:
            values |= _usage(row)
            values |= _answered(flow)
            if self._conf.capture_content:
                values |= content_of(flow)
        if row.error or (row.status_code or 0) >= 400 or row.state == Flow.State.ERROR:
            values |= _outcome(row)
        return values


def _http(row: Flow) -> dict[str, Value | None]:
    client = address_of(row.client_url)
    # The server behind the proxy, as the GenAI conventions want it; for a flow that the proxy
    # answered itself the proxy.
    server = address_of(row.forwarded_url) if row.forwarded_url else client
    return {
        names.HTTP_METHOD: row.method,
        names.URL_FULL: row.client_url[:MAX_TEXT_CHARS],
        names.URL_SCHEME: client.scheme,
        names.URL_PATH: client.path[:MAX_TEXT_CHARS],
        names.SERVER_ADDRESS: (server.host or row.host)[:MAX_TEXT_CHARS],
        names.SERVER_PORT: server.port or None,
        names.HTTP_STATUS: row.status_code,
        names.USER_AGENT: row.user_agent,
    }


def _ccproxy(row: Flow) -> dict[str, Value | None]:
    return {
        names.DIRECTION: names.INBOUND,
        names.SOURCE: row.source,
        names.PROVIDER: row.provider,
        names.PROVIDER_TYPE: row.provider_type,
        names.ACTION: row.action,
        names.RULE: row.rule,
        names.REVISION: row.revision or None,
        names.CLIENT_FORMAT: row.client_format,
        names.PROVIDER_FORMAT: row.provider_format,
        names.REQUESTED_MODEL: row.requested_model,
        names.CREDENTIAL_INJECTED: row.credential_injected or None,
        names.SHAPE: row.shape,
        names.HOOKS_CHANGED: tuple(row.hooks_changed),
        names.RUN: row.run_label,
    }


def _measured(flow: FinishedFlow) -> dict[str, Value | None]:
    row, record = flow.row, flow.record
    return {
        names.FLOW_ID: row.id,
        names.SESSION_ID: row.session_id,
        names.SESSION_ID_IN_METADATA: row.session_id,
        names.HTTP_REQUEST_SIZE: row.request_size_bytes or None,
        names.HTTP_RESPONSE_SIZE: row.response_size_bytes or None,
        names.DURATION_MS: row.duration_ms,
        names.FIRST_BYTE_MS: row.first_byte_ms,
        names.TTFT_MS: row.first_event_ms if row.is_stream else None,
        names.CONNECT_MS: row.connect_ms,
        names.RETRY_COUNT: len(record.attempts) - 1 if record.attempts else None,
        names.LOSSES: len(row.losses) or None,
        names.COST_USD: None if row.cost_usd is None else float(row.cost_usd),
        names.EVENT_COUNT: row.event_count or None,
        names.WEBSOCKET_MESSAGES: len(record.messages) or None,
    }


def _usage(row: Flow) -> dict[str, Value | None]:
    is_timed = row.is_stream and row.first_event_ms is not None
    return {
        names.CONVERSATION_ID: row.session_id or row.conversation_id,
        names.RESPONSE_FIRST_CHUNK: (row.first_event_ms or 0.0) / 1000 if is_timed else None,
        names.INPUT_TOKENS: row.input_tokens,
        names.OUTPUT_TOKENS: row.output_tokens,
        names.CACHE_READ_TOKENS: row.cache_read_tokens,
        names.CACHE_WRITE_TOKENS: row.cache_write_tokens,
        names.REASONING_TOKENS: row.reasoning_tokens,
    }


def _answered(flow: FinishedFlow) -> dict[str, Value | None]:
    """Return what the request's and the response's bodies say."""
    response = _response_of(flow)
    options = options_of(flow.readable("forwarded") or flow.readable("client"))
    return {
        **options,
        names.RESPONSE_ID: flow.redact(response.id),
        names.RESPONSE_MODEL: flow.redact(response.model),
        names.RESPONSE_FINISH_REASONS: response.finish_reasons,
    }


def is_failed(row: Flow) -> bool:
    """Return True for a flow whose span has the status ERROR."""
    if row.status_code is not None and row.status_code >= 400:
        return True
    if row.error.startswith(DISCONNECTED) and row.status_code is not None:
        return False
    return row.state == Flow.State.ERROR or bool(row.error)


def error_type(row: Flow) -> str:
    """Return the class of a flow's error; "" without one.

    A status (`503`), `client_disconnected`, `timeout`, or `_OTHER`.
    """
    if row.status_code is not None and row.status_code >= 400:
        return str(row.status_code)
    if row.error.startswith(DISCONNECTED):
        return "client_disconnected"
    if not is_failed(row):
        return ""
    return "timeout" if "timed out" in row.error or "silent" in row.error else names.ERROR_OTHER


def _outcome(row: Flow) -> dict[str, Value | None]:
    is_gone = row.error.startswith(DISCONNECTED) and row.status_code is not None
    return {
        names.ERROR_TYPE: error_type(row),
        names.CLIENT_DISCONNECTED: is_gone or None,
        names.ERROR_MESSAGE: "" if is_gone else row.error[:MAX_TEXT_CHARS],
    }


def _response_of(flow: FinishedFlow) -> ResponseSummary:
    if flow.record.is_websocket:
        messages = flow.record.messages
        return summary_of_messages(m.content for m in messages if not m.from_client)
    if flow.row.status_code is not None and flow.row.status_code >= 400:
        return EMPTY
    return summary_of_body(flow.readable("upstream"))
