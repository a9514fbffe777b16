"""Page that imports captures of other tools."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from flows.console.page_access import staff_page
from flows.display.safe_text import printable
from flows.imports.capture_file import CaptureError
from flows.imports.uploads import MAX_UPLOAD_BYTES, Upload, check_declared_size, import_uploads


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("flows.add_flow")
def import_page(request: HttpRequest, max_bytes: int = MAX_UPLOAD_BYTES) -> HttpResponse:
    """Show a form for HAR files and mitmproxy captures, and the result of each file."""
    if request.method != "POST":
        return _page(request, max_bytes)
    # Before request.FILES, which reads the body.
    try:
        check_declared_size(request.META.get("CONTENT_LENGTH"), max_bytes)
    except CaptureError as exc:
        return _page(request, max_bytes, status=413, problem=str(exc))
    files = [file for name in request.FILES for file in request.FILES.getlist(name)]
    if not files:
        return _page(request, max_bytes, status=400, problem="Choose a file first.")
    results = [_result(upload) for upload in import_uploads(files, max_bytes)]
    return _page(request, max_bytes, results=results)


def _page(
    request: HttpRequest, max_bytes: int, *, status: int = 200, **context: Any
) -> HttpResponse:
    context["max_bytes"] = max_bytes
    return render(request, "flows/import.html", context, status=status)


def _result(upload: Upload) -> dict[str, Any]:
    name = printable(upload.name)
    if upload.problem:
        return {"name": name, "problem": upload.problem}
    return {"name": name, "imported": upload.imported}
