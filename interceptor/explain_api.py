"""REST: what the proxy would do with a request."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flows.whole import whole_flow
from interceptor.config.load import load_snapshot
from interceptor.explain import explain
from interceptor.explain_source import as_json, of_flow, of_json
from providers.errors import CcproxyError
from providers.rest import Conflict

_FIELDS = frozenset({"flow", "method", "url", "headers", "body"})


class ExplainView(APIView):
    """A dry run: rules with every condition, the route, hooks and what would leave. No network, no credential."""

    @extend_schema(
        request=inline_serializer(
            "ExplainRequest",
            {
                "flow": serializers.CharField(required=False, help_text="Id of a recorded flow, instead of the rest."),
                "method": serializers.CharField(required=False, default="POST"),
                "url": serializers.CharField(required=False, help_text="A path, or a whole address."),
                "headers": serializers.JSONField(required=False, help_text="An object, or a list of [name, value]."),
                "body": serializers.JSONField(required=False, help_text="JSON, or a text."),
            },
        ),
        responses={200: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Explain a recorded flow's request, or the one that is given."""
        if not request.user.has_perm("flows.view_flow"):
            raise PermissionDenied
        data: Any = request.data
        if not isinstance(data, dict):
            raise ParseError("Send an object with “flow”, or with “method”, “url”, “headers” and “body”.")
        if unknown := sorted(set(map(str, data)) - _FIELDS):
            raise ParseError({unknown[0][:100]: ["There is no such field."]})
        dry = None
        if "flow" in data:
            flow = whole_flow(data["flow"]) if isinstance(data["flow"], str) else None
            if flow is None:
                raise NotFound("There is no such flow; it may have been cleared.")
        try:
            dry = of_flow(flow) if "flow" in data and flow is not None else of_json(data)
        except CcproxyError as exc:
            raise ParseError(str(exc)) from None
        try:
            return Response(as_json(explain(load_snapshot(), dry)))
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None
