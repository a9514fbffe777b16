"""Page and REST resource that preview a shape with a recorded request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flows.bodies.complete_flow import CompleteFlow, load_flow
from flows.models import Flow
from flows.queries.flow_set import referred_ids
from interceptor.explain.shape_preview import Preview, preview_json, preview_shape
from interceptor.explain.sources import difference
from providers.base.errors import CcproxyError
from providers.web.rest import Conflict
from shapes.console.page_for import page_for
from shapes.console.shape_pages import find
from shapes.models import Shape
from shapes.rest.permission import HasRights
from shapes.versions.rights import Act

_RECENT: Final = 20
_GONE: Final = "There is no such flow; it may have been cleared."


@dataclass(frozen=True, slots=True)
class LeavingHeader:
    """A header as it would leave, and the side that it comes from."""

    name: str
    value: str
    origin: str


@page_for("preview")
def shape_preview_page(request: HttpRequest, provider_type: str, version: int) -> HttpResponse:
    """Show what would leave for a recorded flow (`?flow=ID`, also its first letters)."""
    shape = find(provider_type, version)
    reference = request.GET.get("flow", "").strip()
    context: dict[str, Any] = {
        "shape": shape,
        "flow_id": reference,
        "recent": _recent(provider_type),
    }
    try:
        if reference:
            flow = _flow(reference)
            context["flow_id"] = flow.flow.pk
            context |= _shown(preview_shape(flow, shape))
    except CcproxyError as exc:
        context["error"] = str(exc)
    return render(request, "interceptor/shape_preview.html", context)


def _flow(reference: str) -> CompleteFlow:
    flow = load_flow(referred_ids([reference])[0])
    if flow is None:
        raise CcproxyError(_GONE)
    return flow


def _shown(preview: Preview) -> dict[str, Any]:
    found = preview.found
    headers = []
    for name, value in found.headers:
        headers.append(LeavingHeader(name, value, _origin(preview, f"header:{name.lower()}")))
    fields = []
    for part, origin in preview.origins.items():
        kind, _, name = part.partition(":")
        if kind == "body":
            fields.append((name, origin))
    return {
        "preview": preview,
        "found": found,
        "headers": headers,
        "fields": fields,
        "change": difference(found) if found.leaves else None,
    }


def _origin(preview: Preview, part: str) -> str:
    return preview.origins.get(part, "") if preview.origins else ""


def _recent(provider_type: str) -> list[Flow]:
    """Return the newest requests of clients to this provider type."""
    flows = Flow.objects.filter(provider_type=provider_type, source="reverse", method="POST")
    shown = flows.only("id", "started_at", "requested_model", "user_agent")
    return list(shown.order_by("-started_at")[:_RECENT])


class ShapePreviewView(APIView):
    """A dry run with one version of a shape. Nothing is sent, no credential is read."""

    permission_classes = [HasRights]
    action = "preview"
    acts: dict[str, Act] = {"preview": "preview"}

    @extend_schema(
        request=inline_serializer(
            "ShapePreviewRequest", {"flow": serializers.CharField(help_text="Id of a flow.")}
        ),
        responses={200: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Return what would leave for a recorded flow, and the origin of each of its parts."""
        shape = Shape.objects.filter(pk=pk).first() if pk < 2**62 else None
        if shape is None:
            raise NotFound("There is no such shape.")
        data: Any = request.data
        flow_id = data.get("flow") if isinstance(data, dict) else None
        if not isinstance(flow_id, str):
            raise ParseError({"flow": ["Name a recorded flow by its id."]})
        flow = load_flow(flow_id)
        if flow is None:
            raise NotFound(_GONE)
        try:
            preview = preview_shape(flow, shape)
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None
        return Response(preview_json(preview, shape))
