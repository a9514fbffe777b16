"""Page that compares any two flows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from flows.bodies.complete_flow import load_flow
from flows.compare.flow_pair import PARTS, compare_flows, in_words
from flows.console.page_access import console_page
from flows.display.safe_text import printable
from flows.queries.rights import VIEW_FLOWS


@console_page(VIEW_FLOWS)
def pair_page(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """Compare two flows: the requests as sent (`?of=client`), as forwarded, or the responses."""
    before = load_flow(before_id)
    after = load_flow(after_id)
    if before is None or after is None:
        missing = before_id if before is None else after_id
        return render(request, "flows/missing.html", {"flow_id": printable(missing)}, status=404)
    part = request.GET.get("of", "")
    if part not in PARTS:
        part = "client"
    pairs = {name: compare_flows(before, after, name) for name in PARTS}
    parts = []
    for name, label in PARTS.items():
        pair = pairs[name]
        parts.append((name, label, in_words(pair), pair.change))
    context = {
        "before": before.flow,
        "after": after.flow,
        "part": part,
        "parts": parts,
        "pair": pairs[part],
        "change": pairs[part].change,
    }
    return render(request, "flows/pair.html", context)
