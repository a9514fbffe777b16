"""Look-ups of versions by provider type and number, with refusals for people."""

from __future__ import annotations

from providers.base.errors import CcproxyError
from shapes.models import Shape
from shapes.versions.capturing import check_type


class NoSuchShape(CcproxyError):
    """There is no such version; the message lists those that exist."""


def version_of(provider_type: str, version: int | None) -> Shape:
    """Return a version; without a number the active one, or else the newest.

    Raises:
        CaptureRefused: there is no such provider type.
        NoSuchShape: there is no such version.
    """
    check_type(provider_type)
    found = _found(provider_type, version)
    if found is None:
        raise NoSuchShape(_missing(provider_type, version))
    return found


def _found(provider_type: str, version: int | None) -> Shape | None:
    shapes = Shape.objects.filter(provider_type=provider_type).order_by("-version")
    shape: Shape | None = None
    if version is None:
        shape = shapes.filter(active=True).first() or shapes.first()
    # SQLite and PostgreSQL refuse numbers beyond their columns.
    elif 0 < version < 2**31:
        shape = shapes.filter(version=version).first()
    return shape


def _missing(provider_type: str, version: int | None) -> str:
    known = Shape.objects.filter(provider_type=provider_type).values_list("version", flat=True)
    numbers = ", ".join(f"v{number}" for number in known[:20])
    if not numbers:
        hint = f"“ccproxy shapes save {provider_type}” makes one."
        return f"There is no shape of {provider_type}. {hint}"
    return f"There is no v{version} of {provider_type}; there are: {numbers}."
