"""REST resources of dry runs and rule trials."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from flows.bodies.complete_flow import load_flow, load_flows
from flows.models import Flow
from flows.rest.record_view import RecordView
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.rule_trial import MAX_FLOWS, try_rule
from interceptor.explain.sources import as_json, of_flow, of_json
from providers.api import RuleSerializer
from providers.base.errors import CcproxyError
from providers.models import TransformRule
from providers.web.rest import Conflict, unknown_fields

_FIELDS = frozenset({"flow", "method", "url", "headers", "body"})


class ExplainView(RecordView):
    """A dry run: rules with every condition, the route, hooks and what would leave.

    No network, no credential.
    """

    @extend_schema(
        request=inline_serializer(
            "ExplainRequest",
            {
                "flow": serializers.CharField(
                    required=False, help_text="Id of a recorded flow, instead of the rest."
                ),
                "method": serializers.CharField(required=False, default="POST"),
                "url": serializers.CharField(
                    required=False, help_text="A path, or a complete address."
                ),
                "headers": serializers.JSONField(
                    required=False, help_text="An object, or a list of [name, value]."
                ),
                "body": serializers.JSONField(required=False, help_text="JSON, or a text."),
            },
        ),
        responses={200: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Explain a recorded flow's request, or the one that is given."""
        data: Any = request.data
        if not isinstance(data, dict):
            raise ParseError(
                "Send an object with “flow”, or with “method”, “url”, “headers” and “body”."
            )
        if unknown := sorted(set(map(str, data)) - _FIELDS):
            raise ParseError(unknown_fields(unknown[:1], _FIELDS))
        dry = None
        if "flow" in data:
            flow = load_flow(data["flow"]) if isinstance(data["flow"], str) else None
            if flow is None:
                raise NotFound("There is no such flow; it may have been cleared.")
        try:
            dry = of_flow(flow) if "flow" in data and flow is not None else of_json(data)
        except CcproxyError as exc:
            raise ParseError(str(exc)) from None
        try:
            return Response(as_json(explain_as_configured(dry)))
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None


class RuleTrialView(RecordView):
    """Trial of an edited rule on recorded flows. Nothing is saved or sent."""

    acts = {"POST": "try-rule"}

    @extend_schema(
        request=inline_serializer(
            "RuleTrialRequest",
            {
                "last": serializers.IntegerField(
                    min_value=1, max_value=MAX_FLOWS, default=200, required=False
                ),
                "id": serializers.IntegerField(
                    required=False, help_text="The rule that is edited; without it, a new one."
                ),
                "rule": serializers.JSONField(
                    help_text="The fields of a rule, or those that change."
                ),
            },
        ),
        responses={200: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """List the newest flows whose route would change, each before and after."""
        data: Any = request.data
        if not isinstance(data, dict) or not isinstance(data.get("rule"), dict):
            raise ParseError({"rule": ["Send the fields of a rule as an object."]})
        last = data.get("last", 200)
        if not isinstance(last, int) or isinstance(last, bool) or not 1 <= last <= MAX_FLOWS:
            raise ParseError({"last": [f"Give a number from 1 to {MAX_FLOWS}."]})
        edited = self._edited(data)
        ids = list(Flow.objects.order_by("-started_at", "-id").values_list("pk", flat=True)[:last])
        try:
            trial = try_rule(edited, load_flows(ids))
        except CcproxyError as exc:
            raise Conflict(str(exc)) from None
        return Response(asdict(trial))

    def _edited(self, data: dict[str, Any]) -> TransformRule:
        instance = None
        if (pk := data.get("id")) is not None:
            found = isinstance(pk, int) and not isinstance(pk, bool) and 0 < pk < 2**62
            instance = TransformRule.objects.filter(pk=pk).first() if found else None
            if instance is None:
                raise NotFound("There is no such rule.")
        serializer = RuleSerializer(instance, data=data["rule"], partial=instance is not None)
        serializer.is_valid(raise_exception=True)
        return serializer.candidate(serializer.validated_data)
