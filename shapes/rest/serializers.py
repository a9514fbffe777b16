"""JSON of shapes, reviews, candidates and profiles."""

from __future__ import annotations

import json
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from providers.web.rest import FullCleanSerializer
from shapes.models import Shape, ShapingProfile
from shapes.versions.capturing import Review

_MAX_KEPT = 100


class OutcomesSerializer(serializers.Serializer[Any]):
    """Responses to the requests that a version shaped, since its last activation."""

    accepted = serializers.IntegerField(help_text="2xx")
    refused = serializers.IntegerField(help_text="4xx")
    failed = serializers.IntegerField(help_text="5xx, or no response.")


class ShapeSerializer(FullCleanSerializer[Shape]):
    """A captured request of a reference client. Its content cannot be changed."""

    # A text in the API's description: “type” of a provider has the same choices.
    provider_type = serializers.CharField(read_only=True)
    outcomes = serializers.SerializerMethodField()
    size_bytes = serializers.SerializerMethodField()

    class Meta:
        model = Shape
        fields = [
            "id",
            "provider_type",
            "version",
            "active",
            "notes",
            "client_family",
            "client_version",
            "user_agent",
            "source_flow_id",
            "captured_at",
            "activated_at",
            "created_at",
            "outcomes",
            "size_bytes",
        ]
        read_only_fields = [name for name in fields if name not in ("active", "notes")]

    @extend_schema_field(OutcomesSerializer(allow_null=True))
    def get_outcomes(self, shape: Shape) -> dict[str, int] | None:
        counted = self.context.get("outcomes", {}).get(shape.pk)
        return counted.as_json() if counted else None

    def get_size_bytes(self, shape: Shape) -> int:
        return len(shape.body.encode())


class PatchSerializer(serializers.Serializer[Any]):
    """A unified diff on the virtual file shape.json."""

    name = serializers.CharField()
    diff = serializers.CharField()


class ShapeDetailSerializer(ShapeSerializer):
    """A shape with its request, its fingerprint and its patches."""

    body = serializers.SerializerMethodField()
    patches = PatchSerializer(many=True, read_only=True)

    class Meta(ShapeSerializer.Meta):
        fields = [
            *ShapeSerializer.Meta.fields,
            "method",
            "path",
            "query",
            "headers",
            "body",
            "fingerprint",
            "scrubbed",
            "patches",
        ]
        read_only_fields = [name for name in fields if name not in ("active", "notes")]

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_body(self, shape: Shape) -> Any:
        return json.loads(shape.body) if shape.body else None


class ReviewRequestSerializer(serializers.Serializer[Any]):
    """A flow that may become a shape."""

    provider_type = serializers.CharField(max_length=32)
    flow = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=36,
        help_text="Id of a flow; without it the newest valid call of a captured client.",
    )
    keep = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        default=list,
        max_length=_MAX_KEPT,
        help_text="Places of the body whose texts stay, such as a.b.",
    )


class CaptureSerializer(ReviewRequestSerializer):
    """A flow that becomes a shape, as it was reviewed."""

    digest = serializers.CharField(
        max_length=64, help_text="Digest of the review: what it showed is what is stored."
    )
    activate = serializers.BooleanField(required=False, default=False)
    notes = serializers.CharField(required=False, allow_blank=True, default="", max_length=10_000)


class FindingSerializer(serializers.Serializer[Any]):
    """Personal data that was found, and what became of it."""

    kind = serializers.CharField()
    place = serializers.CharField()
    shown = serializers.CharField(help_text="Its start, and its length.")
    outcome = serializers.CharField(help_text="left out, replaced or masked")


class ReviewSerializer(serializers.Serializer[Any]):
    """A review: what would be stored, and everything that would not."""

    digest = serializers.CharField()
    flow = serializers.CharField()
    same_as = serializers.IntegerField(
        allow_null=True, help_text="Version that has this content already."
    )
    shape = ShapeDetailSerializer()
    findings = FindingSerializer(many=True)
    left_out = serializers.ListField(child=serializers.CharField())
    placeholders = serializers.ListField(child=serializers.CharField())


def review_json(found: Review) -> dict[str, Any]:
    """Return a review for programs. The shape has no id and no patches yet."""
    report = found.scrubbed.report
    shape = found.shape
    return {
        "digest": found.digest,
        "flow": shape.source_flow_id,
        "same_as": found.same_as.version if found.same_as else None,
        "shape": {
            "provider_type": shape.provider_type,
            "client_family": shape.client_family,
            "client_version": shape.client_version,
            "method": shape.method,
            "path": shape.path,
            "query": shape.query,
            "headers": shape.headers,
            "body": json.loads(shape.body),
            "fingerprint": shape.fingerprint,
        },
        "findings": [
            {"kind": one.kind, "place": one.place, "shown": one.shown, "outcome": one.outcome}
            for one in report.findings
        ],
        "left_out": report.left_out,
        "placeholders": report.placeholders,
    }


class CandidateSerializer(serializers.Serializer[Any]):
    """The newest valid call of one release of a captured client."""

    provider_type = serializers.CharField()
    name = serializers.CharField()
    flow_id = serializers.CharField()
    user_agent = serializers.CharField()
    seen_at = serializers.DateTimeField()
    calls = serializers.IntegerField()
    is_news = serializers.BooleanField(
        help_text="The active shape is of another release of this client."
    )


class ProfileSerializer(FullCleanSerializer[ShapingProfile]):
    """Fields of a request that belong to the client, for a provider type.

    The billing constants can be written, never read.
    """

    provider_type = serializers.CharField(read_only=True)
    billing_salt = serializers.CharField(
        write_only=True, required=False, allow_blank=True, max_length=200
    )
    billing_seed = serializers.CharField(
        write_only=True, required=False, allow_blank=True, max_length=200
    )
    billing_stored = serializers.SerializerMethodField(
        help_text="True when both billing constants are stored."
    )

    class Meta:
        model = ShapingProfile
        fields = [
            "provider_type",
            "path_pattern",
            "content_fields",
            "merge_strategies",
            "shape_hooks",
            "preserve_headers",
            "strip_headers",
            "billing_salt",
            "billing_seed",
            "billing_positions",
            "billing_stored",
            "acknowledged_by",
            "acknowledged_at",
        ]
        read_only_fields = ["provider_type", "acknowledged_by", "acknowledged_at"]

    def get_billing_stored(self, profile: ShapingProfile) -> bool:
        return bool(profile.billing_salt and profile.billing_seed)


class AcknowledgementSerializer(serializers.Serializer[Any]):
    """A person's confirmation."""

    confirm = serializers.CharField(help_text="The sentence about the provider's terms, complete.")
