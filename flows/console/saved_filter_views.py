"""Saving, renaming and deleting a filter of the list. Each ends on the list again."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from flows.console.pages import staff_page
from flows.display.safe_text import printable
from flows.models import SavedFilter
from flows.queries.saved_filters import MAX_QUERY_CHARS, MAX_SAVED, clean_query, own_filters


@require_POST
@staff_page
def save_filter(request: HttpRequest) -> HttpResponse:
    """Save the filters in `query` as `name`."""
    saved = SavedFilter(owner_id=request.user.pk or 0, name=request.POST.get("name", "").strip())
    saved.shared = bool(request.POST.get("shared"))
    query = request.POST.get("query", "")
    try:
        saved.query = clean_query(query)
        if SavedFilter.objects.filter(owner_id=request.user.pk).count() >= MAX_SAVED:
            raise ValidationError(f"You have saved {MAX_SAVED} filters; delete some first.")
        _store(saved)
        messages.success(request, f"Saved “{printable(saved.name)}”.")
    except ValidationError as exc:
        messages.error(request, _words(exc))
        return redirect(_list(query if _is_query(query) else ""))
    return redirect(_list(saved.query))


@require_POST
@staff_page
def change_filter(request: HttpRequest, pk: int) -> HttpResponse:
    """Rename one of one's own filters to `name`, or with `delete` delete it."""
    saved = own_filters(request.user).filter(pk=pk).first() if pk < 2**62 else None
    if saved is None:
        raise Http404("There is no such filter, or it is somebody else's.")
    if request.POST.get("delete"):
        saved.delete()
        messages.success(request, f"Deleted “{printable(saved.name)}”.")
        return redirect(_list(""))
    saved.name = request.POST.get("name", "").strip()
    try:
        _store(saved)
        messages.success(request, f"Renamed to “{printable(saved.name)}”.")
    except ValidationError as exc:
        messages.error(request, _words(exc))
    return redirect(_list(saved.query))


def _store(saved: SavedFilter) -> None:
    saved.full_clean()
    saved.save()


def _words(exc: ValidationError) -> str:
    if not hasattr(exc, "error_dict"):
        return " ".join(exc.messages)
    return " ".join(
        line if name == "__all__" else f"{name}: {line}"
        for name, lines in exc.message_dict.items()
        for line in lines
    )


def _is_query(query: str) -> bool:
    return query.isprintable() and len(query) <= MAX_QUERY_CHARS


def _list(query: str) -> str:
    return reverse("flows:list") + (f"?{query.removeprefix('?')}" if query else "")
