"""The page that compares any two flows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from flows.bodies.complete_flow import load_flow
from flows.compare.flow_pair import PARTS, compare_flows, in_words
from flows.console.pages import console_page
from flows.display.safe_text import printable


@console_page
def pair_page(request: HttpRequest, before_id: str, after_id: str) -> HttpResponse:
    """Two flows compared: the requests as the clients sent them (`?of=client`), as forwarded, or
    the answers.
    """
    flows = [load_flow(flow_id) for flow_id in (before_id, after_id)]
    before, after = flows
    if before is None or after is None:
        missing = before_id if before is None else after_id
        return render(request, "flows/missing.html", {"flow_id": printable(missing)}, status=404)
    part = request.GET.get("of", "")
    part = part if part in PARTS else "client"
    pairs = {name: compare_flows(before, after, name) for name in PARTS}
    context = {
        "before": before.flow,
        "after": after.flow,
        "part": part,
        "parts": [
            (name, label, in_words(pairs[name]), pairs[name].change)
            for name, label in PARTS.items()
        ],
        "pair": pairs[part],
        "change": pairs[part].change,
    }
    return render(request, "flows/pair.html", context)
