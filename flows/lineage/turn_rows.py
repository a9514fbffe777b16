"""Turns of a recorded websocket, timed and priced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from flows.bodies.store import load_bodies
from flows.lineage.first_difference import (
    CLIENT,
    cached_tokens,
    lost_behind_rewind,
    lost_tokens,
    lost_usd,
)
from flows.lineage.socket_turns import Frame, SocketTurn, socket_turns
from flows.models import Flow, FlowLink, WebSocketMessage
from flows.reading.token_usage import Metered
from providers.prices.cost import Call, cost_of
from providers.prices.own_prices import OwnPrices

MAX_MESSAGES: Final = 5000
"""Newest messages of a connection that are read."""
_prices = OwnPrices()


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One turn. `flow` has the columns of a row of the list, and is not stored."""

    turn: SocketTurn
    flow: Flow
    lost_tokens: int | None = None
    lost_usd: Decimal | None = None

    @property
    def broken_link(self) -> FlowLink | None:
        """The cache break as a link that is not stored; None if the cache was kept."""
        broken = self.turn.broken
        if broken is None or self.turn.is_rewind:
            return None
        return FlowLink(
            flow_id=self.flow.pk,
            path=broken.path,
            kind=broken.kind,
            author=CLIENT,
            lost_tokens=self.lost_tokens,
            lost_usd=self.lost_usd,
        )

    @property
    def cache_share(self) -> float | None:
        """Share of the input that came from the cache; None when it is not reported."""
        if self.flow.cache_read_tokens is None or not self.flow.input_tokens:
            return None
        return self.flow.cache_read_tokens / self.flow.input_tokens


def frames_of(flow: Flow, limit: int = MAX_MESSAGES) -> list[Frame]:
    """Return the newest messages of a websocket in order. Two queries."""
    newest = WebSocketMessage.objects.filter(flow_id=flow.pk, is_text=True).order_by("-seq")
    messages = list(reversed(newest[:limit]))
    bodies = load_bodies(message.body_digest for message in messages)
    return [
        Frame(each.seq, each.at_ms, each.from_client, bodies.get(each.body_digest, b""))
        for each in messages
    ]


def turns_of(flow: Flow) -> list[TurnRow]:
    """Return the turns of a websocket in order; none if no model was asked."""
    return rows_of(flow, frames_of(flow)) if flow.is_websocket else []


def rows_of(flow: Flow, frames: Iterable[Frame]) -> list[TurnRow]:
    """Return the turns that some messages of a websocket make."""
    rows: dict[int, TurnRow] = {}
    for turn in socket_turns(frames):
        rows[turn.number] = _row(flow, turn, rows)
    return list(rows.values())


def _row(connection: Flow, turn: SocketTurn, earlier: dict[int, TurnRow]) -> TurnRow:
    flow = _as_flow(connection, turn)
    if turn.broken is None or turn.previous is None:
        return TurnRow(turn, flow)
    available = cached_tokens(earlier[turn.previous.number].flow)
    lost = lost_tokens(flow, available)
    if turn.is_rewind:
        lost = lost_behind_rewind(flow, available, turn.broken)
    return TurnRow(turn, flow, lost, lost_usd(flow, lost, _prices()))


def _as_flow(connection: Flow, turn: SocketTurn) -> Flow:
    """Return a turn as a row that is not stored: names, times, sizes, tokens, cost."""
    flow = Flow(
        id=connection.pk,
        started_at=connection.started_at + timedelta(milliseconds=turn.began_ms),
        requested_model=turn.model,
        sent_model=turn.model,
        provider=connection.provider,
        provider_type=connection.provider_type,
        forwarded_url=connection.forwarded_url,
        asked=turn.asked,
        tool_result=turn.tool_result,
        said=turn.said,
        error=turn.failure or (connection.error if turn.is_running else ""),
        state=_state(connection, turn),
        status_code=connection.status_code,
        is_websocket=True,
        duration_ms=turn.duration_ms,
        first_event_ms=turn.wait_ms,
        request_size_bytes=turn.sent_bytes,
        response_size_bytes=turn.received_bytes,
        event_count=turn.events,
    )
    if turn.metered is not None:
        _price(flow, turn.metered)
    return flow


def _state(connection: Flow, turn: SocketTurn) -> str:
    if turn.failure:
        return Flow.State.ERROR
    if not turn.is_running:
        return Flow.State.DONE
    is_open = connection.state == Flow.State.LIVE
    return Flow.State.LIVE if is_open else Flow.State.ERROR


def _price(flow: Flow, metered: Metered) -> None:
    usage = metered.usage
    flow.input_tokens = usage.input_tokens
    flow.output_tokens = usage.output_tokens
    flow.cache_read_tokens = usage.cached_tokens
    flow.cache_write_tokens = usage.cache_write_tokens
    flow.reasoning_tokens = usage.reasoning_tokens
    # Websockets go to the provider's own https address, or its prices would not be found.
    url = flow.forwarded_url.replace("wss://", "https://", 1)
    model = flow.requested_model or metered.model
    call = Call(model, url, flow.provider, flow.provider_type, flow.started_at)
    cost = cost_of(usage, call, _prices())
    flow.cost_usd = cost.usd if cost else None
