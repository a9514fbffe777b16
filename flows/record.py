"""Records of flows, as the proxy gives them to sinks: values without Django and mitmproxy. Pure.

A flow is recorded several times: when it is routed, every two seconds while it streams, and when it
ends. Each record is complete and replaces the one before.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Final, Literal, Protocol

from flows.lookup_method import LOOKUP as LOOKUP
from providers.base.value import value

Side = Literal["client", "forwarded", "upstream", "delivered"]
SIDES: tuple[Side, ...] = ("client", "forwarded", "upstream", "delivered")

Headers = tuple[tuple[str, str], ...]
"""Names and values in wire order, decoded as UTF-8 with surrogateescape."""

CAPTURED: Final = ("wireguard", "forward")
"""Sources of flows that were on their way to another host than the proxy."""


@value
class SideRecord:
    """One side of a flow as it was on the wire.

    `body` is None when there is none or it was not kept.
    """

    side: Side
    http_version: str = ""
    method: str = ""
    url: str = ""
    status_code: int | None = None
    reason: str = ""
    headers: Headers = ()
    trailers: Headers = ()
    body: bytes | None = None
    body_size_bytes: int = 0
    body_truncated: bool = False
    chunk_times: tuple[tuple[int, float], ...] = ()
    """(offset in bytes, milliseconds since the flow began) of every chunk of a stream."""


@value
class HookStep:
    """Run of one hook. Before and after are None where nothing changed."""

    stage: str
    hook: str
    outcome: Literal["ran", "skipped", "error"]
    reason: str = ""
    prepare_ms: float = 0.0
    apply_ms: float = 0.0
    changed: tuple[str, ...] = ()
    headers_before: Headers | None = None
    headers_after: Headers | None = None
    url_before: str = ""
    url_after: str = ""
    body_before: bytes | None = None
    body_after: bytes | None = None
    started_ms: float = 0.0
    """Milliseconds from the flow's beginning to the hook's, its preparation included."""
    origins: tuple[tuple[str, str], ...] = ()
    """(part, origin) of a request that took a shape: ("header:accept", "shape").

    An origin is client, shape, both, dropped, or the name of the inner hook that made the part.
    """


@value
class AttemptRecord:
    """One of several times that the proxy sent a flow's request.

    `number` counts from 1. `reason` tells why the attempt was made, "" for the first. `duration_ms`
    ends with the response; None while that is under way. `status_code` is None without a response,
    and `failure` then says why: `connect` or `timeout`. `wait_ms` is how long the proxy waited
    before it. Sizes are those of the bodies.
    """

    number: int
    reason: str
    started_at_ms: float
    duration_ms: float | None
    status_code: int | None
    host: str
    wait_ms: float = 0.0
    provider: str = ""
    model: str = ""
    failure: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def candidate(self) -> str:
        """Provider and model as one text."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


@value
class WebSocketRecord:
    """One websocket message."""

    seq: int
    at_ms: float
    from_client: bool
    is_text: bool
    content: bytes


@value
class FlowRecord:
    """Complete state of a flow at one moment.

    Times are seconds since the epoch, durations milliseconds.
    """

    id: str
    state: Literal["live", "done", "error"]
    started_at: float
    finished_at: float | None = None
    source: str = "reverse"
    method: str = ""
    host: str = ""
    path: str = ""
    client_url: str = ""
    forwarded_url: str = ""
    user_agent: str = ""
    client_format: str = ""
    provider_format: str = ""
    action: str = ""
    provider: str = ""
    provider_type: str = ""
    rule: str = ""
    rule_id: int | None = None
    route: str = ""
    revision: int = 0
    requested_model: str = ""
    sent_model: str = ""
    session_id: str = ""
    conversation_id: str = ""
    question: str | None = None
    """The user's last text, if the proxy has read the request (see `flows.reading.search_text`).

    The writer then need not read 1 MB again.
    """
    tool_result: str = ""
    """The tool results that it ends with, read together with `question`."""
    credential_injected: bool = False
    shape: str = ""
    """Version of the shape that the request took, such as "anthropic v3"."""
    shape_problem: str = ""
    """Why it took none, or was not signed, although it should."""
    run_label: str = ""
    """Name of the captured command."""
    run_command: str = ""
    """Command line of the captured command."""
    ja3: str = ""
    ja3_full: str = ""
    ja4: str = ""
    ja4_r: str = ""
    """JA4 with the lists themselves."""
    status_code: int | None = None
    is_stream: bool = False
    is_websocket: bool = False
    error: str = ""
    connect_ms: float | None = None
    first_byte_ms: float | None = None
    first_event_ms: float | None = None
    duration_ms: float | None = None
    event_count: int = 0
    losses: tuple[tuple[str, str], ...] = ()
    sides: tuple[SideRecord, ...] = ()
    hooks: tuple[HookStep, ...] = ()
    attempts: tuple[AttemptRecord, ...] = ()
    """Empty when the request was sent once."""
    messages: tuple[WebSocketRecord, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


@value
class FlowDelta:
    """New bytes of a running response as the client receives them.

    `offset` counts the bytes before them.
    """

    flow_id: str
    offset: int
    data: bytes
    at_ms: float


def without_bodies(record: FlowRecord) -> FlowRecord:
    """Return the record with its headers alone."""
    sides = [replace(side, body=None) for side in record.sides]
    hooks: list[HookStep] = []
    for step in record.hooks:
        hooks.append(replace(step, body_before=None, body_after=None))
    return replace(record, sides=tuple(sides), hooks=tuple(hooks), messages=())


class Sink(Protocol):
    """Receiver of records.

    Called on the proxy's event loop: every method returns at once and never raises.
    """

    def started(self, record: FlowRecord) -> None:
        """Take the record of a request that is routed and about to leave."""

    def delta(self, delta: FlowDelta) -> None:
        """Take a chunk of the response."""

    def progress(self, record: FlowRecord) -> None:
        """Take the record of a running stream, about every two seconds."""

    def finished(self, record: FlowRecord) -> None:
        """Take the last record of a flow, successful or not."""


class FanOut:
    """Sink that gives everything to several others."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def started(self, record: FlowRecord) -> None:
        for sink in self._sinks:
            sink.started(record)

    def delta(self, delta: FlowDelta) -> None:
        for sink in self._sinks:
            sink.delta(delta)

    def progress(self, record: FlowRecord) -> None:
        for sink in self._sinks:
            sink.progress(record)

    def finished(self, record: FlowRecord) -> None:
        for sink in self._sinks:
            sink.finished(record)
