"""Pages that show shapes: the list, one version, two versions compared."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString

from flows.display import json_tree
from flows.models import Flow
from providers.base.errors import CcproxyError
from providers.base.names import PROVIDER_TYPES
from shapes.console.body_fields import body_fields
from shapes.console.page_for import page_for
from shapes.console.provider_section import provider_sections
from shapes.models import Shape, ShapingProfile
from shapes.versions.activation import TERMS, earlier_version
from shapes.versions.capturing import compare_shapes
from shapes.versions.outcomes import outcomes_by_version

TABS = {
    "request": "Request",
    "fields": "Fields",
    "scrubbed": "Left out",
    "tls": "TLS",
    "patches": "Patches",
}


@page_for("look")
def shape_list(request: HttpRequest) -> HttpResponse:
    """Show all versions by provider type, candidates, and what to do next."""
    sections = provider_sections()
    context = {
        "sections": [section for section in sections if not section.is_empty],
        "others": [section for section in sections if section.is_empty],
        "terms": TERMS,
        "is_on": settings.CCPROXY.shaping.enabled,
        "types": PROVIDER_TYPES.items(),
    }
    return render(request, "shapes/list.html", context)


@page_for("look")
def shape_page(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Show one version; the URL names the tab."""
    shape = find(provider_type, version)
    tab = request.GET.get("tab", "")
    if tab not in TABS:
        tab = "request"
    profile = ShapingProfile.of(provider_type)
    of_type = list(Shape.objects.filter(provider_type=provider_type).defer("body"))
    context = {
        "shape": shape,
        "tab": tab,
        "tabs": TABS.items(),
        "panel": f"shapes/_{tab}.html",
        "profile": profile,
        "outcomes": outcomes_by_version(of_type).get(shape.pk),
        "others": [other for other in of_type if other.pk != shape.pk],
        "earlier": earlier_version(shape) if shape.active else None,
        "has_flow": Flow.objects.filter(pk=shape.source_flow_id).exists(),
        "tree": _tree(shape),
        "fields": _fields(shape, profile),
        "fingerprint": _fingerprint(shape),
    }
    return render(request, "shapes/detail.html", context)


@page_for("look")
def shape_json(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Return one folded branch of the body, when a reader opens it."""
    shape = find(provider_type, version)
    pointer = request.GET.get("path", "")
    try:
        branch = json_tree.resolve(json.loads(shape.body), pointer)
    except (LookupError, ValueError):
        raise Http404("There is no such branch.") from None
    return HttpResponse(json_tree.branch(branch, request.path, pointer))


@page_for("look")
def shape_diff(request: HttpRequest, provider_type: str, before: int, after: int) -> HttpResponse:
    """Compare two versions of a provider type, with their patches."""
    old = find(provider_type, before)
    new = find(provider_type, after)
    context: dict[str, Any] = {"before": old, "after": new}
    try:
        context["change"] = compare_shapes(old, new)
    except CcproxyError as exc:
        context["problem"] = str(exc)
    return render(request, "shapes/diff.html", context)


@page_for("look")
def chosen_diff(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Lead to the comparison with the version that a form names."""
    chosen = request.GET.get("with", "")
    if not (chosen.isascii() and chosen.isdigit() and len(chosen) < 10):
        raise Http404("There is no such version.")
    first, second = sorted((version, int(chosen)))
    return redirect("shapes:diff", provider_type, first, second)


def find(provider_type: str, version: int) -> Shape:
    """Return a version, or end with the page for missing ones."""
    shape: Shape | None = None
    if version < 2**31:
        shape = Shape.objects.filter(provider_type=provider_type, version=version).first()
    if shape is None:
        raise Http404("There is no such version; it may have been deleted.")
    return shape


def _tree(shape: Shape) -> SafeString:
    url = reverse("shapes:json", args=[shape.provider_type, shape.version])
    try:
        return json_tree.tree(json.loads(shape.body or "{}"), url)
    except ValueError:
        return json_tree.tree(shape.body, url)


def _fields(shape: Shape, profile: ShapingProfile) -> list[Any]:
    try:
        body = json.loads(shape.body or "{}")
    except ValueError:
        body = {}
    order = shape.scrubbed.get("key_order", [])
    return body_fields(body, order, profile.content_fields, profile.merge_strategies)


def _fingerprint(shape: Shape) -> list[tuple[str, str]]:
    """Return the record of the TLS handshake by name; a list is written with spaces."""
    rows = []
    for name, value in (shape.fingerprint or {}).items():
        text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        if text:
            rows.append((name, text))
    return rows
