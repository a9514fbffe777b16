"""One session: its requests in order, threads, totals, cache hits and the growth of the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from flows.display.session_names import main_thread
from flows.flow_link import is_guessed
from flows.models import FAILED, Flow, FlowLink

MAX_ROWS: Final = 500
CHART_WIDTH: Final = 1000.0
CHART_HEIGHT: Final = 160.0
_MIN_COLUMNS: Final = 12
_COLUMN_SHARE: Final = 0.82
_ROW_FIELDS: Final = (
    "id",
    "state",
    "started_at",
    "method",
    "path",
    "provider",
    "requested_model",
    "sent_model",
    "conversation_id",
    "status_code",
    "error",
    "is_stream",
    "is_websocket",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cost_usd",
    "finished_at",
    "first_byte_ms",
    "first_event_ms",
    "asked",
    "tool_result",
    "said",
    "user_agent",
    "run_label",
    "client_format",
    "provider_format",
)
_LINK_FIELDS: Final = (
    "link__flow_id",
    "link__thread",
    "link__kind",
    "link__path",
    "link__author",
    "link__relation",
    "link__lost_tokens",
)
_LOST_SHARE: Final = 0.5
_LOST_TOKENS: Final = 1024
"""Vendors cache no shorter prompt."""


@dataclass(slots=True)
class Thread:
    """Requests that continue one prompt: the main thread, a sub-agent, a side question."""

    key: str
    letter: str
    requests: int = 0
    models: list[str] = field(default_factory=list)
    largest_tokens: int | None = None
    cost_usd: Decimal | None = None
    main: bool = False


@dataclass(slots=True)
class Row:
    """One request of the timeline. `bar` is its column of the chart, None without token counts."""

    flow: Flow
    thread: Thread
    since_ms: float
    cache_share: float | None
    cache_lost: bool
    bar: Bar | None = None
    turn: int = 0
    """Number of an earlier turn of a websocket; 0 for anything else."""
    rewound: bool = False
    """It goes on from an earlier message with other words."""

    @property
    def anchor(self) -> str:
        """Id of its response on a page."""
        return f"m-{self.flow.pk}-{self.turn}" if self.turn else f"m-{self.flow.pk}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A column of the chart: tokens read from the cache below, the other ones above."""

    x: float
    width: float
    cached_y: float
    cached_height: float
    fresh_y: float
    fresh_height: float


@dataclass(frozen=True, slots=True)
class Session:
    """A session for its page. `totals` cover all requests, `rows` the newest of them."""

    id: str
    rows: list[Row]
    threads: list[Thread]
    totals: dict[str, Any]
    cache_share: float | None
    highest_tokens: int
    left_out: int
    newest: Flow | None


def session(session_id: str, max_rows: int | None = None) -> Session | None:
    """Return a session by its id; None when no flow has it. Two queries.

    Args:
        max_rows: number of its newest requests that become rows; None for `MAX_ROWS`.
    """
    # PostgreSQL refuses NUL in a text.
    if "\0" in session_id:
        return None
    return session_of(flows_of(session_id), session_id, max_rows)


def session_of(
    flows_of_session: QuerySet[Flow], session_id: str, max_rows: int | None = None
) -> Session | None:
    """Return some flows as a session; None when there are none. Two queries."""
    totals = totals_of(flows_of_session)
    if not totals["requests"]:
        return None
    with_links = flows_of_session.select_related("link").only(*_ROW_FIELDS, *_LINK_FIELDS)
    newest_first = with_links.order_by("-started_at", "-id")
    flows = list(newest_first[: max_rows or MAX_ROWS])
    flows.reverse()
    threads = _threads(flows)
    _mark_main(threads, flows, is_complete=totals["requests"] == len(flows))
    rows = _rows(flows, {thread.key: thread for thread in threads})
    highest = _draw(rows)
    return Session(
        id=session_id,
        rows=rows,
        threads=threads,
        totals=totals,
        cache_share=cache_share(totals["cache_read"], totals["cacheable"]),
        highest_tokens=highest,
        left_out=totals["requests"] - len(rows),
        newest=_newest_of_main(rows),
    )


def flows_of(session_id: str) -> QuerySet[Flow]:
    """Return the flows of a session."""
    return of_session(Flow.objects.all(), session_id)


def of_session(flows: QuerySet[Flow], session_id: str) -> QuerySet[Flow]:
    """Keep the flows of a session, also of a guessed one."""
    if is_guessed(session_id):
        return flows.filter(link__session=session_id)
    return flows.filter(session_id=session_id)


def thread_key(flow: Flow) -> str:
    """Return the id of a flow's thread: of its link, else what the proxy guessed."""
    link: FlowLink | None = getattr(flow, "link", None)
    return link.thread if link else flow.conversation_id


def is_rewound(flow: Flow) -> bool:
    """Return whether a flow goes on from an earlier message of its thread."""
    link: FlowLink | None = getattr(flow, "link", None)
    return link is not None and link.is_rewind


def cache_share(read: int | None, of: int | None) -> float | None:
    """Return the share of the input that came from the cache; None when it is not reported."""
    if read is None or not of:
        return None
    return read / of


def _newest_of_main(rows: Sequence[Row]) -> Flow | None:
    for row in reversed(rows):
        if row.thread.main and row.flow.input_tokens is not None:
            return row.flow
    return None


def totals_of(chosen: QuerySet[Flow]) -> dict[str, Any]:
    """Return the sums of some flows: requests, failures, times, tokens, cost."""
    without_price = Q(input_tokens__isnull=False, cost_usd__isnull=True)
    return chosen.aggregate(
        requests=Count("pk"),
        failed=Count("pk", filter=FAILED),
        began=Min("started_at"),
        ended=Max("started_at"),
        reasoning=Sum("reasoning_tokens"),
        cache_write=Sum("cache_write_tokens"),
        unpriced=Count("pk", filter=without_price),
        **sums_of_tokens(),
    )


def sums_of_tokens() -> dict[str, Sum]:
    """Return the sums that lists of sessions show too; `cacheable` is what `cache_read` is of."""
    return {
        "input": Sum("input_tokens"),
        "output": Sum("output_tokens"),
        "cache_read": Sum("cache_read_tokens"),
        "cacheable": Sum("input_tokens", filter=Q(cache_read_tokens__isnull=False)),
        "cost": Sum("cost_usd"),
    }


def _threads(flows: Sequence[Flow]) -> list[Thread]:
    threads: dict[str, Thread] = {}
    for flow in flows:
        key = thread_key(flow)
        if key not in threads:
            threads[key] = Thread(key, _letter(len(threads)))
        _count_in(threads[key], flow)
    return list(threads.values())


def _mark_main(threads: Sequence[Thread], flows: Sequence[Flow], *, is_complete: bool) -> None:
    main = main_thread((thread_key(flow), flow.input_tokens) for flow in flows)
    if not is_complete:
        # Where the session began is not known. The conversation fills the largest context.
        largest = max(threads, key=lambda thread: (thread.largest_tokens or 0, thread.requests))
        main = largest.key
    for thread in threads:
        thread.main = thread.key == main


def _count_in(thread: Thread, flow: Flow) -> None:
    thread.requests += 1
    model = flow.sent_model or flow.requested_model
    if model and model not in thread.models:
        thread.models.append(model)
    if flow.input_tokens is not None:
        thread.largest_tokens = max(thread.largest_tokens or 0, flow.input_tokens)
    # A sum without any known price stays None: 0 would claim that the thread was free.
    if flow.cost_usd is not None:
        thread.cost_usd = (thread.cost_usd or Decimal(0)) + flow.cost_usd


def _letter(index: int) -> str:
    """Name a thread: 0 → "A", 25 → "Z", 26 → "27"."""
    if index < 26:
        return chr(ord("A") + index)
    return str(index + 1)


def _rows(flows: Sequence[Flow], threads: dict[str, Thread]) -> list[Row]:
    """Build the timeline, and mark requests whose cache was lost.

    Example: a request that read 9,000 tokens and wrote 1,000 leaves 10,000 in the cache. If the
    next one of its thread reads 2,000 of them, its cache was lost.
    """
    rows = []
    cached: dict[str, int] = {}
    for flow in flows:
        key = thread_key(flow)
        read = flow.cache_read_tokens
        written = flow.cache_write_tokens
        available = cached.get(key, 0)
        if read is not None or written is not None:
            cached[key] = (read or 0) + (written or 0)
        if is_rewound(flow):
            # What comes behind the change is not wanted from the cache any more.
            available = min(available, flow.input_tokens or available)
        worth_caching = available >= _LOST_TOKENS
        lost = worth_caching and read is not None and read < available * _LOST_SHARE
        since = flow.started_at - flows[0].started_at
        rows.append(
            Row(
                flow=flow,
                thread=threads[key],
                since_ms=since.total_seconds() * 1000,
                cache_share=cache_share(read, flow.input_tokens),
                cache_lost=lost,
                rewound=is_rewound(flow),
            )
        )
    return rows


def _draw(rows: Sequence[Row]) -> int:
    """Give each row its column; return the number of tokens of the chart's height."""
    measured = [row for row in rows if row.flow.input_tokens is not None]
    highest = max((row.flow.input_tokens or 0 for row in measured), default=0)
    step = CHART_WIDTH / max(len(measured), _MIN_COLUMNS)
    per_token = CHART_HEIGHT / highest if highest else 0.0
    for number, row in enumerate(measured):
        total = row.flow.input_tokens or 0
        # Some gateways count cached tokens apart from the input.
        cached = min(row.flow.cache_read_tokens or 0, total)
        height = total * per_token
        cached_height = cached * per_token
        row.bar = Bar(
            x=number * step,
            width=step * _COLUMN_SHARE,
            cached_y=CHART_HEIGHT - cached_height,
            cached_height=cached_height,
            fresh_y=CHART_HEIGHT - height,
            fresh_height=height - cached_height,
        )
    return highest
