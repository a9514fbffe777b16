"""The page that takes captures of other tools into the record."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from flows.console.pages import staff_page
from flows.display.safe_text import printable
from flows.imports.har import CaptureError
from flows.imports.uploads import MAX_UPLOAD_BYTES, check_declared_size, import_uploads


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page
def import_page(request: HttpRequest) -> HttpResponse:
    """A form for HAR files and mitmproxy captures, and what became of each."""
    if not request.user.has_perm("flows.add_flow"):
        raise PermissionDenied("Importing adds flows: ask an administrator for the right to.")
    context: dict[str, Any] = {"max_bytes": MAX_UPLOAD_BYTES}
    if request.method != "POST":
        return render(request, "flows/import.html", context)
    try:
        check_declared_size(request.META.get("CONTENT_LENGTH"))
    except CaptureError as exc:
        return render(request, "flows/import.html", {**context, "problem": str(exc)}, status=413)
    files = [file for name in request.FILES for file in request.FILES.getlist(name)]
    if not files:
        return render(
            request, "flows/import.html", {**context, "problem": "Choose a file first."}, status=400
        )
    results = [
        {"name": printable(name), "problem": str(found)}
        if isinstance(found, CaptureError)
        else {"name": printable(name), "imported": found}
        for name, found in import_uploads(files)
    ]
    return render(request, "flows/import.html", {**context, "results": results})
