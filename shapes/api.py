"""REST: captured shapes, without their bytes."""

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
            "provider",
            "version",
            "enabled",
            "source_flow_id",
            "user_agent",
            "notes",
            "size_bytes",
            "created_at",
        ]

    def get_size_bytes(self, shape: Shape) -> int:
        return len(bytes(shape.blob))


class ShapeViewSet(ConfigViewSet[Shape]):
    """Shapes, by provider, newest version first."""

    queryset = Shape.objects.all()
    serializer_class = ShapeSerializer
    lookup_value_regex = r"\d{1,18}"
