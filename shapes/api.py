"""REST: captured shapes, without their bodies."""

from __future__ import annotations

from rest_framework import serializers

from providers.web.rest import ConfigViewSet, FullCleanSerializer
from shapes.models import Shape


class ShapeSerializer(FullCleanSerializer[Shape]):
    """A captured request of a real client."""

    size_bytes = serializers.SerializerMethodField()

    class Meta:
        model = Shape
        fields = [
            "id",
            "provider_type",
            "version",
            "active",
            "source_flow_id",
            "user_agent",
            "client_family",
            "client_version",
            "captured_at",
            "notes",
            "size_bytes",
            "created_at",
        ]
        read_only_fields = ["captured_at", "client_family", "client_version"]

    def get_size_bytes(self, shape: Shape) -> int:
        return len(shape.body.encode())


class ShapeViewSet(ConfigViewSet[Shape]):
    """Shapes, by provider, newest version first."""

    queryset = Shape.objects.all()
    serializer_class = ShapeSerializer
    lookup_value_regex = r"\d{1,18}"
