"""Changes of stored versions: save, activate, roll back, delete, acknowledge. Each is audited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from providers.audit.log import Caller, audited
from providers.base.errors import CcproxyError
from shapes.models import Shape, ShapePatch, ShapingProfile

TERMS: Final = (
    "Shaping makes requests look like those of another client. Whether the terms of this provider"
    " permit that is for me to find out, and I answer for it."
)
"""The sentence that a person confirms before any request to a provider type is shaped."""

_MAX_TRIES: Final = 8


class ShapeConflict(CcproxyError):
    """Two processes changed the versions of one provider type at once."""


def save_version(
    shape: Shape, *, by: Caller, activate: bool = False, patches: Sequence[ShapePatch] = ()
) -> Shape:
    """Store a shape as the next version of its type with its patches; activate it if asked.

    Raises:
        ShapeConflict: other processes took every number that was tried.
    """

    def store() -> None:
        newest = Shape.objects.filter(provider_type=shape.provider_type).aggregate(Max("version"))
        shape.pk = None
        shape.version = (newest["version__max"] or 0) + 1
        shape.save(force_insert=True)
        for position, patch in enumerate(patches):
            patch.pk = None
            patch.shape = shape
            patch.position = position
            patch.save(force_insert=True)

    with audited("shape-save", f"shape {shape.provider_type}", by=by) as entry:
        _retried(store)
        entry.target = f"shape {shape}"
        entry.save(update_fields=["target"])
    if activate:
        activate_version(shape, by=by)
    return shape


def activate_version(shape: Shape, *, by: Caller) -> None:
    """Let new requests take this version instead of the active one.

    Raises:
        ShapeConflict: another process activated one at the same moment.
    """
    # A version without a body is refused before anything changes.
    shape.active = True
    shape.clean()

    def switch() -> None:
        # First the others: the database allows one active version a type.
        others = Shape.objects.filter(provider_type=shape.provider_type, active=True)
        others.exclude(pk=shape.pk).update(active=False)
        shape.activated_at = timezone.now()
        shape.save(update_fields=["active", "activated_at"])

    with audited("shape-activate", f"shape {shape}", by=by):
        _retried(switch)


def deactivate(provider_type: str, *, by: Caller) -> int:
    """Let requests to a provider type leave unshaped; return how many versions were active."""
    with audited("shape-deactivate", f"shapes of {provider_type}", by=by):
        return Shape.objects.filter(provider_type=provider_type, active=True).update(active=False)


def delete_version(shape: Shape, *, by: Caller) -> None:
    """Delete a version with its patches."""
    with audited("shape-delete", f"shape {shape}", by=by):
        shape.delete()


def delete_all(provider_type: str, *, by: Caller) -> int:
    """Delete every version of a provider type; return how many there were."""
    with audited("shape-delete", f"shapes of {provider_type}", by=by), transaction.atomic():
        shapes = Shape.objects.filter(provider_type=provider_type)
        count = shapes.count()
        shapes.delete()
    return count


def acknowledge(provider_type: str, *, by: Caller) -> ShapingProfile:
    """Note that a person confirmed `TERMS` for a provider type."""
    detail = TERMS
    with audited("shape-acknowledge", f"profile {provider_type}", by=by, detail=detail):
        profile = ShapingProfile.of(provider_type)
        profile.acknowledged_by = by.name[:150]
        profile.acknowledged_at = timezone.now()
        profile.save()
    return profile


def withdraw(provider_type: str, *, by: Caller) -> None:
    """Take the acknowledgement back: no request to this provider type is shaped any more."""
    with audited("shape-acknowledge", f"profile {provider_type}", by=by, detail="withdrawn"):
        ShapingProfile.objects.filter(provider_type=provider_type).update(
            acknowledged_by="", acknowledged_at=None
        )


def earlier_version(shape: Shape) -> Shape | None:
    """Return the version that was active before this one, for a rollback."""
    others = Shape.objects.filter(provider_type=shape.provider_type, activated_at__isnull=False)
    return others.exclude(pk=shape.pk).order_by("-activated_at").first()


def _retried(write: Callable[[], None]) -> None:
    """Write in a transaction; another process may have taken the number or the active place."""
    for _ in range(_MAX_TRIES):
        try:
            with transaction.atomic():
                write()
        except IntegrityError:
            continue
        return
    raise ShapeConflict("Another process is changing these shapes. Try again in a moment.")
