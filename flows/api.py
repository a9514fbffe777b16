"""REST: recorded flows. Lists are narrow and paged by cursor; bodies are fetched one at a time."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, Q
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from flows import selectors
from flows.filters import FlowFilter
from flows.flow_json import SIDE_FIELDS, flow_detail_json, flow_summary
from flows.flow_schema import FlowDetailShape, FlowShape
from flows.models import Flow, FlowSide
from flows.record import SIDES
from providers.rest import StaffWithModelPermissions

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class FlowPagination(BasePagination):
    """Pages by keyset, newest first: a page costs the same however old its flows are."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        del view
        limit = _limit(request)
        if cursor := request.query_params.get("cursor"):
            place = None if "\0" in cursor else selectors.parse_cursor(cursor)
            if place is None:
                raise ParseError({"cursor": ["This is no cursor; take it from the “next” of an earlier answer."]})
            started_at, flow_id = place
            queryset = queryset.filter(started_at__lte=started_at)
            queryset = queryset.filter(Q(started_at__lt=started_at) | Q(id__lt=flow_id))
        flows = list(queryset[: limit + 1])
        self.next_url: str | None = None
        if len(flows) > limit:
            cursor = selectors.make_cursor(flows[limit - 1])
            self.next_url = replace_query_param(request.build_absolute_uri(), "cursor", cursor)
        return flows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next_url, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        next_url = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "results"],
            "properties": {"next": next_url, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        del view
        return [
            {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "From “next”."},
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            },
        ]


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise ParseError({"limit": [f"Give a number from 1 to {MAX_LIMIT}."]})
    return int(text)


@extend_schema_view(
    list=extend_schema(responses=FlowShape(many=True)),
    retrieve=extend_schema(responses=FlowDetailShape),
)
class FlowViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Flow]):
    """Recorded flows, newest first."""

    queryset = Flow.objects.order_by("-started_at", "-id")
    serializer_class = FlowShape
    permission_classes = [StaffWithModelPermissions]
    pagination_class = FlowPagination
    filterset_class = FlowFilter
    lookup_value_regex = r"[A-Za-z0-9-]{1,36}"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        known = {*FlowFilter.base_filters, "cursor", "limit"}
        if unknown := sorted(set(request.query_params) - known):
            raise ParseError({unknown[0][:100]: [f"There is no such filter. Known: {', '.join(sorted(known))}."]})
        heads = Prefetch("sides", FlowSide.objects.only("id", *SIDE_FIELDS))
        queryset = self.filter_queryset(self.get_queryset().defer("search_text").prefetch_related(heads))
        flows = self.paginate_queryset(queryset) or []
        return self.get_paginated_response([flow_summary(flow, flow.sides.all()) for flow in flows])

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One flow with the heads of its four sides and what each hook did."""
        detail = selectors.flow_detail(kwargs["pk"])
        if detail is None:
            raise NotFound("There is no such flow; it may have been cleared.")
        return Response(flow_detail_json(detail.flow, detail.sides.values(), detail.traces))

    @extend_schema(
        parameters=[OpenApiParameter("side", OpenApiTypes.STR, OpenApiParameter.PATH, enum=SIDES)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    @action(detail=True, url_path=r"body/(?P<side>client|forwarded|upstream|delivered)", filterset_class=None)
    def body(self, request: Request, pk: str, side: str) -> HttpResponse:
        """The stored bytes of one side, as they were on the wire after redaction."""
        row = (
            FlowSide.objects.filter(flow_id=pk, side=side)
            .only("body_digest", "body_redacted", "body_truncated")
            .first()
        )
        body = selectors.load_bodies([row.body_digest]).get(row.body_digest) if row else None
        if row is None or body is None:
            raise NotFound("There is no stored body on this side.")
        response = HttpResponse(body, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{pk[:8]}-{side}.bin"'
        response["X-Content-Type-Options"] = "nosniff"
        response["x-ccproxy-body-redacted"] = str(int(row.body_redacted))
        response["x-ccproxy-body-truncated"] = str(int(row.body_truncated))
        return response
