"""REST: recorded flows. Lists are narrow and paged by cursor; bodies are fetched one at a time."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.pagination import BasePagination
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from flows.bodies.complete_flow import load_flow
from flows.export.codegen import KINDS, copy_as
from flows.export.har import CONTENT_TYPE as HAR_TYPE
from flows.export.har_response import har_response
from flows.models import Flow
from flows.queries import selectors
from flows.queries.filters import FlowFilter
from flows.queries.flow_set import MAX_JQ_FLOWS, ids_of, jq_window, with_heads
from flows.queries.jq import JqBusyError, JqError
from flows.queries.summary import flow_detail_json, flow_summary
from flows.record import SIDES
from flows.rest.schema import FlowDetailShape, FlowShape
from providers.audit.log import audited, caller_of
from providers.base.errors import CcproxyError
from providers.web.rest import Busy, Conflict, StaffWithModelPermissions

_JQ = OpenApiParameter(
    "jq",
    OpenApiTypes.STR,
    many=True,
    description=(
        "A jq filter from array to array; several are applied one after the other, those of the"
        f" configuration first. It sees the newest {MAX_JQ_FLOWS} flows that match the other"
        " filters (“next” leads to the older ones), and “results” is whatever it makes of them;"
        " `limit` does not apply."
    ),
)
DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class FlowPagination(BasePagination):
    """Pages by keyset, newest first: a page costs the same however old its flows are."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        del view
        limit = _limit(request)
        flows = list(_from_cursor(queryset, request)[: limit + 1])
        self.next_url: str | None = None
        if len(flows) > limit:
            self.next_url = _next_url(request, flows[limit - 1])
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
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": "From “next”.",
            },
            {
                "name": "limit",
                "in": "query",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_LIMIT,
                    "default": DEFAULT_LIMIT,
                },
            },
        ]


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise ParseError({"limit": [f"Give a number from 1 to {MAX_LIMIT}."]})
    return int(text)


def _from_cursor(queryset: QuerySet[Flow], request: Request) -> QuerySet[Flow]:
    cursor = request.query_params.get("cursor")
    if not cursor:
        return queryset
    place = None if "\0" in cursor else selectors.parse_cursor(cursor)
    if place is None:
        raise ParseError(
            {"cursor": ["This is no cursor; take it from the “next” of an earlier answer."]}
        )
    started_at, flow_id = place
    queryset = queryset.filter(started_at__lte=started_at)
    return queryset.filter(Q(started_at__lt=started_at) | Q(id__lt=flow_id))


def _next_url(request: Request, last: Flow) -> str:
    return str(
        replace_query_param(request.build_absolute_uri(), "cursor", selectors.make_cursor(last))
    )


def _ask_jq(queryset: QuerySet[Flow], filters: list[str]) -> tuple[list[Any], Flow | None]:
    try:
        return jq_window(queryset, filters)
    except JqBusyError as exc:
        raise Busy(str(exc)) from None
    except JqError as exc:
        raise ParseError({"jq": [str(exc)]}) from None


class HarRenderer(JSONRenderer):
    """Lets `Accept: application/har+json` through; only errors are rendered here."""

    media_type = HAR_TYPE
    format = "har"


@extend_schema_view(
    list=extend_schema(responses=FlowShape(many=True), parameters=[_JQ]),
    retrieve=extend_schema(responses=FlowDetailShape),
)
class FlowViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Flow]):
    """Recorded flows, newest first."""

    queryset = Flow.objects.order_by("-started_at", "-id")
    serializer_class = FlowShape
    permission_classes = [StaffWithModelPermissions]
    pagination_class = FlowPagination
    filterset_class = FlowFilter
    renderer_classes = [JSONRenderer, HarRenderer]
    lookup_value_regex = r"[A-Za-z0-9-]{1,36}"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Flows, newest first; with `Accept: application/har+json` all that match as one HAR."""
        if request.accepted_renderer.format == HarRenderer.format:
            return self._har(request)
        queryset = self._matching(request)
        if filters := request.query_params.getlist("jq"):
            results, last = _ask_jq(_from_cursor(queryset, request), filters)
            return Response(
                {"next": _next_url(request, last) if last else None, "results": results}
            )
        flows = self.paginate_queryset(with_heads(queryset)) or []
        return self.get_paginated_response([flow_summary(flow, flow.sides) for flow in flows])

    @extend_schema(parameters=[_JQ], responses={(200, HAR_TYPE): OpenApiTypes.OBJECT}, filters=True)
    @action(detail=False, pagination_class=None)
    def har(self, request: Request) -> Any:
        """All matching flows as HAR 1.2, oldest first: a page a flow, with an entry for each side
        of the proxy.
        """
        return self._har(request)

    def _har(self, request: Request) -> Any:
        queryset = self._matching(request)
        if filters := request.query_params.getlist("jq"):
            ids = ids_of(_ask_jq(_from_cursor(queryset, request), filters)[0])
            if ids is None:
                raise ParseError(
                    {"jq": ["The filters have to keep whole flows here, or at least their id."]}
                )
            return har_response(ids, by=caller_of(request))
        found = list(queryset.order_by("started_at", "id").values_list("pk", flat=True))
        return har_response(found, by=caller_of(request))

    def _matching(self, request: Request) -> QuerySet[Flow]:
        known = {*FlowFilter.base_filters, "cursor", "limit", "jq"}
        if unknown := sorted(set(request.query_params) - known):
            raise ParseError(
                {unknown[0][:100]: [f"There is no such filter. Known: {', '.join(sorted(known))}."]}
            )
        return self.filter_queryset(self.get_queryset())

    def perform_destroy(self, instance: Flow) -> None:
        with audited("clear", f"flow {instance.pk}", by=caller_of(self.request)):
            super().perform_destroy(instance)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """One flow with the heads of its four sides and what each hook did."""
        detail = selectors.flow_detail(kwargs["pk"])
        if detail is None:
            raise NotFound("There is no such flow; it may have been cleared.")
        if request.accepted_renderer.format == HarRenderer.format:
            return har_response([detail.flow.pk], detail.flow.pk[:8], by=caller_of(request))
        return Response(flow_detail_json(detail.flow, detail.sides, detail.traces))

    @extend_schema(
        parameters=[
            OpenApiParameter("kind", OpenApiTypes.STR, OpenApiParameter.PATH, enum=[*KINDS]),
            OpenApiParameter(
                "side", OpenApiTypes.STR, enum=("client", "forwarded"), default="client"
            ),
        ],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    @action(detail=True, url_path=r"as/(?P<kind>[a-z]{1,20})", filterset_class=None)
    def copy(self, request: Request, pk: str, kind: str) -> HttpResponse:
        """The request as curl, Python, an SDK's call or Markdown; secrets are environment
        variables.
        """
        side = request.query_params.get("side", "client")
        if side not in ("client", "forwarded"):
            raise ParseError({"side": ["Choose client or forwarded."]})
        flow = load_flow(pk)
        if flow is None or kind not in KINDS:
            raise NotFound("There is no such flow or form.")
        try:
            text = copy_as(kind, flow, side)
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None
        response = HttpResponse(
            text.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8"
        )
        response["X-Content-Type-Options"] = "nosniff"
        return response

    @extend_schema(
        parameters=[OpenApiParameter("side", OpenApiTypes.STR, OpenApiParameter.PATH, enum=SIDES)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    @action(
        detail=True,
        url_path=r"body/(?P<side>client|forwarded|upstream|delivered)",
        filterset_class=None,
    )
    def body(self, request: Request, pk: str, side: str) -> HttpResponse:
        """The stored bytes of one side, as they were on the wire after redaction."""
        row = selectors.sides_of(pk).get(side)
        body = selectors.load_bodies([row.body_digest]).get(row.body_digest) if row else None
        if row is None or body is None:
            raise NotFound("There is no stored body on this side.")
        response = HttpResponse(body, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{pk[:8]}-{side}.bin"'
        response["X-Content-Type-Options"] = "nosniff"
        response["x-ccproxy-body-redacted"] = str(int(row.body_redacted))
        response["x-ccproxy-body-truncated"] = str(int(row.body_truncated))
        return response
