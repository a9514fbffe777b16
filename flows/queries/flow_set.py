"""Sets of flows for a command, a page or an API call: by filter, by id, by jq."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from flows.models import Flow
from flows.queries.jq import JqLimits, run_jq
from flows.queries.jq_names import field_hint
from flows.queries.summary import flow_summary
from providers.base.errors import CcproxyError

MAX_JQ_FLOWS: Final = 10_000
"""Number of the newest flows that the console and the API give to jq."""

_CHUNK_ROWS: Final = 200
_SHOWN_REFERENCE_CHARS: Final = 60
_MAX_CANDIDATES: Final = 4


class FlowSetError(CcproxyError):
    """A reference to no flow, or to several; the message says what to do."""


class JqWindow(NamedTuple):
    """The values that jq made of some flows, and the last of these flows when there are older."""

    results: list[Any]
    last: Flow | None


def jq_filters(own: Sequence[str]) -> list[str]:
    """Put the filters of the configuration (`flows.default_jq_filters`) before a user's own."""
    return [*settings.CCPROXY.flows.default_jq_filters, *own]


def with_headers(flows: QuerySet[Flow]) -> QuerySet[Flow]:
    """Load flows with the headers of their sides, in the same query."""
    return flows.select_related("parts").defer("search_text", "parts__steps")


def summaries(flows: QuerySet[Flow]) -> Iterator[dict[str, Any]]:
    """Yield the JSON of each flow, read in chunks: the record need not fit into memory."""
    for flow in with_headers(flows).iterator(chunk_size=_CHUNK_ROWS):
        yield flow_summary(flow, flow.sides)


def timed_summaries(flows: QuerySet[Flow]) -> Iterator[dict[str, Any]]:
    """Yield the JSON of each flow with `time`, the start as people write it."""
    for flow in with_headers(flows).iterator(chunk_size=_CHUNK_ROWS):
        time = f"{flow.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        yield {**flow_summary(flow, flow.sides), "time": time}


def chosen_ids(flows: QuerySet[Flow], filters: Sequence[str]) -> list[str]:
    """Return the ids of the flows that the jq filters keep, in the filters' order.

    Without a filter these are all of them.

    Raises:
        FlowSetError: the filters return something else than flows.
        JqError: a filter fails.
    """
    if not any(text.strip() for text in filters):
        return list(flows.values_list("pk", flat=True))
    ids = ids_of(run_jq(filters, timed_summaries(flows)))
    if ids is None:
        raise FlowSetError(
            "The jq filters have to keep flows here, or at least their id: use select(...)."
        )
    return ids


def missing_field(filters: Sequence[str]) -> str:
    """Return a sentence about a field in the jq filters that flows lack, or ""."""
    if not any(text.strip() for text in filters):
        return ""
    # A flow without a response has none of its fields.
    newest_answered = Flow.objects.filter(status_code__isnull=False).order_by("-started_at")
    example = next(timed_summaries(newest_answered[:1]), None)
    return field_hint(filters, example) if example else ""


def ids_of(results: Sequence[Any]) -> list[str] | None:
    """Return the ids of results that are flows, or parts of flows with their id, each once.

    None when one of them is something else. Example: `[{"id": "a"}, {"id": "a"}]` → `["a"]`.
    """
    ids: dict[str, None] = {}
    for result in results:
        flow_id = result.get("id") if isinstance(result, dict) else None
        if not isinstance(flow_id, str):
            return None
        ids[flow_id] = None
    return list(ids)


def rows_of(ids: Sequence[str]) -> Iterator[Flow]:
    """Yield the rows of these ids in their order, read in chunks; deleted ones are left out."""
    for start in range(0, len(ids), _CHUNK_ROWS):
        # PostgreSQL refuses NUL in a text.
        chunk = ids[start : start + _CHUNK_ROWS]
        valid = [flow_id for flow_id in chunk if "\0" not in flow_id]
        rows = Flow.objects.defer("search_text").in_bulk(valid)
        for flow_id in valid:
            row = rows.get(flow_id)
            if row is not None:
                yield row


def jq_window(
    flows: QuerySet[Flow],
    own: Sequence[str],
    *,
    max_flows: int = MAX_JQ_FLOWS,
    limits: JqLimits | None = None,
) -> JqWindow:
    """Apply the configured jq filters and a user's own to the newest flows.

    `flows` is sorted newest first.

    Raises:
        JqError: a filter fails.
    """
    # One row more than jq gets tells if there are older flows.
    positions = list(flows.only("id", "started_at")[: max_flows + 1])
    looked_at = summaries(flows[:max_flows])
    results = run_jq(jq_filters(own), looked_at, limits or JqLimits())
    last = None
    if len(positions) > max_flows:
        last = positions[max_flows - 1]
    return JqWindow(results, last)


def newest(number: int | None, of: QuerySet[Flow] | None = None) -> QuerySet[Flow]:
    """Return the newest flows (of all, or of some), oldest of them first."""
    flows = Flow.objects.all() if of is None else of
    if number is not None:
        # The limit needs the other order, so it goes into a query of its own.
        ids = flows.order_by("-started_at", "-id").values("pk")[:number]
        flows = Flow.objects.filter(pk__in=ids)
    return flows.order_by("started_at", "id")


def referred_ids(references: Sequence[str]) -> list[str]:
    """Return the ids of flows named by id or by the start of one, in the order named.

    Raises:
        FlowSetError: a reference fits no flow, or several.
    """
    return [_referred(text.strip().lower()) for text in references]


def _referred(reference: str) -> str:
    candidates: list[str] = []
    if reference and "\0" not in reference:
        flows = Flow.objects.filter(pk__startswith=reference).order_by("-started_at")
        candidates = list(flows.values_list("pk", flat=True)[:_MAX_CANDIDATES])
    # An imported file may have an id that is the start of another one.
    if reference in candidates:
        return reference
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        shown = reference[:_SHOWN_REFERENCE_CHARS]
        raise FlowSetError(f"There is no flow “{shown}”. `ccproxy flows list` shows the ids.")
    raise FlowSetError(
        f"“{reference}” is the start of several flows ({', '.join(candidates)}): write more of"
        " the id."
    )
