"""REST: recorded flows. Lists are narrow and paged by cursor; each body has its own address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_view,
)
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from flows.bodies.complete_flow import load_flow
from flows.export.codegen import copy_as
from flows.export.har import CONTENT_TYPE as HAR_TYPE
from flows.export.har_response import har_response
from flows.export.kinds import KINDS
from flows.models import Flow
from flows.queries import selectors
from flows.queries.cursor import older_than
from flows.queries.filters import FlowFilter, PagedFlowFilter
from flows.queries.flow_set import (
    MAX_JQ_FLOWS,
    JqWindow,
    ids_of,
    jq_window,
    with_headers,
)
from flows.queries.jq import (
    JqBusyError,
    JqError,
    JqLimits,
)
from flows.queries.summary import flow_detail_json, flow_summary
from flows.record import SIDES
from flows.rest.keyset_pagination import (
    FlowPagination,
    cursor_of,
    next_url_after,
)
from flows.rest.schema import (
    FlowDetailShape,
    FlowShape,
    ListedFlowShape,
    PinShape,
)
from flows.search.text_filter import page_hits, search_notes
from flows.services import clear_ids, pin
from providers.audit.log import audited, caller_of
from providers.base.errors import CcproxyError
from providers.base.nearest import (
    capitalised,
    name_hint,
    no_such,
)
from providers.web.rest import (
    Busy,
    Conflict,
    StaffWithModelPermissions,
)

_JQ = OpenApiParameter(
    "jq",
    OpenApiTypes.STR,
    many=True,
    description=(
        "A jq filter from array to array; several are applied one after the other, those of the"
        f" configuration first. It sees the newest {MAX_JQ_FLOWS} flows that match the other"
        " filters (“next” leads to the older ones), and “results” is its result;"
        " `limit` does not apply."
    ),
)
_GONE = "There is no such flow; it may have been cleared."
_NO_BODY = "There is no stored body on this side."


class HarRenderer(JSONRenderer):
    """Lets `Accept: application/har+json` through; only errors are rendered here."""

    media_type = HAR_TYPE
    format = "har"


@extend_schema_view(
    list=extend_schema(responses=ListedFlowShape(many=True), parameters=[_JQ]),
    retrieve=extend_schema(responses=FlowDetailShape),
)
class FlowViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet[Flow]):
    """Recorded flows, newest first, or in the order of `sort`."""

    queryset = Flow.objects.order_by("-started_at", "-id")
    serializer_class = FlowShape
    permission_classes = [StaffWithModelPermissions]
    pagination_class = FlowPagination
    filterset_class = FlowFilter
    renderer_classes = [JSONRenderer, HarRenderer]
    lookup_value_regex = r"[A-Za-z0-9-]{1,36}"

    jq_max_flows = MAX_JQ_FLOWS
    jq_limits = JqLimits()

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Return flows, newest first; `Accept: application/har+json` returns all as one HAR.

        `sort` orders them by a figure instead.
        """
        if request.accepted_renderer.format == HarRenderer.format:
            return self._har(request)
        self.filterset_class = PagedFlowFilter
        queryset = self._matching(request, "sort")
        filters = request.query_params.getlist("jq")
        if filters:
            if request.query_params.get("sort"):
                message = "jq sees the newest flows; sort in its filter: sort_by(.cost_usd)."
                raise ParseError({"sort": [message]})
            window = self._ask_jq(older_than(queryset, cursor_of(request)), filters)
            next_url = next_url_after(request, window.last)
            return Response({"next": next_url, "results": window.results})
        flows = self.paginate_queryset(with_headers(queryset)) or []
        text = request.query_params.get("q", "")
        hits = page_hits(text, flows)
        results = [flow_summary(flow, flow.sides) for flow in flows]
        for result in results:
            if hit := hits.get(result["id"]):
                result["hit"] = {"where": hit.where, "text": hit.text}
        response = self.get_paginated_response(results)
        if text.strip():
            response.data["notes"] = search_notes(text)
        return response

    @extend_schema(parameters=[_JQ], responses={(200, HAR_TYPE): OpenApiTypes.OBJECT}, filters=True)
    @action(detail=False, pagination_class=None)
    def har(self, request: Request) -> Any:
        """Return all matching flows as HAR 1.2, oldest first.

        Each flow is a page with an entry for each side of the proxy.
        """
        return self._har(request)

    def _har(self, request: Request) -> Any:
        queryset = self._matching(request)
        filters = request.query_params.getlist("jq")
        if not filters:
            oldest_first = queryset.order_by("started_at", "id").values_list("pk", flat=True)
            return har_response(list(oldest_first), by=caller_of(request))
        window = self._ask_jq(older_than(queryset, cursor_of(request)), filters)
        ids = ids_of(window.results)
        if ids is None:
            message = "The filters have to keep flows here, or at least their id."
            raise ParseError({"jq": [message]})
        return har_response(ids, by=caller_of(request))

    def _ask_jq(self, queryset: QuerySet[Flow], filters: Sequence[str]) -> JqWindow:
        try:
            return jq_window(
                queryset,
                filters,
                max_flows=self.jq_max_flows,
                limits=self.jq_limits,
            )
        except JqBusyError as exc:
            raise Busy(str(exc)) from None
        except JqError as exc:
            raise ParseError({"jq": [str(exc)]}) from None

    def _matching(self, request: Request, *look: str) -> QuerySet[Flow]:
        known = {*FlowFilter.base_filters, "cursor", "limit", "jq", *look}
        # A misspelt filter would match every flow, and a HAR of it would export them all.
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            message = f"There is no such filter; {name_hint(unknown[0], known)}"
            raise ParseError({unknown[0][:100]: [message]})
        return self.filter_queryset(self.get_queryset())

    def perform_destroy(self, instance: Flow) -> None:
        with audited("clear", f"flow {instance.pk}", by=caller_of(self.request)):
            clear_ids([instance.pk], keep_pinned=False)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Return one flow with the headers of its four sides and the changes of each hook."""
        detail = selectors.flow_detail(kwargs["pk"])
        if detail is None:
            raise NotFound(_GONE)
        flow = detail.flow
        if request.accepted_renderer.format == HarRenderer.format:
            return har_response([flow.pk], flow.pk[:8], by=caller_of(request))
        return Response(flow_detail_json(flow, detail.sides, detail.traces, detail.attempts))

    @extend_schema(request=PinShape, responses=FlowDetailShape)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Pin or unpin a flow; retention and clearing keep a pinned flow."""
        change = PinShape(data=request.data)
        change.is_valid(raise_exception=True)
        pin(Flow.objects.filter(pk=kwargs["pk"]), pinned=change.validated_data["pinned"])
        return self.retrieve(request, *args, **kwargs)

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
        """Return the request as curl, Python, an SDK's call or Markdown.

        Credentials are environment variables.
        """
        side = request.query_params.get("side", "client")
        if side not in ("client", "forwarded"):
            raise ParseError({"side": ["Choose client or forwarded."]})
        flow = load_flow(pk)
        if flow is None:
            raise NotFound(_GONE)
        if kind not in KINDS:
            raise NotFound(capitalised(no_such("form", kind, KINDS)))
        try:
            text = copy_as(kind, flow, side)
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None
        # Bytes that are not UTF-8 become question marks.
        encoded = text.encode("utf-8", "replace")
        response = HttpResponse(encoded, content_type="text/plain; charset=utf-8")
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
        """Return the stored bytes of one side, as they were on the wire after redaction."""
        row = selectors.sides_of(pk).get(side)
        if row is None:
            raise NotFound(_NO_BODY)
        bodies = selectors.load_bodies([row.body_digest])
        body = bodies.get(row.body_digest)
        if body is None:
            raise NotFound(_NO_BODY)
        response = HttpResponse(body, content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{pk[:8]}-{side}.bin"'
        response["X-Content-Type-Options"] = "nosniff"
        response["x-ccproxy-body-redacted"] = _flag(row.body_redacted)
        response["x-ccproxy-body-truncated"] = _flag(row.body_truncated)
        return response


def _flag(value: bool) -> str:
    return "1" if value else "0"
