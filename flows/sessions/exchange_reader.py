"""Requests and responses of a session's flows, read from their stored bodies when needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from flows.lineage.socket_turns import Frame
from flows.lineage.turn_rows import TurnRow, rows_of
from flows.models import Flow, FlowParts
from flows.queries import selectors
from flows.reading.body_view import side_body
from flows.reading.decoded import Answer, format_of, read_answer, read_request
from flows.reading.websocket_chat import PATH, socket_exchange
from flows.sides import FlowSide, answer_side
from providers.base.names import OPENAI_RESPONSES, WireFormatName
from providers.wire.core.ir import Request
from providers.wire.core.jsonio import dumps

MAX_READ_BYTES: Final = 64 * 1024 * 1024
"""Requests that are read for one page, before they are decompressed."""
_BATCH_FLOWS: Final = 16
_BATCH_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class Exchange:
    """A flow with the format of its conversation, its sides, and its response as it was read."""

    flow: Flow
    wire: WireFormatName | None = None
    request_side: FlowSide | None = None
    answer: Answer = field(default_factory=Answer)
    request: Request | None = None
    is_read: bool = False
    """The request was looked for already."""
    request_body: bytes = b""
    answer_body: bytes = b""
    """Bodies without content encoding, if the reader keeps them."""
    turn: TurnRow | None = None
    """The turn of a websocket that it is."""
    earlier: list[Exchange] = field(default_factory=list)
    """The turns of a websocket before its last one, which is the exchange itself."""


class ExchangeReader:
    """Reader of the flows of one session: all responses at once, requests one after the other."""

    def __init__(
        self,
        flows: Sequence[Flow],
        *,
        max_read_bytes: int = MAX_READ_BYTES,
        keep_bodies: bool = False,
    ) -> None:
        self._left_bytes = max_read_bytes
        self._keep_bodies = keep_bodies
        self.exchanges = [Exchange(flow) for flow in flows]
        self.left_out = 0
        self._read_answers()

    def prefetch(self, exchanges: Iterable[Exchange]) -> None:
        """Read the requests of these exchanges with one query."""
        wanted = []
        for exchange in exchanges:
            if not exchange.is_read and exchange.request_side is not None:
                wanted.append(exchange)
        self._read_requests(wanted)

    def request(self, thread: Sequence[Exchange], index: int) -> Request | None:
        """Return the request of an exchange; earlier small ones of its thread are read with it."""
        exchange = thread[index]
        if not exchange.is_read:
            self._read_requests(_batch(thread, index))
        return exchange.request

    def _read_answers(self) -> None:
        ids = [exchange.flow.pk for exchange in self.exchanges]
        parts = FlowParts.objects.filter(pk__in=ids).defer("steps")
        sides = {one.pk: one.by_side() for one in parts}
        answered: list[tuple[Exchange, FlowSide]] = []
        for exchange in self.exchanges:
            of_flow = sides.get(exchange.flow.pk, {})
            if exchange.flow.is_websocket:
                _read_websocket(exchange)
                continue
            _find_request(exchange, of_flow)
            answer = answer_side(of_flow)
            if answer is not None and exchange.wire is not None:
                answered.append((exchange, answer))
        bodies = selectors.load_bodies(side.body_digest for _, side in answered)
        for exchange, side in answered:
            wire = _answer_format(exchange, side)
            if wire is not None and bodies.get(side.body_digest):
                plain = side_body(side, bodies).plain
                exchange.answer = read_answer(wire, plain, side.status_code)
                if self._keep_bodies:
                    exchange.answer_body = plain

    def _read_requests(self, exchanges: Sequence[Exchange]) -> None:
        readable = []
        for exchange in exchanges:
            exchange.is_read = True
            side = exchange.request_side
            if side is None or exchange.wire is None:
                continue
            if side.body_size_bytes > self._left_bytes:
                self.left_out += 1
                continue
            self._left_bytes -= side.body_size_bytes
            readable.append((exchange, side))
        if not readable:
            return
        bodies = selectors.load_bodies(side.body_digest for _, side in readable)
        for exchange, side in readable:
            plain = side_body(side, bodies).plain
            url = side.url or exchange.flow.path
            if exchange.wire is not None:
                exchange.request = read_request(exchange.wire, url, plain).request
            if self._keep_bodies:
                exchange.request_body = plain


def _batch(thread: Sequence[Exchange], index: int) -> list[Exchange]:
    batch = [thread[index]]
    size_bytes = 0
    for exchange in reversed(thread[max(0, index - _BATCH_FLOWS) : index]):
        side = exchange.request_side
        size_bytes += side.body_size_bytes if side else 0
        if size_bytes > _BATCH_BYTES:
            break
        if not exchange.is_read:
            batch.append(exchange)
    return batch


def _find_request(exchange: Exchange, sides: dict[str, FlowSide]) -> None:
    side = sides.get("client") or sides.get("forwarded")
    if side is None:
        return
    flow = exchange.flow
    exchange.request_side = side
    recorded = flow.client_format if side.side == "client" else flow.provider_format
    exchange.wire = format_of(recorded, side.url or flow.path)


def _answer_format(exchange: Exchange, side: FlowSide) -> WireFormatName | None:
    # Only the delivered response is in the client's format; the provider's may be another one.
    if side.side == "delivered":
        return exchange.wire
    flow = exchange.flow
    return format_of(flow.provider_format or flow.client_format, flow.path)


def _read_websocket(exchange: Exchange) -> None:
    """Read the last request of a websocket, with everything that led to it, and its response.

    A client may begin anew on the same connection, so that the last request has not everything.
    """
    messages = selectors.telling_messages(exchange.flow.pk)
    bodies = selectors.load_bodies(message.body_digest for message in messages)
    frames = [(message.from_client, bodies.get(message.body_digest, b"")) for message in messages]
    request, answer = socket_exchange(frames)
    exchange.wire = OPENAI_RESPONSES
    exchange.request = request
    exchange.answer = answer or Answer()
    exchange.is_read = True
    turns = [
        Frame(message.seq, message.at_ms, message.from_client, data)
        for message, (_, data) in zip(messages, frames, strict=True)
    ]
    rows = rows_of(exchange.flow, turns)
    exchange.turn = rows[-1] if rows else None
    exchange.earlier = [_exchange_of(row) for row in rows[:-1] if row.turn.items]


def _exchange_of(row: TurnRow) -> Exchange:
    """Return a turn of a websocket that has a response."""
    answer = read_answer(OPENAI_RESPONSES, dumps({"output": row.turn.items}), 200)
    if row.turn.failure:
        answer = Answer(answer.blocks, failure=row.turn.failure, complete=False)
    request = read_request(OPENAI_RESPONSES, PATH, dumps(row.turn.request)).request
    return Exchange(
        row.flow,
        OPENAI_RESPONSES,
        answer=answer,
        request=request,
        is_read=True,
        turn=row,
    )
