"""Views that save, rename and delete a filter of the list. Each ends on the list again."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from flows.console.page_access import staff_page
from flows.display.safe_text import printable
from flows.models import SavedFilter
from flows.queries.saved_filters import MAX_QUERY_CHARS, check_room, clean_query, own_filters

# SQLite refuses a larger integer with an error.
_MAX_ID = 2**62


@require_POST
@staff_page()
def save_filter(request: HttpRequest) -> HttpResponse:
    """Save the filters in `query` as `name`."""
    name = request.POST.get("name", "").strip()
    saved = SavedFilter(owner_id=request.user.pk or 0, name=name)
    saved.shared = bool(request.POST.get("shared"))
    query = request.POST.get("query", "")
    try:
        saved.query = clean_query(query)
        check_room(request.user.pk)
        _store(saved)
    except ValidationError as exc:
        messages.error(request, _sentence(exc))
        # The same list again, unless the query is one that no list ever had.
        return redirect(_list(query if _is_query(query) else ""))
    messages.success(request, f"Saved “{printable(saved.name)}”.")
    return redirect(_list(saved.query))


@require_POST
@staff_page()
def change_filter(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename one of the user's filters to `name`, or with `delete` delete it."""
    saved = own_filters(request.user).filter(pk=pk).first() if pk < _MAX_ID else None
    if saved is None:
        raise Http404("There is no such filter, or it belongs to another user.")
    if request.POST.get("delete"):
        saved.delete()
        messages.success(request, f"Deleted “{printable(saved.name)}”.")
        return redirect(_list(""))
    saved.name = request.POST.get("name", "").strip()
    try:
        _store(saved)
    except ValidationError as exc:
        messages.error(request, _sentence(exc))
    else:
        messages.success(request, f"Renamed to “{printable(saved.name)}”.")
    return redirect(_list(saved.query))


def _store(saved: SavedFilter) -> None:
    saved.full_clean()
    saved.save()


def _sentence(exc: ValidationError) -> str:
    if not hasattr(exc, "error_dict"):
        return " ".join(exc.messages)
    return " ".join(_lines(exc))


def _lines(exc: ValidationError) -> Iterator[str]:
    for name, lines in exc.message_dict.items():
        for line in lines:
            # Django's name for errors of the row as one.
            yield line if name == "__all__" else f"{name}: {line}"


def _is_query(query: str) -> bool:
    return query.isprintable() and len(query) <= MAX_QUERY_CHARS


def _list(query: str) -> str:
    address = reverse("flows:list")
    if not query:
        return address
    return f"{address}?{query.removeprefix('?')}"
