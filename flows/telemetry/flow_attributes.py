"""Attributes of a flow's span, from its record and its redacted row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from flows.failure import DISCONNECTED, has_failed, is_error_status
from flows.models import Flow
from flows.telemetry import conventions as names
from flows.telemetry.content import content_of
from flows.telemetry.finished_flow import FinishedFlow
from flows.telemetry.otlp_span import (
    Value,
    encode_attributes,
    number_field,
    repeated_field,
    text_field,
)
from flows.telemetry.provider_names import operation_of, provider_name
from flows.telemetry.request_options import options_of
from flows.telemetry.response_summary import (
    EMPTY,
    ResponseSummary,
    summary_of_body,
    summary_of_messages,
)

MAX_TEXT_CHARS: Final = 4096
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
    """Name and attributes that many flows' spans have in common; the attributes are encoded.

    `operation` is "" for a flow that asked no model.
    """

    name: str
    encoded: bytes
    operation: str


_SHARED_COLUMNS: Final = attrgetter(
    "method",
    "client_url",
    "forwarded_url",
    "host",
    "path",
    "user_agent",
    "source",
    "provider",
    "provider_type",
    "action",
    "rule",
    "revision",
    "client_format",
    "provider_format",
    "requested_model",
    "sent_model",
    "credential_injected",
    "shape",
    "run_label",
    "is_stream",
    "is_websocket",
    "status_code",
)
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
            found = SharedAttributes(_span_name(row), encode_attributes(values), operation)
            self._shared[key] = found
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

    def own(self, flow: FinishedFlow, operation: str) -> bytes:
        """Return the attributes that differ from flow to flow, encoded."""
        row = flow.row
        encoded = [*_fields(row, _MEASURED), *_extra(flow)]
        if operation:
            encoded += _fields(row, _USAGE)
            encoded += _answered(flow)
            if self._conf.capture_content:
                encoded.append(encode_attributes(content_of(flow)))
        if row.error or has_failed(row):
            encoded.append(encode_attributes(_outcome(row)))
        return b"".join(encoded)


def _span_name(row: Flow) -> str:
    host = row.host or address_of(row.client_url).host
    return f"ccproxy.{names.INBOUND}.{row.method} {host}"


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


class _Columns(NamedTuple):
    """Columns of a row that are attributes as they are.

    Building a dictionary of them and encoding that takes four times as long.
    """

    read: Callable[[Flow], tuple[Any, ...]]
    encoders: tuple[Callable[[Any], bytes], ...]
    """One a column."""
    kept: tuple[bool, ...]
    """Whether a zero is a value; else it means the same as none."""


def _columns(*columns: tuple[str, Callable[[Any], bytes], bool]) -> _Columns:
    names_of_columns, encoders, kept = zip(*columns, strict=True)
    return _Columns(attrgetter(*names_of_columns), encoders, kept)


_ZERO_COUNTS, _ZERO_IS_NONE = True, False
_MEASURED: Final = _columns(
    ("id", text_field(names.FLOW_ID), _ZERO_IS_NONE),
    ("session_id", text_field(names.SESSION_ID), _ZERO_IS_NONE),
    ("session_id", text_field(names.SESSION_ID_IN_METADATA), _ZERO_IS_NONE),
    ("request_size_bytes", repeated_field(names.HTTP_REQUEST_SIZE), _ZERO_IS_NONE),
    ("response_size_bytes", repeated_field(names.HTTP_RESPONSE_SIZE), _ZERO_IS_NONE),
    ("duration_ms", number_field(names.DURATION_MS), _ZERO_COUNTS),
    ("first_byte_ms", number_field(names.FIRST_BYTE_MS), _ZERO_COUNTS),
    ("connect_ms", number_field(names.CONNECT_MS), _ZERO_COUNTS),
    ("cost_usd", number_field(names.COST_USD), _ZERO_COUNTS),
    ("event_count", repeated_field(names.EVENT_COUNT), _ZERO_IS_NONE),
)
_USAGE: Final = _columns(
    ("input_tokens", repeated_field(names.INPUT_TOKENS), _ZERO_COUNTS),
    ("output_tokens", repeated_field(names.OUTPUT_TOKENS), _ZERO_COUNTS),
    ("cache_read_tokens", repeated_field(names.CACHE_READ_TOKENS), _ZERO_COUNTS),
    ("cache_write_tokens", repeated_field(names.CACHE_WRITE_TOKENS), _ZERO_COUNTS),
    ("reasoning_tokens", repeated_field(names.REASONING_TOKENS), _ZERO_COUNTS),
)
_TTFT_MS: Final = number_field(names.TTFT_MS)
_FIRST_CHUNK: Final = number_field(names.RESPONSE_FIRST_CHUNK)
_CONVERSATION_ID: Final = text_field(names.CONVERSATION_ID)
_RESPONSE_ID: Final = text_field(names.RESPONSE_ID)
_RESPONSE_MODEL: Final = repeated_field(names.RESPONSE_MODEL)
_FINISH_REASONS: Final = repeated_field(names.RESPONSE_FINISH_REASONS)


def _fields(row: Flow, columns: _Columns) -> Iterator[bytes]:
    values = columns.read(row)
    for value, encode, is_kept in zip(values, columns.encoders, columns.kept, strict=True):
        if value or (is_kept and value is not None):
            yield encode(value)


def _extra(flow: FinishedFlow) -> Iterator[bytes]:
    """Yield what few flows have, and what is no column."""
    row, record = flow.row, flow.record
    if row.is_stream and row.first_event_ms is not None:
        yield _TTFT_MS(row.first_event_ms)
    if record.attempts or row.losses or record.messages:
        rare: dict[str, Value | None] = {
            names.RETRY_COUNT: len(record.attempts) - 1 if record.attempts else None,
            names.LOSSES: len(row.losses) or None,
            names.WEBSOCKET_MESSAGES: len(record.messages) or None,
        }
        yield encode_attributes(rare)


def _answered(flow: FinishedFlow) -> Iterator[bytes]:
    """Yield what the request's and the response's bodies say, and when the response began."""
    row = flow.row
    if row.is_stream and row.first_event_ms is not None:
        yield _FIRST_CHUNK(row.first_event_ms / 1000)
    if conversation := row.session_id or row.conversation_id:
        yield _CONVERSATION_ID(conversation)
    if options := options_of(flow.readable("forwarded") or flow.readable("client")):
        yield encode_attributes(options)
    response = _response_of(flow)
    if response.id:
        yield _RESPONSE_ID(response.id)
    if response.model:
        yield _RESPONSE_MODEL(response.model)
    if response.finish_reasons:
        yield _FINISH_REASONS(response.finish_reasons)


def is_failed(row: Flow) -> bool:
    """Return True for a flow whose span has the status ERROR."""
    if is_error_status(row.status_code):
        return True
    # A client may leave a response that it has.
    if row.error.startswith(DISCONNECTED) and row.status_code is not None:
        return False
    return has_failed(row)


def error_type(row: Flow) -> str:
    """Return the class of a flow's error; "" without one.

    A status (`503`), `client_disconnected`, `timeout`, or `_OTHER`.
    """
    if is_error_status(row.status_code):
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
    """Return what the response says about itself, without secrets."""
    if flow.record.is_websocket:
        messages = flow.record.messages
        found = summary_of_messages(m.content for m in messages if not m.from_client)
        # The record's messages have secrets; a readable body has none.
        return found._replace(id=flow.redact(found.id), model=flow.redact(found.model))
    if is_error_status(flow.row.status_code):
        return EMPTY
    return summary_of_body(flow.readable("upstream"))
