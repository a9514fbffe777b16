"""The flow list under a jq filter: rows when it keeps flows, otherwise whatever it makes of
them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.safestring import SafeString

from flows.display.safe_text import visible
from flows.display.units import plural
from flows.models import Flow
from flows.queries.flow_set import MAX_JQ_FLOWS, ids_of, jq_window
from flows.queries.jq import JqError
from flows.queries.selectors import FlowPage, rows

SHOWN_ROWS: Final = 300
SHOWN_CHARS: Final = 100_000


@dataclass(frozen=True, slots=True)
class JqPage:
    """Rows or a value or an error, and what to say about how much was looked at."""

    page: FlowPage = field(default_factory=lambda: FlowPage([], ""))
    value: SafeString = field(default_factory=SafeString)
    note: str = ""
    error: str = ""


def jq_page(flows: QuerySet[Flow], source: str) -> JqPage:
    """Ask jq about the newest flows of a queryset; its failure is an error on the page."""
    try:
        results, last = jq_window(flows.order_by("-started_at", "-id"), [source])
    except JqError as exc:
        return JqPage(error=str(exc))
    looked_at = f"jq looked at the newest {MAX_JQ_FLOWS}." if last else ""
    ids = ids_of(results)
    if ids is None:
        count = plural(len(results), "value")
        return JqPage(
            value=_shown(results), note=f"The filter gives {count}, not flows. {looked_at}".strip()
        )
    found = {flow.pk: flow for flow in rows(Flow.objects.filter(pk__in=ids[:SHOWN_ROWS]))}
    kept = [found[flow_id] for flow_id in ids[:SHOWN_ROWS] if flow_id in found]
    cut = f"The first {SHOWN_ROWS} of {len(ids)} flows are shown." if len(ids) > SHOWN_ROWS else ""
    return JqPage(FlowPage(kept, ""), note=f"{cut} {looked_at}".strip())


def _shown(results: list[Any]) -> SafeString:
    text = json.dumps(results, indent=2, ensure_ascii=False)
    return visible(
        text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}\n… ({len(text)} characters)"
    )
