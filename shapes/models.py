"""Captured requests of reference clients, their patches, and the profiles that apply them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import Q

from providers.base.names import PROVIDER_TYPES
from providers.fields import EncryptedTextField
from providers.models import ConfigManager
from shapes.replay.shape_text import HeaderPairs
from shapes.replay.shipped_profiles import shipped_profile
from shapes.validation import validate_profile, validate_shape


class Shape(models.Model):  # type: ignore[django-manager-missing]
    """A captured request of a reference client, one version of its provider type.

    At most one version of a type is active. The parts of the request are kept as they were sent,
    without what the capture removed.
    """

    provider_type = models.CharField(max_length=32, choices=PROVIDER_TYPES, db_index=True)
    version = models.PositiveIntegerField(default=1)
    active = models.BooleanField(
        default=False, help_text="Requests take this version; the provider's terms apply."
    )
    method = models.CharField(max_length=16, default="POST")
    origin = models.CharField(
        max_length=300, blank=True, help_text="Scheme and host it was sent to; never replayed."
    )
    path = models.CharField(max_length=2048, default="/", help_text="Path without its query.")
    query = models.TextField(blank=True, help_text="Query as it was sent, such as beta=true.")
    headers = models.JSONField(
        default=list, blank=True, help_text="List of [name, value], in order, with duplicates."
    )
    body = models.TextField(
        blank=True, help_text="JSON text of the body, in the client's order of keys."
    )
    fingerprint = models.JSONField(
        null=True, blank=True, help_text="Record of the client's TLS handshake; blank: none."
    )
    source_flow_id = models.CharField(max_length=36, blank=True)
    client_family = models.CharField(
        max_length=64, blank=True, help_text="Part of the user agent before its first slash."
    )
    client_version = models.CharField(max_length=64, blank=True)
    captured_at = models.DateTimeField(null=True, blank=True)
    scrubbed = models.JSONField(
        default=dict, blank=True, help_text="Report of what the capture removed or replaced."
    )
    notes = models.TextField(blank=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConfigManager()  # type: ignore[django-manager-missing]

    class Meta:
        ordering = ["provider_type", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["provider_type", "version"], name="shape_version_once"),
            models.UniqueConstraint(
                fields=["provider_type"], condition=Q(active=True), name="shape_active_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_type} v{self.version}"

    def clean(self) -> None:
        validate_shape(self)

    @property
    def header_pairs(self) -> HeaderPairs:
        """Headers in order, with duplicates."""
        return tuple((name, value) for name, value in self.headers)

    @property
    def user_agent(self) -> str:
        """The client's user agent, or ""."""
        values = (value for name, value in self.header_pairs if name.lower() == "user-agent")
        return next(values, "")


class ShapePatch(models.Model):
    """A unified diff on the virtual file `shape.json` of one shape. Patches apply in order."""

    shape = models.ForeignKey(Shape, on_delete=models.CASCADE, related_name="patches")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=200, help_text="File name in an exported series.")
    diff = models.TextField(help_text="Unified diff of a/shape.json and b/shape.json.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConfigManager()  # type: ignore[django-manager-missing]

    class Meta:
        ordering = ["shape", "position", "id"]
        constraints = [models.UniqueConstraint(fields=["shape", "name"], name="shape_patch_once")]

    def __str__(self) -> str:
        return f"{self.shape}: {self.name}"


class ShapingProfile(models.Model):
    """Fields of a request that belong to the client, and what else is done, for a provider type.

    Without an acknowledgement no request is shaped. A row begins with the shipped values.
    """

    provider_type = models.CharField(max_length=32, choices=PROVIDER_TYPES, unique=True)
    path_pattern = models.CharField(
        max_length=1000,
        blank=True,
        help_text="Regular expression (RE2), searched in the path of a capture. Blank: any path.",
    )
    content_fields = models.JSONField(
        default=list, blank=True, help_text="Fields of the body that the incoming request supplies."
    )
    merge_strategies = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            "Content field to replace (default), drop, prepend_shape, prepend_shape:N,"
            " append_shape or append_shape:N."
        ),
    )
    shape_hooks = models.JSONField(
        default=list,
        blank=True,
        help_text="Inner hooks: names, or mappings with hook and params.",
    )
    preserve_headers = models.JSONField(
        default=list, blank=True, help_text="Headers of the incoming request that are kept."
    )
    strip_headers = models.JSONField(
        default=list, blank=True, help_text="Headers of the shape that are not sent."
    )
    billing_salt = EncryptedTextField(
        blank=True, default="", help_text="Constant of the billing line, hex text."
    )
    billing_seed = EncryptedTextField(
        blank=True, default="", help_text="Constant of the billing line, a hex integer."
    )
    billing_positions = models.JSONField(
        default=list,
        blank=True,
        help_text="Indices of the sampled characters of the first user text.",
    )
    acknowledged_by = models.CharField(max_length=150, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ConfigManager()  # type: ignore[django-manager-missing]

    class Meta:
        ordering = ["provider_type"]

    def __str__(self) -> str:
        return self.provider_type

    def clean(self) -> None:
        validate_profile(self)

    @property
    def is_acknowledged(self) -> bool:
        """A person confirmed that the provider's terms apply."""
        return self.acknowledged_at is not None

    @classmethod
    def of(cls, provider_type: str) -> ShapingProfile:
        """Return the stored profile of a provider type, or an unsaved one with shipped values."""
        stored: ShapingProfile | None = cls.objects.filter(provider_type=provider_type).first()
        return stored or cls(provider_type=provider_type, **shipped_fields(provider_type))


def shipped_fields(provider_type: str) -> dict[str, Any]:
    """Return the shipped values of a provider type as fields of a row."""
    values = shipped_profile(provider_type)
    return {
        "path_pattern": values.path_pattern,
        "content_fields": list(values.content_fields),
        "merge_strategies": dict(values.merge_strategies),
        "shape_hooks": list(values.shape_hooks),
        "preserve_headers": list(values.preserve_headers),
        "strip_headers": _distinct(values.strip_headers),
    }


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
