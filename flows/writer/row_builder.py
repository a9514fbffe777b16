"""Rows of the database from a flow's record: redacted, packed, in texts that databases accept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flows.bodies.packed_body import PackedBody
from flows.bodies.packer import Packer, StoredBody
from flows.bodies.plain_bodies import PlainBodies
from flows.bytes.database_text import database_json, storable_text
from flows.bytes.decode import decode
from flows.models import Flow, WebSocketMessage
from flows.reading.preview import one_line, said_line, tool_result_in
from flows.reading.search_text import Said, answer, question_in, request_in, search_text
from flows.record import AttemptRecord, FlowRecord, Headers, HookStep, SideRecord, WebSocketRecord
from flows.redaction.redactor import RedactedBody, Redactor
from flows.redaction.stored_texts import StoredTexts
from flows.sides import (
    FlowSide,
    HookTrace,
    PartsDraft,
    PartTexts,
    read_attempts,
    read_sides,
    read_traces,
)
from flows.telemetry.finished_flow import FinishedFlow, OnFinished
from flows.upsert import new_row
from flows.writer import flow_columns
from flows.writer.metering import meter
from flows.writer.response_facts import asked_model, event_count, failure_of, socket_texts
from providers.prices.cost import OwnPrice

_ROW_BYTES = 1024


@dataclass(frozen=True, slots=True)
class FlowRows:
    """Everything to write for one record."""

    flow: Flow
    parts: PartTexts
    refs: frozenset[str]
    """Digests that sides and hooks refer to; a later record may refer to others instead."""
    messages: list[WebSocketMessage]
    bodies: dict[str, PackedBody]
    message_count: int
    """Messages of the flow so far, including those left out here because they are written."""

    @property
    def sides(self) -> list[FlowSide]:
        """The sides, read back."""
        return list(read_sides(self.parts.headers, self.parts.sides).values())

    @property
    def traces(self) -> list[HookTrace]:
        """The hooks' traces, read back."""
        return read_traces(self.parts.headers, self.parts.steps)

    @property
    def attempts(self) -> list[AttemptRecord]:
        """The attempts, read back."""
        return read_attempts(self.parts.steps)

    @property
    def held_bytes(self) -> int:
        """Estimated memory of the rows."""
        row_count = 2 + len(self.messages)
        held_bytes = row_count * _ROW_BYTES
        for text in (self.parts.headers, self.parts.sides, self.parts.steps):
            held_bytes += len(text)
        for body in self.bodies.values():
            held_bytes += len(body.blob)
        return held_bytes


@dataclass(slots=True)
class _Draft:
    """Rows of one record while they are built."""

    recorded: dict[str, tuple[SideRecord, str]] = field(default_factory=dict)
    """The record's sides by name, with their content encoding."""
    packed: dict[str, PackedBody] = field(default_factory=dict)
    stored: dict[str, StoredBody] = field(default_factory=dict)
    """Bodies by side."""
    refs: set[str] = field(default_factory=set)
    parts: PartsDraft = field(default_factory=PartsDraft)
    header_indexes: dict[int, int] = field(default_factory=dict)
    """Indexes of lists of headers by the object's id: a hook that left them shares the object."""
    readable: dict[tuple[int, str], bytes] = field(default_factory=dict)
    """Bodies without secrets and content encoding, of those that were read.

    By the object's id and its encoding: sides that nothing changed share the object.
    """

    def variants(self, *sides: str) -> list[StoredBody]:
        """Return the bodies of these sides, which another may differ little from."""
        return [self.stored[side] for side in sides if side in self.stored]

    def size_bytes(self, side: str) -> int:
        """Return the size of a side's body on the wire."""
        if side not in self.recorded:
            return 0
        record, _ = self.recorded[side]
        return record.body_size_bytes


class RowBuilder:
    """Builder of rows. Not thread-safe: it belongs to the writer's thread."""

    def __init__(
        self,
        redactor: Redactor,
        own_prices: Callable[[], Sequence[OwnPrice]] = tuple,
        on_finished: Sequence[OnFinished] = (),
        plain_bodies: PlainBodies | None = None,
    ) -> None:
        self._redactor = redactor
        self._plain_bodies = plain_bodies or PlainBodies()
        self._on_finished = on_finished
        self._texts = StoredTexts(redactor)
        self._bodies = Packer(redactor)
        self._own_prices = own_prices

    def build(
        self, record: FlowRecord, *, bodies_dropped: bool = False, written_messages: int = 0
    ) -> FlowRows:
        """Return the rows of a record, without its first `written_messages` websocket messages."""
        if record.is_websocket and not record.requested_model:
            record = replace(record, requested_model=asked_model(record))
        # First of all: what a header reveals is then cut out of everything else.
        self._learn(record)
        self._texts.renew()
        draft = _Draft()
        for side in record.sides:
            draft.recorded[side.side] = (side, _content_encoding(side.headers))
            draft.parts.sides.append(self._side(record, side, draft))
        for seq, step in enumerate(record.hooks):
            draft.parts.steps.append(self._step(record, seq, step, draft))
        for attempt in record.attempts:
            draft.parts.attempts.append(self._attempt(attempt))
        new_messages = record.messages[written_messages:]
        messages = [self._message(record, message, draft) for message in new_messages]
        flow = self._flow(record, draft, bodies_dropped)
        if record.state != "live":
            answer = self._readable("upstream", draft)
            self._note_failure(flow, record, answer)
            meter(flow, record, answer, self._own_prices())
            flow.event_count = event_count(record, self._decoded_stream(record, draft))
        self._set_texts(flow, record, draft)
        if record.state != "live":
            # Last, so that the observers see all columns.
            self._tell_finished(flow, record, draft)
        return FlowRows(
            flow=flow,
            parts=draft.parts.texts(),
            refs=frozenset(draft.refs),
            messages=messages,
            bodies=draft.packed,
            message_count=max(written_messages, len(record.messages)),
        )

    def _tell_finished(self, flow: Flow, record: FlowRecord, draft: _Draft) -> None:
        if not self._on_finished:
            return
        finished = FinishedFlow(
            record,
            flow,
            lambda side: self._readable(side, draft),
            self._texts.text,
            self._texts.generation,
        )
        for tell in self._on_finished:
            tell(finished)

    def _note_failure(self, flow: Flow, record: FlowRecord, upstream: bytes) -> None:
        """Mark a flow whose response reports a failure that the proxy has not seen.

        The proxy reads only the end of plain bodies; compressed and imported ones are read here.
        """
        if record.state != "done" or record.error:
            return
        failure = failure_of(record, upstream)
        if failure is not None:
            flow.state = Flow.State.ERROR
            flow.error = self._texts.text(failure.message)

    def _learn(self, record: FlowRecord) -> None:
        # Sides that nothing changed share one object.
        distinct = {id(side.headers): side.headers for side in record.sides}
        for headers in distinct.values():
            self._redactor.learn(headers)
        for url in dict.fromkeys(side.url for side in record.sides):
            self._redactor.learn_url(url)

    def _flow(self, record: FlowRecord, draft: _Draft, bodies_dropped: bool) -> Flow:
        texts = self._texts
        redacted_texts = texts.texts(flow_columns.texts_of(record))
        redacted_urls = map(texts.url, flow_columns.urls_of(record))
        losses = [[texts.text(path), texts.text(reason)] for path, reason in record.losses]
        values = dict(zip(flow_columns.PLAIN, flow_columns.plain_of(record), strict=True))
        values.update(zip(flow_columns.TEXTS, redacted_texts, strict=True))
        values.update(zip(flow_columns.URLS, redacted_urls, strict=True))
        values.update(
            started_at=_time(record.started_at),
            finished_at=_time(record.finished_at),
            hooks_changed=flow_columns.hooks_that_changed(record),
            hooks_ran=flow_columns.hooks_that_ran(record),
            losses=losses,
            is_lossy=bool(losses),
            request_size_bytes=draft.size_bytes("client"),
            response_size_bytes=draft.size_bytes("delivered") or draft.size_bytes("upstream"),
            bodies_dropped=bodies_dropped,
        )
        flow_columns.clip_texts(values)
        return new_row(Flow, values)

    def _side(self, record: FlowRecord, side: SideRecord, draft: _Draft) -> dict[str, Any]:
        """Return the object of a side (see `flows.sides`), without default values."""
        stored = self._store_side(record, side, draft)
        values: dict[str, Any] = {
            "side": side.side,
            "http_version": side.http_version,
            "headers": self._header_index(side.headers, draft),
            "body_size_bytes": side.body_size_bytes,
        }
        if side.method or side.url:
            values["method"] = side.method
            values["url"] = self._texts.url(side.url)
        if side.status_code is not None:
            values["status_code"] = side.status_code
        if side.reason:
            values["reason"] = self._texts.text(side.reason)
        if side.trailers:
            values["trailers"] = self._redactor.headers(side.trailers)
        if side.body_truncated:
            values["body_truncated"] = True
        if stored is not None:
            values["body_digest"] = stored.packed.digest
            values |= _body_flags(stored.body)
        if side.chunk_times:
            values["chunk_times"] = _moved(side.chunk_times, stored)
        return values

    def _attempt(self, attempt: AttemptRecord) -> dict[str, Any]:
        """Return the object of an attempt; clients choose models and some hosts."""
        values = asdict(attempt)
        values["reason"] = self._texts.text(attempt.reason)
        values["host"] = self._texts.text(attempt.host)
        values["model"] = self._texts.text(attempt.model)
        return values

    def _step(self, record: FlowRecord, seq: int, step: HookStep, draft: _Draft) -> dict[str, Any]:
        """Return the object of a step (see `flows.sides`), without default values."""
        values: dict[str, Any] = {
            "seq": seq,
            "stage": step.stage,
            "hook": step.hook,
            "outcome": step.outcome,
            "prepare_ms": step.prepare_ms,
            "apply_ms": step.apply_ms,
            "started_ms": step.started_ms,
        }
        if step.reason:
            values["reason"] = self._texts.text(step.reason)
        if step.changed:
            values["changed"] = self._texts.texts(step.changed)
        if step.headers_before is not None:
            values["headers_before"] = self._header_index(step.headers_before, draft)
        if step.headers_after is not None:
            values["headers_after"] = self._header_index(step.headers_after, draft)
        if step.url_before or step.url_after:
            values["url_before"] = self._texts.url(step.url_before)
            values["url_after"] = self._texts.url(step.url_after)
        if step.body_before or step.body_after:
            values |= self._store_step(record, step, draft)
        if step.origins:
            values["origins"] = [[self._texts.text(part), origin] for part, origin in step.origins]
        return values

    def _message(
        self, record: FlowRecord, message: WebSocketRecord, draft: _Draft
    ) -> WebSocketMessage:
        chain = (record.id, message.from_client)
        stored = self._store(message.content, draft, chain=chain)
        values = {
            "flow_id": record.id,
            "seq": message.seq,
            "at_ms": message.at_ms,
            "from_client": message.from_client,
            "is_text": message.is_text,
            "size_bytes": len(message.content),
            "body_digest": _digest(stored),
        }
        return new_row(WebSocketMessage, values)

    def _store_side(self, record: FlowRecord, side: SideRecord, draft: _Draft) -> StoredBody | None:
        variants: list[StoredBody] = []
        chain: Hashable = None
        # A response does not repeat the one before it.
        if side.side in ("client", "forwarded"):
            chain = _chain_key(record, side.side)
            if record.client_format == record.provider_format:
                variants = draft.variants("client")
        _, encoding = draft.recorded[side.side]
        stored = self._store(side.body, draft, encoding, variants=variants, chain=chain)
        if stored is not None:
            draft.stored[side.side] = stored
            draft.refs.add(stored.packed.digest)
            self._plain_bodies.put(stored.packed.digest, stored.body.data)
        return stored

    def _store_step(self, record: FlowRecord, step: HookStep, draft: _Draft) -> dict[str, str]:
        # An inbound hook sees the client's format, an outbound one the provider's.
        if step.stage == "inbound":
            variants = draft.variants("client", "forwarded")
        else:
            variants = draft.variants("forwarded", "client")
        chain = _chain_key(record, step.stage, step.hook)
        digests: list[str] = []
        for data in (step.body_before, step.body_after):
            stored = self._store(data, draft, variants=variants, chain=chain)
            digests.append(_digest(stored))
            if stored is not None:
                draft.refs.add(stored.packed.digest)
                self._plain_bodies.put(stored.packed.digest, stored.body.data)
        before, after = digests
        return {"body_before": before, "body_after": after}

    def _store(
        self,
        data: bytes | None,
        draft: _Draft,
        encoding: str = "",
        *,
        variants: Sequence[StoredBody] = (),
        chain: Hashable = None,
    ) -> StoredBody | None:
        if not data:
            return None
        stored = self._bodies.store(data, encoding, variants=variants, chain=chain)
        draft.packed[stored.packed.digest] = stored.packed
        return stored

    def _set_texts(self, flow: Flow, record: FlowRecord, draft: _Draft) -> None:
        """Set what a search finds, and the preview of the list."""
        asked, brought = record.question, record.tool_result
        said = Said()
        if record.is_websocket:
            asked, said = socket_texts(record)
        elif asked is None:
            request = request_in(self._readable("client", draft))
            asked, brought = question_in(request), tool_result_in(request)
        # The response of a running flow would be read again and again.
        if record.state != "live" and not record.is_websocket:
            response = "delivered" if "delivered" in draft.stored else "upstream"
            said = answer(self._readable(response, draft))
        tools = "\n".join(said.tools)
        texts = [asked, brought, said.text, tools]
        # Searched together, which takes half the time. The quotes end a JSON field that the
        # question leaves open.
        together = '""'.join(texts)
        if self._redactor.text(together) != together:
            texts = [self._redactor.text(text) for text in texts]
        # Not before: secrets are found in their own spelling.
        asked, brought, said_text, tools = map(storable_text, texts)
        flow.asked = one_line(asked)
        flow.tool_result = one_line(brought)
        flow.said = said_line(said_text, tools.split("\n") if tools else ())
        names = map(storable_text, _names_in(flow))
        flow.search_text = search_text(names, asked, said_text).lower()

    def _readable(self, side_name: str, draft: _Draft) -> bytes:
        """Return a side's body without secrets and content encoding."""
        side, encoding = draft.recorded.get(side_name, (None, ""))
        if side is None or not side.body:
            return b""
        key = (id(side.body), encoding)
        if (known := draft.readable.get(key)) is None:
            known = draft.readable[key] = self._read(side.body, encoding)
        return known

    def _read(self, data: bytes, encoding: str) -> bytes:
        body = self._bodies.redacted(data, encoding)
        if body.decoded:
            return body.data
        return decode(body.data, encoding).data

    def _decoded_stream(self, record: FlowRecord, draft: _Draft) -> bytes:
        """Return the client's stream if it was compressed, so that the proxy counted nothing."""
        _, encoding = draft.recorded.get("delivered", (None, ""))
        if not record.is_stream or record.event_count or not encoding:
            return b""
        return self._readable("delivered", draft)

    def _header_index(self, headers: Headers, draft: _Draft) -> int:
        # The record holds the objects, so no other one can get the same id.
        index = draft.header_indexes.get(id(headers))
        if index is None:
            redacted = self._redactor.headers(headers)
            index = draft.parts.add_headers(database_json(redacted))
            draft.header_indexes[id(headers)] = index
        return index


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _names_in(flow: Flow) -> Iterator[str]:
    """Yield the names and ids of a flow that a search finds, without secrets."""
    yield flow.id
    yield flow.session_id
    yield flow.conversation_id
    yield flow.provider
    yield flow.host
    yield flow.path
    yield flow.requested_model
    if flow.sent_model != flow.requested_model:
        yield flow.sent_model
    yield flow.user_agent
    yield flow.error


def _body_flags(body: RedactedBody) -> dict[str, bool]:
    """Return the fields of a side that say how its stored body differs from the original."""
    flags: dict[str, bool] = {}
    if body.truncated:
        flags["body_truncated"] = True
    if body.redacted:
        flags["body_redacted"] = True
    if body.decoded:
        flags["body_decoded"] = True
    return flags


def _moved(
    chunk_times: Sequence[tuple[int, float]], stored: StoredBody | None
) -> Sequence[Sequence[float]]:
    """Return chunk times by offsets in the stored body.

    Offsets of a decoded body cannot be mapped and stay as they are.
    """
    if stored is None or stored.body.decoded or not stored.body.edits:
        return chunk_times
    return [[stored.body.moved(offset), at_ms] for offset, at_ms in chunk_times]


def _chain_key(record: FlowRecord, *role: str) -> Hashable:
    """Return what the bodies of a conversation have in common; None without a conversation."""
    if not record.session_id and not record.conversation_id:
        return None
    path = record.path.partition("?")[0]
    return (
        record.session_id,
        record.conversation_id,
        record.requested_model,
        path,
        record.provider,
        *role,
    )


def _digest(stored: StoredBody | None) -> str:
    return stored.packed.digest if stored else ""


def _content_encoding(headers: Headers) -> str:
    """Return the values of all content-encoding headers, joined."""
    wanted = "content-encoding"
    wanted_chars = len(wanted)
    values: list[str] = []
    for name, value in headers:
        # The length spares most of the fifty names of a flow their lower().
        if len(name) == wanted_chars and name.lower() == wanted:
            values.append(value)
    return ",".join(values)
