"""Everything about one session: its requests in order, threads, totals, cache hits and how the
context grew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, Sum

from flows.models import Flow

MAX_ROWS: Final = 500
CHART_WIDTH: Final = 1000.0
CHART_HEIGHT: Final = 160.0
_ROW_FIELDS: Final = (
    "id", "state", "started_at", "method", "path", "provider", "requested_model", "sent_model",
    "conversation_id",
    "status_code", "error", "is_stream", "is_websocket", "duration_ms", "input_tokens",
    "output_tokens",
    "cache_read_tokens", "cache_write_tokens", "cost_usd",
)  # fmt: skip
_LOST_SHARE: Final = 0.5
_LOST_TOKENS: Final = 1024
"""Vendors cache nothing shorter."""


@dataclass(slots=True)
class Thread:
    """Requests that go on from one first message: the main thread, a sub-agent, a side question."""

    key: str
    letter: str
    requests: int = 0
    models: list[str] = field(default_factory=list)
    largest_tokens: int | None = None
    cost_usd: Decimal | None = None
    main: bool = False


@dataclass(slots=True)
class Row:
    """One request of the timeline. `bar` is its place in the chart, None without a token count."""

    flow: Flow
    thread: Thread
    since_ms: float
    cache_share: float | None
    cache_lost: bool
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A column of the chart: what was read from the cache below, the rest above."""

    x: float
    width: float
    cached_y: float
    cached_height: float
    fresh_y: float
    fresh_height: float


@dataclass(frozen=True, slots=True)
class Session:
    """What the page shows. `totals` cover all requests, `rows` the newest 500."""

    id: str
    rows: list[Row]
    threads: list[Thread]
    totals: dict[str, Any]
    cache_share: float | None
    highest_tokens: int
    left_out: int
    newest: Flow | None


def session(session_id: str) -> Session | None:
    """A session by its id; None when no flow has it. Two queries."""
    totals = _totals(session_id)
    if not totals["requests"]:
        return None
    newest = (
        Flow.objects.filter(session_id=session_id).only(*_ROW_FIELDS).order_by("-started_at", "-id")
    )
    flows = list(newest[:MAX_ROWS])[::-1]
    threads = _threads(flows)
    rows = _rows(flows, {thread.key: thread for thread in threads})
    highest = _draw(rows)
    main = next(
        (
            row.flow
            for row in reversed(rows)
            if row.thread.main and row.flow.input_tokens is not None
        ),
        None,
    )
    return Session(
        id=session_id,
        rows=rows,
        threads=threads,
        totals=totals,
        cache_share=cache_share(totals["cache_read"], totals["cacheable"]),
        highest_tokens=highest,
        left_out=totals["requests"] - len(rows),
        newest=main,
    )


def cache_share(read: int | None, of: int | None) -> float | None:
    """The share of the input that came from the cache; None when nobody told."""
    return read / of if read is not None and of else None


def _totals(session_id: str) -> dict[str, Any]:
    told = Q(cache_read_tokens__isnull=False)
    metered = Q(input_tokens__isnull=False)
    return Flow.objects.filter(session_id=session_id).aggregate(
        requests=Count("pk"),
        failed=Count("pk", filter=Q(state=Flow.State.ERROR) | Q(status_code__gte=400)),
        began=Min("started_at"),
        ended=Max("started_at"),
        input=Sum("input_tokens"),
        output=Sum("output_tokens"),
        reasoning=Sum("reasoning_tokens"),
        cache_read=Sum("cache_read_tokens"),
        cache_write=Sum("cache_write_tokens"),
        cacheable=Sum("input_tokens", filter=told),
        cost=Sum("cost_usd"),
        unpriced=Count("pk", filter=metered & Q(cost_usd__isnull=True)),
    )


def _threads(flows: Sequence[Flow]) -> list[Thread]:
    threads: dict[str, Thread] = {}
    for flow in flows:
        if flow.conversation_id not in threads:
            threads[flow.conversation_id] = Thread(flow.conversation_id, _letter(len(threads)))
        thread = threads[flow.conversation_id]
        thread.requests += 1
        model = flow.sent_model or flow.requested_model
        if model and model not in thread.models:
            thread.models.append(model)
        if flow.input_tokens is not None:
            thread.largest_tokens = max(thread.largest_tokens or 0, flow.input_tokens)
        if flow.cost_usd is not None:
            thread.cost_usd = (thread.cost_usd or Decimal(0)) + flow.cost_usd
    if threads:
        max(
            threads.values(), key=lambda thread: (thread.largest_tokens or 0, thread.requests)
        ).main = True
    return list(threads.values())


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else str(number + 1)


def _rows(flows: Sequence[Flow], threads: dict[str, Thread]) -> list[Row]:
    rows = []
    held: dict[str, int] = {}
    for flow in flows:
        before = held.get(flow.conversation_id, 0)
        read = flow.cache_read_tokens
        if flow.cache_read_tokens is not None or flow.cache_write_tokens is not None:
            held[flow.conversation_id] = (read or 0) + (flow.cache_write_tokens or 0)
        lost = before >= _LOST_TOKENS and read is not None and read < before * _LOST_SHARE
        since = (flow.started_at - flows[0].started_at).total_seconds() * 1000
        share = cache_share(read, flow.input_tokens)
        rows.append(Row(flow, threads[flow.conversation_id], since, share, lost))
    return rows


def _draw(rows: Sequence[Row]) -> int:
    """Give each row its column; returns the number of tokens that the chart's height stands for."""
    shown = [row for row in rows if row.flow.input_tokens is not None]
    highest = max((row.flow.input_tokens or 0 for row in shown), default=0)
    step = CHART_WIDTH / max(len(shown), 12)
    for number, row in enumerate(shown):
        total, cached = (
            row.flow.input_tokens or 0,
            min(row.flow.cache_read_tokens or 0, row.flow.input_tokens or 0),
        )
        height, below = (
            (total / highest * CHART_HEIGHT, cached / highest * CHART_HEIGHT)
            if highest
            else (0.0, 0.0)
        )
        row.bar = Bar(
            x=number * step,
            width=step * 0.82,
            cached_y=CHART_HEIGHT - below,
            cached_height=below,
            fresh_y=CHART_HEIGHT - height,
            fresh_height=height - below,
        )
    return highest
