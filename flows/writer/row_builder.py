"""Turns a hand-over into rows of the database: secrets cut out, bodies packed, texts that every
database accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any

from flows.bodies.packed_body import PackedBody
from flows.bodies.packer import Packer, Stored
from flows.bytes.database_text import database_json, storable_text
from flows.bytes.decode import decode
from flows.models import Flow, WebSocketMessage
from flows.reading.search_text import answer, question, search_text
from flows.record import FlowRecord, Headers, HookStep, SideRecord, WebSocketRecord
from flows.redaction.redactor import RedactedBody, Redactor
from flows.redaction.stored_texts import StoredTexts
from flows.sides import FlowSide, HookTrace, PartsDraft, PartTexts, read_sides, read_traces
from flows.writer.metering import meter
from flows.writer.upsert import bare
from providers.prices.cost import OwnPrice

_ROW_BYTES = 1024


@dataclass(frozen=True, slots=True)
class FlowRows:
    """Everything to write for one hand-over."""

    flow: Flow
    parts: PartTexts
    refs: frozenset[str]
    """Digests that sides and hooks refer to; a later hand-over may refer to others instead."""
    messages: list[WebSocketMessage]
    bodies: dict[str, PackedBody]
    message_count: int
    """Messages of the flow so far, with those left out here because they are written already."""

    @property
    def sides(self) -> list[FlowSide]:
        """The sides, read back."""
        return list(read_sides(self.parts.headers, self.parts.sides).values())

    @property
    def traces(self) -> list[HookTrace]:
        """The hooks' traces, read back."""
        return read_traces(self.parts.headers, self.parts.steps)

    @property
    def held_bytes(self) -> int:
        """About how much memory the rows need."""
        texts = len(self.parts.headers) + len(self.parts.sides) + len(self.parts.steps)
        rows = (2 + len(self.messages)) * _ROW_BYTES
        return rows + texts + sum(len(body.blob) for body in self.bodies.values())


@dataclass(slots=True)
class _Kept:
    """What was made of one hand-over so far: its bodies by digest and by side, the texts of its
    parts.
    """

    recorded: dict[str, tuple[SideRecord, str]]
    """The sides by name, with their content encoding."""
    packed: dict[str, PackedBody] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    refs: set[str] = field(default_factory=set)
    parts: PartsDraft = field(default_factory=PartsDraft)
    places: dict[int, int] = field(default_factory=dict)
    """Places of lists of headers by the object's id: the same ones stand on both sides of a hook
    that left them.
    """

    def near(self, *sides: str) -> list[Stored]:
        """What a body may be a variant of."""
        return [self.stored[side] for side in sides if side in self.stored]

    def size(self, side: str) -> int:
        """How many bytes a side's body had on the wire."""
        return self.recorded[side][0].body_size_bytes if side in self.recorded else 0


class RowBuilder:
    """Builds rows out of hand-overs. Not thread-safe: it belongs to the writer's thread."""

    def __init__(
        self, redactor: Redactor, own_prices: Callable[[], Sequence[OwnPrice]] = tuple
    ) -> None:
        self._redactor = redactor
        self._texts = StoredTexts(redactor)
        self._bodies = Packer(redactor)
        self._own_prices = own_prices

    def build(
        self, record: FlowRecord, *, bodies_dropped: bool = False, written_messages: int = 0
    ) -> FlowRows:
        """Rows of one hand-over; the first `written_messages` websocket messages are left out."""
        self._learn(record)
        self._texts.renew()
        kept = _Kept(
            {side.side: (side, _header(side.headers, "content-encoding")) for side in record.sides}
        )
        kept.parts.sides += [self._side(record, side, kept) for side in record.sides]
        kept.parts.steps += [
            self._step(record, seq, step, kept) for seq, step in enumerate(record.hooks)
        ]
        messages = [
            self._message(record, message, kept) for message in record.messages[written_messages:]
        ]
        flow = self._flow(record, kept, bodies_dropped)
        flow.search_text = self._search_text(flow, record, kept)
        if record.state != "live":
            meter(flow, record, self._readable("upstream", kept), self._own_prices())
        message_count = max(written_messages, len(record.messages))
        return FlowRows(
            flow, kept.parts.texts(), frozenset(kept.refs), messages, kept.packed, message_count
        )

    def _learn(self, record: FlowRecord) -> None:
        for headers in {id(side.headers): side.headers for side in record.sides}.values():
            self._redactor.learn(headers)
        for url in dict.fromkeys(side.url for side in record.sides):
            self._redactor.learn_url(url)

    def _flow(self, record: FlowRecord, kept: _Kept, bodies_dropped: bool) -> Flow:
        text = self._texts.text
        values = dict(zip(_FLOW_PLAIN, _plain_of(record), strict=True))
        values |= zip(_FLOW_TEXTS, self._texts.texts(_texts_of(record)), strict=True)
        values |= zip(_FLOW_URLS, map(self._texts.url, _urls_of(record)), strict=True)
        values |= {
            "started_at": datetime.fromtimestamp(record.started_at, UTC),
            "finished_at": (
                None
                if record.finished_at is None
                else datetime.fromtimestamp(record.finished_at, UTC)
            ),
            "hooks_changed": hooks_that_changed(record),
            "hooks_ran": hooks_that_ran(record),
            "losses": [[text(path), text(reason)] for path, reason in record.losses],
            "is_lossy": bool(record.losses),
            "request_size_bytes": kept.size("client"),
            "response_size_bytes": kept.size("delivered") or kept.size("upstream"),
            "bodies_dropped": bodies_dropped,
        }
        return bare(Flow, _clipped(values))

    def _side(self, record: FlowRecord, side: SideRecord, kept: _Kept) -> dict[str, Any]:
        """The object of a side (see `flows.sides`), without what is as in a fresh one."""
        stored = self._store_side(record, side, kept)
        values: dict[str, Any] = {
            "side": side.side,
            "http_version": side.http_version,
            "headers": self._place(side.headers, kept),
            "body_size_bytes": side.body_size_bytes,
        }
        if side.method or side.url:
            values |= {"method": side.method, "url": self._texts.url(side.url)}
        if side.status_code is not None:
            values["status_code"] = side.status_code
        if side.reason:
            values["reason"] = self._texts.text(side.reason)
        if side.trailers:
            values["trailers"] = self._redactor.headers(side.trailers)
        if side.body_truncated:
            values["body_truncated"] = True
        if stored:
            values["body_digest"] = stored.packed.digest
            values |= _told_of(stored.body)
        if side.chunk_times:
            values["chunk_times"] = _moved(side.chunk_times, stored.body if stored else None)
        return values

    def _step(self, record: FlowRecord, seq: int, step: HookStep, kept: _Kept) -> dict[str, Any]:
        """The object of a step, likewise."""
        values: dict[str, Any] = {
            "seq": seq,
            "stage": step.stage,
            "hook": step.hook,
            "outcome": step.outcome,
        }
        values |= {"prepare_ms": step.prepare_ms, "apply_ms": step.apply_ms}
        values["started_ms"] = step.started_ms
        if step.reason:
            values["reason"] = self._texts.text(step.reason)
        if step.changed:
            values["changed"] = self._texts.texts(step.changed)
        if step.headers_before is not None:
            values["headers_before"] = self._place(step.headers_before, kept)
        if step.headers_after is not None:
            values["headers_after"] = self._place(step.headers_after, kept)
        if step.url_before or step.url_after:
            values |= {
                "url_before": self._texts.url(step.url_before),
                "url_after": self._texts.url(step.url_after),
            }
        if step.body_before or step.body_after:
            values |= self._store_step(record, step, kept)
        return values

    def _message(
        self, record: FlowRecord, message: WebSocketRecord, kept: _Kept
    ) -> WebSocketMessage:
        values = {
            "flow_id": record.id,
            "seq": message.seq,
            "at_ms": message.at_ms,
            "from_client": message.from_client,
            "is_text": message.is_text,
            "size_bytes": len(message.content),
            "body_digest": _digest(
                self._store(message.content, kept, lane=(record.id, message.from_client))
            ),
        }
        return bare(WebSocketMessage, values)

    def _store_side(self, record: FlowRecord, side: SideRecord, kept: _Kept) -> Stored | None:
        near: list[Stored] = []
        lane: Hashable = None
        if side.side in ("client", "forwarded"):  # answers do not repeat the one before
            lane = _lane(record, side.side)
            near = kept.near("client") if record.client_format == record.provider_format else []
        stored = self._store(side.body, kept, kept.recorded[side.side][1], near=near, lane=lane)
        if stored:
            kept.stored[side.side] = stored
            kept.refs.add(stored.packed.digest)
        return stored

    def _store_step(self, record: FlowRecord, step: HookStep, kept: _Kept) -> dict[str, str]:
        near = (
            kept.near("client", "forwarded")
            if step.stage == "inbound"
            else kept.near("forwarded", "client")
        )
        lane = _lane(record, step.stage, step.hook)
        before = _digest(self._store(step.body_before, kept, near=near, lane=lane))
        after = _digest(self._store(step.body_after, kept, near=near, lane=lane))
        kept.refs |= {before, after} - {""}
        return {"body_before": before, "body_after": after}

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

    def _search_text(self, flow: Flow, record: FlowRecord, kept: _Kept) -> str:
        asked = (
            question(self._readable("client", kept)) if record.question is None else record.question
        )
        answered = "delivered" if "delivered" in kept.stored else "upstream"
        # A running answer would be read again and again.
        said = answer(self._readable(answered, kept)) if record.state != "live" else ""
        # Searched at once, which takes half the time; the quotes end a field that the question
        # leaves open.
        if self._redactor.text(both := f'{asked}""{said}') != both:
            asked, said = self._redactor.text(asked), self._redactor.text(said)
        text = search_text(_names_in(flow), asked, said)
        return storable_text(text).lower()  # secrets are found as they are spelled

    def _readable(self, name: str, kept: _Kept) -> bytes:
        side, encoding = kept.recorded.get(name, (None, ""))
        if side is None or not side.body:
            return b""
        body = self._bodies.redacted(side.body, encoding)
        return body.data if body.decoded else decode(body.data, encoding).data

    def _place(self, headers: Headers, kept: _Kept) -> int:
        place = kept.places.get(id(headers))  # the record holds them
        if place is None:
            place = kept.places[id(headers)] = kept.parts.place(
                database_json(self._redactor.headers(headers))
            )
        return place


_FLOW_PLAIN = (
    "id",
    "state",
    "conversation_id",  # twelve digits of a hash, made by the proxy itself: they hold no secret
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
    "run_label",
    "run_command",
    "ja3",
    "ja3_full",
    "ja4",
    "error",
)
_FLOW_URLS = ("path", "client_url", "forwarded_url")
_plain_of, _texts_of, _urls_of = (
    attrgetter(*_FLOW_PLAIN),
    attrgetter(*_FLOW_TEXTS),
    attrgetter(*_FLOW_URLS),
)


def _names_in(flow: Flow) -> Iterator[str]:
    """The names and ids of a flow that a search finds, without secrets."""
    yield from (flow.id, flow.session_id, flow.conversation_id, flow.provider, flow.host, flow.path)
    yield flow.requested_model
    if flow.sent_model != flow.requested_model:
        yield flow.sent_model
    yield from (flow.user_agent, flow.error)


def hooks_that_changed(record: FlowRecord) -> list[str]:
    """Names of the hooks that changed something on the wire, each once; routing and mere notes do
    not count.
    """
    names = (
        storable_text(step.hook)
        for step in record.hooks
        if step.changed
        and step.stage != "transform"
        and not all(name.startswith("meta:") for name in step.changed)
    )
    return list(dict.fromkeys(names))


def hooks_that_ran(record: FlowRecord) -> str:
    """Names of the hooks that ran, each once, as the text of their column."""
    return database_json(
        list(dict.fromkeys(step.hook for step in record.hooks if step.outcome == "ran"))
    ).decode()


def _told_of(body: RedactedBody) -> dict[str, bool]:
    """What had to be done to a body."""
    done = {
        "body_truncated": body.truncated,
        "body_redacted": body.redacted,
        "body_decoded": body.decoded,
    }
    return {name: True for name, value in done.items() if value}


def _moved(
    chunk_times: Sequence[tuple[int, float]], body: RedactedBody | None
) -> Sequence[Sequence[float]]:
    """When the bytes came, by where they are now."""
    if body is None or body.decoded or not body.edits:
        return chunk_times
    return [[body.moved(offset), at_ms] for offset, at_ms in chunk_times]


def _lane(record: FlowRecord, *role: str) -> Hashable:
    """What a turn and the next have in common; None when the flow belongs to no conversation."""
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


def _clipped(values: dict[str, Any]) -> dict[str, Any]:
    """Cut a flow's texts to their columns; PostgreSQL refuses longer ones."""
    for name, max_chars in _limits():
        if len(values[name]) > max_chars:
            values[name] = values[name][: max_chars - 1] + "…"
    return values


@cache
def _limits() -> tuple[tuple[str, int], ...]:
    """The text columns of a flow that are filled here, and how long their values may be."""
    columns = {
        column.attname: getattr(column, "max_length", None) for column in Flow._meta.concrete_fields
    }
    return tuple((name, max_chars) for name in _FLOW_TEXTS if (max_chars := columns[name]))


def _digest(stored: Stored | None) -> str:
    return stored.packed.digest if stored else ""


def _header(headers: Headers, wanted: str) -> str:
    size = len(wanted)  # spares most names their lower(), of which there were fifty a flow
    return ",".join(
        value for name, value in headers if len(name) == size and name.lower() == wanted
    )
