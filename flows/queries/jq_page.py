"""The flow list under a jq filter: rows if the filter keeps flows, otherwise its results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.safestring import SafeString

from flows.display.safe_text import visible
from flows.display.units import plural
from flows.models import Flow
from flows.queries.cursor import FlowPage
from flows.queries.flow_set import MAX_JQ_FLOWS, ids_of, jq_window, missing_field
from flows.queries.jq import JqError
from flows.queries.selectors import rows

SHOWN_ROWS: Final = 300
SHOWN_CHARS: Final = 100_000


@dataclass(frozen=True, slots=True)
class JqPage:
    """Rows, a value or an error, and a note about the flows that jq did not see."""

    page: FlowPage = field(default_factory=lambda: FlowPage([], ""))
    value: SafeString = field(default_factory=SafeString)
    note: str = ""
    error: str = ""


def jq_page(flows: QuerySet[Flow], source: str, *, max_flows: int = MAX_JQ_FLOWS) -> JqPage:
    """Apply jq to the newest flows of a queryset; a failure is an error on the page."""
    newest = flows.order_by("-started_at", "-id")
    try:
        window = jq_window(newest, [source], max_flows=max_flows)
    except JqError as exc:
        return JqPage(error=str(exc))
    notes = []
    if window.last:
        notes.append(f"jq looked at the newest {max_flows}.")

    ids = ids_of(window.results)
    if ids is None:
        count = plural(len(window.results), "value")
        notes.insert(0, f"The filter returns {count}, not flows.")
        return JqPage(value=_shown(window.results), note=" ".join(notes))

    if not ids:
        notes.append(missing_field([source]))

    shown = ids[:SHOWN_ROWS]
    if len(ids) > SHOWN_ROWS:
        notes.insert(0, f"The first {SHOWN_ROWS} of {len(ids)} flows are shown.")
    page = FlowPage(_rows_in_order(shown), "")
    return JqPage(page, note=" ".join(notes).strip())


def _rows_in_order(ids: list[str]) -> list[Flow]:
    # In the filter's order, not in the list's: jq may have sorted them.
    named = Flow.objects.filter(pk__in=ids)
    by_id = {flow.pk: flow for flow in rows(named)}
    return [by_id[flow_id] for flow_id in ids if flow_id in by_id]


def _shown(results: list[Any]) -> SafeString:
    text = json.dumps(results, indent=2, ensure_ascii=False)
    if len(text) > SHOWN_CHARS:
        text = f"{text[:SHOWN_CHARS]}\n… ({len(text)} characters)"
    return visible(text)
