"""Turns a hand-over into rows of the database: secrets cut out, bodies packed, texts that every database accepts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache

from django.db import models

from flows.decode import decode
from flows.metering import meter
from flows.models import Flow, FlowBody, FlowSide, HookTrace, WebSocketMessage
from flows.packed import PackedBody
from flows.packing import Packer, Stored
from flows.record import FlowRecord, Headers, HookStep, SideRecord, WebSocketRecord
from flows.redact import RedactedBody, Redactor
from flows.search_text import search_text
from flows.upsert import bare
from providers.prices import OwnPrice

_ROW_BYTES = 1024


@dataclass(frozen=True, slots=True)
class FlowRows:
    """Everything to write for one hand-over."""

    flow: Flow
    sides: list[FlowSide]
    hooks: list[HookTrace]
    messages: list[WebSocketMessage]
    bodies: dict[str, PackedBody]
    message_count: int
    """Messages of the flow so far, with those left out here because they are written already."""

    @property
    def own_digests(self) -> set[str]:
        """Digests that sides and hooks refer to; a later hand-over may refer to others instead."""
        sides = {side.body_digest for side in self.sides}
        return (sides | {digest for hook in self.hooks for digest in (hook.body_before, hook.body_after)}) - {""}

    @property
    def held_bytes(self) -> int:
        """About how much memory the rows need."""
        rows = 1 + len(self.sides) + len(self.hooks) + len(self.messages)
        return rows * _ROW_BYTES + sum(len(body.blob) for body in self.bodies.values())


@dataclass(slots=True)
class _Kept:
    """The bodies of one hand-over, by digest and by side, and its headers without secrets."""

    packed: dict[str, PackedBody] = field(default_factory=dict)
    sides: dict[str, Stored] = field(default_factory=dict)
    headers: dict[int, list[list[str]]] = field(default_factory=dict)

    def near(self, *sides: str) -> list[Stored]:
        """What a body may be a variant of."""
        return [self.sides[side] for side in sides if side in self.sides]


class RowBuilder:
    """Builds rows out of hand-overs. Not thread-safe: it belongs to the writer's thread."""

    def __init__(self, redactor: Redactor, own_prices: Callable[[], Sequence[OwnPrice]] = tuple) -> None:
        self._redactor = redactor
        self._bodies = Packer(redactor)
        self._own_prices = own_prices

    def build(self, record: FlowRecord, *, bodies_dropped: bool = False, written_messages: int = 0) -> FlowRows:
        """Rows of one hand-over; the first `written_messages` websocket messages are left out."""
        self._learn(record)
        kept = _Kept()
        sides = [self._side(record, side, kept) for side in record.sides]
        hooks = [self._hook(record, seq, step, kept) for seq, step in enumerate(record.hooks)]
        messages = [self._message(record, message, kept) for message in record.messages[written_messages:]]
        flow = self._flow(record, bodies_dropped)
        flow.search_text = self._search_text(record)
        if record.state != "live":
            meter(flow, record, self._readable(record, "upstream"), self._own_prices())
        return FlowRows(flow, sides, hooks, messages, kept.packed, max(written_messages, len(record.messages)))

    def _learn(self, record: FlowRecord) -> None:
        for side in record.sides:
            self._redactor.learn(side.headers)
            self._redactor.learn_url(side.url)

    def _flow(self, record: FlowRecord, bodies_dropped: bool) -> Flow:
        texts = {name: self._text(getattr(record, name)) for name in _FLOW_TEXTS}
        urls = {name: self._url(getattr(record, name)) for name in ("path", "client_url", "forwarded_url")}
        plain = {name: getattr(record, name) for name in _FLOW_PLAIN}
        flow = bare(
            Flow,
            **texts,
            **urls,
            **plain,
            started_at=datetime.fromtimestamp(record.started_at, UTC),
            finished_at=None if record.finished_at is None else datetime.fromtimestamp(record.finished_at, UTC),
            hooks_changed=hooks_that_changed(record),
            losses=[[self._text(path), self._text(reason)] for path, reason in record.losses],
            is_lossy=bool(record.losses),
            request_size_bytes=_size(record, "client"),
            response_size_bytes=_size(record, "delivered") or _size(record, "upstream"),
            bodies_dropped=bodies_dropped,
        )
        return _clipped(flow)

    def _side(self, record: FlowRecord, side: SideRecord, kept: _Kept) -> FlowSide:
        stored = self._store_side(record, side, kept)
        body = stored.body if stored else RedactedBody(b"")
        move = (lambda offset: offset) if body.decoded else body.moved
        row = bare(
            FlowSide,
            flow_id=record.id,
            side=side.side,
            http_version=storable(side.http_version),
            method=storable(side.method),
            url=self._url(side.url),
            status_code=side.status_code,
            reason=self._text(side.reason),
            headers=[*self._headers(side.headers, kept)],  # an import puts a line back in
            trailers=self._headers(side.trailers, kept),
            body_digest=stored.packed.digest if stored else "",
            body_size_bytes=side.body_size_bytes,
            body_truncated=side.body_truncated or body.truncated,
            body_redacted=body.redacted,
            body_decoded=body.decoded,
            chunk_times=[[move(offset), at_ms] for offset, at_ms in side.chunk_times],
        )
        return _clipped(row)

    def _hook(self, record: FlowRecord, seq: int, step: HookStep, kept: _Kept) -> HookTrace:
        near = kept.near("client", "forwarded") if step.stage == "inbound" else kept.near("forwarded", "client")
        lane = _lane(record, step.stage, step.hook)
        before = self._store(step.body_before, kept, near=near, lane=lane)
        after = self._store(step.body_after, kept, near=near, lane=lane)
        row = bare(
            HookTrace,
            flow_id=record.id,
            seq=seq,
            stage=step.stage,
            hook=storable(step.hook),
            outcome=step.outcome,
            reason=self._text(step.reason),
            prepare_ms=step.prepare_ms,
            apply_ms=step.apply_ms,
            changed=[self._text(name) for name in step.changed],
            headers_before=None if step.headers_before is None else self._headers(step.headers_before, kept),
            headers_after=None if step.headers_after is None else self._headers(step.headers_after, kept),
            url_before=self._url(step.url_before),
            url_after=self._url(step.url_after),
            body_before=before.packed.digest if before else "",
            body_after=after.packed.digest if after else "",
        )
        return _clipped(row)

    def _message(self, record: FlowRecord, message: WebSocketRecord, kept: _Kept) -> WebSocketMessage:
        stored = self._store(message.content, kept, lane=(record.id, message.from_client))
        return bare(
            WebSocketMessage,
            flow_id=record.id,
            seq=message.seq,
            at_ms=message.at_ms,
            from_client=message.from_client,
            is_text=message.is_text,
            size_bytes=len(message.content),
            body_digest=stored.packed.digest if stored else "",
        )

    def _store_side(self, record: FlowRecord, side: SideRecord, kept: _Kept) -> Stored | None:
        near: list[Stored] = []
        lane: Hashable = None
        if side.side in ("client", "forwarded"):  # answers do not repeat the one before
            lane = _lane(record, side.side)
            near = kept.near("client") if record.client_format == record.provider_format else []
        stored = self._store(side.body, kept, _header(side.headers, "content-encoding"), near=near, lane=lane)
        if stored:
            kept.sides[side.side] = stored
        return stored

    def _store(
        self,
        data: bytes | None,
        kept: _Kept,
        encoding: str = "",
        *,
        near: Sequence[Stored] = (),
        lane: Hashable = None,
    ) -> Stored | None:
        if not data:
            return None
        stored = self._bodies.store(data, encoding, near=near, lane=lane)
        kept.packed[stored.packed.digest] = stored.packed
        return stored

    def _search_text(self, record: FlowRecord) -> str:
        answered = "delivered" if _body(record, "delivered") else "upstream"
        question = None if record.question is None else self._redactor.text(record.question)
        names = replace(record, path=self._redactor.url(record.path), question=question)
        request = self._readable(record, "client") if question is None else b""
        response = self._readable(record, answered) if record.state != "live" else b""
        text = search_text(names, request, response)
        # Once more over the whole: a stream's pieces may spell a secret only when they are put together.
        return storable(self._redactor.text(text)).lower()  # secrets are found as they are spelled

    def _readable(self, record: FlowRecord, side: str) -> bytes:
        data, encoding = _body(record, side), _content_encoding(record, side)
        if not data:
            return b""
        body = self._bodies.redacted(data, encoding)
        return body.data if body.decoded else decode(body.data, encoding).data

    def _text(self, text: str) -> str:
        return storable(self._redactor.text(text))

    def _url(self, url: str) -> str:
        return storable(self._redactor.url(url))

    def _headers(self, headers: Headers, kept: _Kept) -> list[list[str]]:
        """The same headers stand on both sides of a hook that left them: five lists of a flow's ten or so differ."""
        found = kept.headers.get(id(headers))  # the record holds them
        if found is None:
            pairs = self._redactor.headers(headers)
            found = kept.headers[id(headers)] = [[storable(name), storable(value)] for name, value in pairs]
        return found


_FLOW_PLAIN = (
    "id",
    "state",
    "rule_id",
    "revision",
    "credential_injected",
    "status_code",
    "is_stream",
    "is_websocket",
    "connect_ms",
    "first_byte_ms",
    "first_event_ms",
    "duration_ms",
    "event_count",
)
_FLOW_TEXTS = (
    "source",
    "method",
    "host",
    "user_agent",
    "client_format",
    "provider_format",
    "action",
    "provider",
    "provider_type",
    "rule",
    "route",
    "requested_model",
    "sent_model",
    "session_id",
    "conversation_id",
    "run_label",
    "run_command",
    "ja3",
    "ja3_full",
    "ja4",
    "error",
)


def storable(text: str) -> str:
    """A text that every database takes: bytes that were no UTF-8 and NUL are spelled out as \\xNN."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join(_spelled(char) if "\ud800" <= char <= "\udfff" else char for char in text)
    return text.replace("\0", "\\x00")


def body_row(packed: PackedBody) -> FlowBody:
    """The row of a packed body."""
    return bare(
        FlowBody,
        digest=packed.digest,
        encoding=packed.encoding,
        size_bytes=packed.size_bytes,
        blob=packed.blob,
        base_id=packed.base.digest if packed.base else None,
    )


def _lane(record: FlowRecord, *role: str) -> Hashable:
    """What a turn and the next have in common; None when the flow belongs to no conversation."""
    if not record.session_id and not record.conversation_id:
        return None
    path = record.path.partition("?")[0]
    return (record.session_id, record.conversation_id, record.requested_model, path, record.provider, *role)


def _spelled(surrogate: str) -> str:
    code = ord(surrogate)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def _clipped[Row: models.Model](row: Row) -> Row:
    """Cut texts to their columns; PostgreSQL refuses longer ones."""
    values = row.__dict__
    for name, max_chars in _limits(type(row)):
        if len(values[name]) > max_chars:
            values[name] = values[name][: max_chars - 1] + "…"
    return row


@lru_cache
def _limits(model: type[models.Model]) -> tuple[tuple[str, int], ...]:
    """The text columns of a model and how long their values may be."""
    return tuple(
        (column.attname, column.max_length)
        for column in model._meta.concrete_fields
        if isinstance(column, models.CharField) and column.max_length and not column.primary_key
    )


def _of_side(record: FlowRecord, side: str) -> Iterable[SideRecord]:
    return (candidate for candidate in record.sides if candidate.side == side)


def _body(record: FlowRecord, side: str) -> bytes:
    return next((found.body or b"" for found in _of_side(record, side)), b"")


def _size(record: FlowRecord, side: str) -> int:
    return next((found.body_size_bytes for found in _of_side(record, side)), 0)


def _content_encoding(record: FlowRecord, side: str) -> str:
    return next((_header(found.headers, "content-encoding") for found in _of_side(record, side)), "")


def _header(headers: Headers, wanted: str) -> str:
    return ",".join(value for name, value in headers if name.lower() == wanted)


def hooks_that_changed(record: FlowRecord) -> list[str]:
    """Names of the hooks that changed something on the wire, each once; routing and mere notes do not count."""
    names = (
        storable(step.hook)
        for step in record.hooks
        if step.changed and step.stage != "transform" and not all(name.startswith("meta:") for name in step.changed)
    )
    return list(dict.fromkeys(names))
