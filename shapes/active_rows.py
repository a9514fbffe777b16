"""Active shapes as plain values, for the proxy's snapshot. The proxy itself reads no database."""

from __future__ import annotations

from shapes.models import Shape, ShapingProfile
from shapes.replay.compiled_shape import ShapeRow
from shapes.replay.shape_document import ShapeParts
from shapes.replay.shape_text import read_headers


def active_rows() -> list[ShapeRow]:
    """Return the active version of each provider type whose profile is acknowledged."""
    acknowledged = ShapingProfile.objects.filter(acknowledged_at__isnull=False)
    profiles = {profile.provider_type: profile for profile in acknowledged}
    if not profiles:
        return []
    shapes = Shape.objects.filter(active=True, provider_type__in=profiles)
    return [
        shape_row(shape, profiles[shape.provider_type])
        for shape in shapes.prefetch_related("patches")
    ]


def shape_row(shape: Shape, profile: ShapingProfile) -> ShapeRow:
    """Return a version with a profile as plain values; it need not be active.

    Raises:
        BadShape: its headers have another form than the field wants.
    """
    key_order = shape.scrubbed.get("key_order", ()) if isinstance(shape.scrubbed, dict) else ()
    return ShapeRow(
        provider_type=shape.provider_type,
        version=shape.version,
        parts=parts_of(shape),
        patches=tuple((patch.name, patch.diff) for patch in shape.patches.all()),
        client_version=shape.client_version,
        key_order=tuple(name for name in key_order if isinstance(name, str)),
        content_fields=tuple(profile.content_fields),
        merge_strategies=dict(profile.merge_strategies),
        shape_hooks=tuple(profile.shape_hooks),
        preserve_headers=tuple(profile.preserve_headers),
        strip_headers=tuple(profile.strip_headers),
        billing_salt=str(profile.billing_salt),
        billing_seed=str(profile.billing_seed),
        billing_positions=tuple(profile.billing_positions),
        fingerprint=shape.fingerprint,
    )


def parts_of(shape: Shape) -> ShapeParts:
    """Return the parts of a version that patches may change.

    Raises:
        BadShape: its headers have another form than the field wants.
    """
    return ShapeParts(
        shape.method,
        shape.origin,
        shape.path,
        shape.query,
        read_headers(shape.headers),
        shape.body,
    )
