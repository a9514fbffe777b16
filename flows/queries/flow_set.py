"""Which flows a command, a page or an API call is about: all of a queryset, those somebody named,
those jq keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from flows.models import Flow
from flows.queries.jq import run_jq
from flows.queries.summary import flow_summary
from providers.base.errors import CcproxyError

MAX_JQ_FLOWS: Final = 10_000
"""The console and the API ask jq about this many of the newest flows that match the other
filters.
"""

_CHUNK_ROWS: Final = 200


class FlowSetError(CcproxyError):
    """No flow, or not one flow, is meant; the message says what to do."""


def jq_filters(own: Sequence[str]) -> list[str]:
    """The filters of the configuration (`flows.default_jq_filters`), then one's own."""
    return [*settings.CCPROXY.flows.default_jq_filters, *own]


def with_heads(flows: QuerySet[Flow]) -> QuerySet[Flow]:
    """The flows with the heads of their sides, in the same query."""
    return flows.select_related("parts").defer("search_text", "parts__steps")


def summaries(flows: QuerySet[Flow]) -> Iterator[dict[str, Any]]:
    """The JSON of each flow, read in chunks: the whole record need not fit into memory."""
    for flow in with_heads(flows).iterator(chunk_size=_CHUNK_ROWS):
        yield flow_summary(flow, flow.sides)


def timed_summaries(flows: QuerySet[Flow]) -> Iterator[dict[str, Any]]:
    """The same with `time`, the start as people write it."""
    for flow in with_heads(flows).iterator(chunk_size=_CHUNK_ROWS):
        time = f"{flow.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        yield {**flow_summary(flow, flow.sides), "time": time}


def chosen_ids(flows: QuerySet[Flow], filters: Sequence[str]) -> list[str]:
    """Ids of the flows that the jq filters keep, in the filters' order; all of them without a
    filter.

    Raises:
        FlowSetError: the filters give something else than flows.
        JqError: a filter fails.
    """
    if not any(text.strip() for text in filters):
        return list(flows.values_list("pk", flat=True))
    ids = ids_of(run_jq(filters, timed_summaries(flows)))
    if ids is None:
        raise FlowSetError(
            "The jq filters have to keep whole flows here, or at least their id: use select(...)."
        )
    return ids


def ids_of(results: Sequence[Any]) -> list[str] | None:
    """The ids of results that are flows, or parts of flows with their id, each once; None when one
    is not.
    """
    ids = [found.get("id") if isinstance(found, dict) else None for found in results]
    known = [flow_id for flow_id in ids if isinstance(flow_id, str)]
    return list(dict.fromkeys(known)) if len(known) == len(ids) else None


def rows_of(ids: Sequence[str]) -> Iterator[Flow]:
    """The rows of these ids in their order, some at a time; those that are gone are left out."""
    for start in range(0, len(ids), _CHUNK_ROWS):
        chunk = [flow_id for flow_id in ids[start : start + _CHUNK_ROWS] if "\0" not in flow_id]
        found = Flow.objects.defer("search_text").in_bulk(chunk)
        yield from (found[flow_id] for flow_id in chunk if flow_id in found)


def jq_window(flows: QuerySet[Flow], own: Sequence[str]) -> tuple[list[Any], Flow | None]:
    """What the configured filters and one's own make of the newest `MAX_JQ_FLOWS` of a queryset
    that is sorted so.

    Returns the results, and the last flow that was looked at when there are older ones.

    Raises:
        JqError: a filter fails.
    """
    places = list(flows.only("id", "started_at")[: MAX_JQ_FLOWS + 1])
    return run_jq(jq_filters(own), summaries(flows[:MAX_JQ_FLOWS])), (
        places[MAX_JQ_FLOWS - 1] if len(places) > MAX_JQ_FLOWS else None
    )


def newest(number: int | None, of: QuerySet[Flow] | None = None) -> QuerySet[Flow]:
    """The newest flows (of all, or of some), oldest of them first."""
    flows = (Flow.objects.all() if of is None else of).order_by("-started_at", "-id")
    if number is not None:
        flows = Flow.objects.filter(pk__in=flows.values("pk")[:number])
    return flows.order_by("started_at", "id")


def referred_ids(references: Sequence[str]) -> list[str]:
    """The ids of flows named by id or by the beginning of one, in the order named.

    Raises:
        FlowSetError: a reference fits no flow, or several.
    """
    return [_referred(text.strip().lower()) for text in references]


def _referred(reference: str) -> str:
    found: list[str] = []
    if reference and "\0" not in reference:
        same = Flow.objects.filter(pk__startswith=reference).order_by("-started_at")
        found = list(same.values_list("pk", flat=True)[:4])
    if reference in found or len(found) == 1:
        return reference if reference in found else found[0]
    if not found:
        raise FlowSetError(
            f"There is no flow “{reference[:60]}”. `ccproxy flows list` shows the ids."
        )
    raise FlowSetError(
        f"“{reference}” is the beginning of several flows ({', '.join(found)}): write more of"
        " the id."
    )
