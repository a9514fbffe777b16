"""Admin: captured shapes."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from providers.config_admin import ConfigModelAdmin
from providers.web.column import column
from shapes.models import Shape


@admin.register(Shape)
class ShapeAdmin(ConfigModelAdmin):
    """Captured requests of real clients; their bytes cannot be edited."""

    list_display = ["provider", "version", "user_agent", "size", "enabled", "created_at"]
    list_editable = ["enabled"]
    list_filter = ["enabled"]
    search_fields = ["provider", "user_agent", "notes"]
    fields = ["provider", "version", "enabled", "user_agent", "source_flow_id", "notes"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a shape is captured from a flow

    @column("Size")
    def size(self, shape: Shape) -> str:
        return f"{len(bytes(shape.blob)):,} B"
