"""Shapes of a flow's JSON, for the description of the API.

`flows.queries.summary` builds the JSON itself.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.fields import Field

from flows.models import Flow
from flows.queries.summary import OWN_FIELDS


class _Shape(serializers.Serializer[Any]):
    """A read-only description."""


def _headers() -> Field[Any, Any, Any, Any]:
    pair: Field[Any, Any, Any, Any] = serializers.ListField(child=serializers.CharField())
    return serializers.ListField(
        child=pair, help_text="[[name, value], ...] in wire order, redacted."
    )


class MessageShape(_Shape):
    """The common fields of a request and a response."""

    http_version = serializers.CharField()
    headers = _headers()
    contentLength = serializers.IntegerField(allow_null=True)
    contentHash = serializers.CharField(allow_null=True, help_text="Digest of the stored body.")
    timestamp_start = serializers.FloatField(allow_null=True)
    timestamp_end = serializers.FloatField(allow_null=True)


class RequestShape(MessageShape):
    """The request that left the proxy."""

    method = serializers.CharField()
    scheme = serializers.CharField()
    host = serializers.CharField()
    port = serializers.IntegerField(allow_null=True)
    path = serializers.CharField()
    pretty_host = serializers.CharField()


class ResponseShape(MessageShape):
    """The response that the client received."""

    status_code = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()


class ErrorShape(_Shape):
    """Why a flow failed."""

    msg = serializers.CharField()
    timestamp = serializers.FloatField(allow_null=True)


class ConnectionShape(_Shape):
    """A connection, as far as it is known."""

    id = serializers.CharField()
    address = serializers.ListField(
        child=serializers.JSONField(), allow_null=True, help_text="[host, port]"
    )


class FlowShape(serializers.ModelSerializer[Flow]):
    """A flow in a list: mitmweb's field names, and ours."""

    type = serializers.CharField(default="http")
    timestamp_created = serializers.FloatField()
    client_conn = ConnectionShape()
    server_conn = ConnectionShape()
    request = RequestShape()
    response = ResponseShape(allow_null=True)
    error = ErrorShape(allow_null=True)
    comment = serializers.CharField()
    marked = serializers.CharField()
    modified = serializers.BooleanField(help_text="A hook changed something.")
    intercepted = serializers.BooleanField()
    is_replay = serializers.CharField(allow_null=True)
    cost_usd = serializers.FloatField(allow_null=True)

    class Meta:
        model = Flow
        fields = [
            "id",
            "type",
            "timestamp_created",
            "client_conn",
            "server_conn",
            "request",
            "response",
            "error",
            "comment",
            "marked",
            "modified",
            "intercepted",
            "is_replay",
            "started_at",
            "finished_at",
            *OWN_FIELDS,
            "cost_usd",
        ]


class HitShape(_Shape):
    """Text of a body or a header in which a search found its words."""

    where = serializers.CharField(help_text="For example: tool result, turn 7.")
    text = serializers.CharField()


class ListedFlowShape(FlowShape):
    """A flow in a list, with its hit if `q` searched for words."""

    hit = HitShape(required=False)

    class Meta(FlowShape.Meta):
        fields = [*FlowShape.Meta.fields, "hit"]


class SideShape(_Shape):
    """One side without its body, which is at /api/flows/ID/body/SIDE/."""

    http_version = serializers.CharField()
    method = serializers.CharField()
    url = serializers.CharField()
    status_code = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()
    headers = _headers()
    trailers = _headers()
    body_digest = serializers.CharField()
    body_size_bytes = serializers.IntegerField()
    body_truncated = serializers.BooleanField()
    body_redacted = serializers.BooleanField()
    body_decoded = serializers.BooleanField()
    chunk_times = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class HookShape(_Shape):
    """The changes of one hook."""

    seq = serializers.IntegerField()
    stage = serializers.CharField()
    hook = serializers.CharField()
    outcome = serializers.CharField()
    reason = serializers.CharField()
    prepare_ms = serializers.FloatField()
    apply_ms = serializers.FloatField()
    started_ms = serializers.FloatField(help_text="Milliseconds since the flow began.")
    changed = serializers.ListField(child=serializers.CharField())
    headers_before = serializers.JSONField(allow_null=True)
    headers_after = serializers.JSONField(allow_null=True)
    url_before = serializers.CharField()
    url_after = serializers.CharField()
    origins = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Of a request that took a shape: each header and field with its origin.",
    )


class AttemptShape(_Shape):
    """One of several times that the proxy sent a request."""

    number = serializers.IntegerField(help_text="From 1.")
    reason = serializers.CharField(help_text="Why it was made; empty for the first.")
    started_at_ms = serializers.FloatField(help_text="Milliseconds since the flow began.")
    duration_ms = serializers.FloatField(allow_null=True)
    status_code = serializers.IntegerField(allow_null=True)
    host = serializers.CharField()
    wait_ms = serializers.FloatField(help_text="Time that the proxy waited before it.")
    provider = serializers.CharField()
    model = serializers.CharField()
    failure = serializers.CharField(help_text="Without a response: connect or timeout.")
    sent_bytes = serializers.IntegerField(help_text="Size of the request's body.")
    received_bytes = serializers.IntegerField(help_text="Size of the response's body.")


class FlowDetailShape(FlowShape):
    """A flow with the headers of all four sides, its hooks and its attempts."""

    sides = serializers.DictField(child=SideShape())
    hooks = HookShape(many=True)
    attempts = AttemptShape(many=True, help_text="Empty when the request was sent once.")

    class Meta(FlowShape.Meta):
        fields = [*FlowShape.Meta.fields, "sides", "hooks", "attempts"]


class PinShape(serializers.Serializer[Any]):
    """The one thing about a recorded flow that can be changed."""

    pinned = serializers.BooleanField(help_text="true keeps the flow from retention and clearing.")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(map(str, data)) - {"pinned"})):
            raise serializers.ValidationError(
                {unknown[0][:100]: ["Only “pinned” of a flow can be changed."]}
            )
        return super().to_internal_value(data)
