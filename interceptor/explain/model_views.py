"""Page of what is known of models."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from flows.console.page_access import staff_page
from flows.queries.rights import VIEW_FLOWS
from providers.model_listing import current_table, fact_values, row_values, shown

MAX_NAME_CHARS = 200


@require_http_methods(["GET", "HEAD"])
@staff_page(VIEW_FLOWS)
def models_page(request: HttpRequest) -> HttpResponse:
    """Show the facts about one model (`?model=NAME&host=HOST`), and the complete table."""
    table = current_table()
    model = request.GET.get("model", "")[:MAX_NAME_CHARS]
    host = request.GET.get("host", "")[:MAX_NAME_CHARS]
    context: dict[str, Any] = {"model": model, "host": host}
    if model:
        facts = table.of(model, host)
        context |= {
            "is_known": facts.known,
            "facts": _shown(fact_values(facts)),
            "sources": facts.sources,
        }
    context["rows"] = [_row(row_values(row)) for row in table.rows]
    return render(request, "interceptor/models.html", context)


def _row(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "models": ", ".join(values["models"]),
        "hosts": ", ".join(values["hosts"]),
        "family": values["family"],
        "source": values["source"],
        "confirmed": values["confirmed"],
        "facts": _shown(values["facts"]),
    }


def _shown(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of facts for people: forced_tools, False → forced tools, no."""
    return [(name.replace("_", " "), shown(value)) for name, value in values.items()]
