"""Sides, hooks' steps, attempts and websocket messages of a record as they are stored."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flows.bodies.packed_body import PackedBody
from flows.bodies.packer import Packer, StoredBody
from flows.bodies.plain_bodies import PlainBodies
from flows.bytes.database_text import database_json
from flows.bytes.decode import decode
from flows.models import WebSocketMessage
from flows.record import AttemptRecord, FlowRecord, Headers, HookStep, SideRecord, WebSocketRecord
from flows.redaction.redactor import RedactedBody, Redactor
from flows.redaction.stored_texts import StoredTexts
from flows.sides import PartsDraft
from flows.upsert import new_row


@dataclass(slots=True)
class Draft:
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


class PartsBuilder:
    """Builder of a flow's parts, and of the bodies that they name. Not thread-safe."""

    def __init__(
        self, redactor: Redactor, texts: StoredTexts, plain_bodies: PlainBodies | None = None
    ) -> None:
        self._redactor = redactor
        self._plain_bodies = plain_bodies or PlainBodies()
        self._texts = texts
        self._bodies = Packer(redactor)

    def build(self, record: FlowRecord) -> Draft:
        """Return the parts of a record, without its websocket messages."""
        draft = Draft()
        for side in record.sides:
            draft.recorded[side.side] = (side, _content_encoding(side.headers))
            draft.parts.sides.append(self._side(record, side, draft))
        for seq, step in enumerate(record.hooks):
            draft.parts.steps.append(self._step(record, seq, step, draft))
        for attempt in record.attempts:
            draft.parts.attempts.append(self._attempt(attempt))
        return draft

    def message(
        self, record: FlowRecord, message: WebSocketRecord, draft: Draft
    ) -> WebSocketMessage:
        """Return the row of a websocket message, with its body in the draft."""
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

    def readable(self, side_name: str, draft: Draft) -> bytes:
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

    def _side(self, record: FlowRecord, side: SideRecord, draft: Draft) -> dict[str, Any]:
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

    def _step(self, record: FlowRecord, seq: int, step: HookStep, draft: Draft) -> dict[str, Any]:
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

    def _store_side(self, record: FlowRecord, side: SideRecord, draft: Draft) -> StoredBody | None:
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

    def _store_step(self, record: FlowRecord, step: HookStep, draft: Draft) -> dict[str, str]:
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
        draft: Draft,
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

    def _header_index(self, headers: Headers, draft: Draft) -> int:
        # The record holds the objects, so no other one can get the same id.
        index = draft.header_indexes.get(id(headers))
        if index is None:
            redacted = self._redactor.headers(headers)
            index = draft.parts.add_headers(database_json(redacted))
            draft.header_indexes[id(headers)] = index
        return index


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
