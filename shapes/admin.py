"""Admin: captured shapes."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from providers.config_admin import ConfigModelAdmin
from providers.web.column import column
from shapes.models import Shape


@admin.register(Shape)
class ShapeAdmin(ConfigModelAdmin):
    """Captured requests of real clients; their bodies cannot be edited."""

    list_display = ["provider_type", "version", "client_version", "size", "active", "created_at"]
    list_filter = ["active"]
    search_fields = ["provider_type", "client_family", "client_version", "notes"]
    fields = ["provider_type", "version", "active", "source_flow_id", "notes"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a shape is captured from a flow

    @column("Size")
    def size(self, shape: Shape) -> str:
        return f"{len(shape.body.encode()):,} B"
