"""Counts of shaped requests by version: accepted, refused, failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Q, TextField
from django.db.models.functions import Cast

from flows.models import Flow
from shapes.models import Shape

HOOK: Final = "shape"
MAX_COUNTED_VERSIONS: Final = 8
_FEW: Final = 3
_REFUSED_SHARE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Responses to requests that one version shaped, since it was activated last."""

    accepted: int = 0
    """2xx"""
    refused: int = 0
    """4xx"""
    failed: int = 0
    """5xx, or no response."""

    @property
    def total(self) -> int:
        """Number of shaped requests."""
        return self.accepted + self.refused + self.failed

    @property
    def words(self) -> str:
        """The counts in words: "412 ok, 0 refused"; failed ones only if there are any."""
        words = f"{self.accepted} ok, {self.refused} refused"
        return f"{words}, {self.failed} failed" if self.failed else words

    @property
    def looks_refused(self) -> bool:
        """Enough requests were refused that a rollback is worth a thought."""
        return self.refused >= _FEW and self.refused > _REFUSED_SHARE * self.total

    def as_json(self) -> dict[str, int]:
        """Return the counts for programs."""
        return {"accepted": self.accepted, "refused": self.refused, "failed": self.failed}


def outcomes_by_version(shapes: Sequence[Shape]) -> dict[int, Outcomes]:
    """Return the counts of versions of one provider type, by primary key, in one query.

    A version counts from its last activation to the next one's. Versions that were never active,
    and all but the newest few, are left out.
    """
    activated = [shape for shape in shapes if shape.activated_at is not None]
    activated.sort(key=lambda shape: _activation(shape), reverse=True)
    activated = activated[:MAX_COUNTED_VERSIONS]
    if not activated:
        return {}
    counts: dict[str, Any] = {}
    # The newest activation first: each version counts until the next activation.
    until: datetime | None = None
    for shape in activated:
        within = _within(_activation(shape), until)
        for name, condition in _CONDITIONS.items():
            counts[f"{name}_{shape.pk}"] = Count("pk", filter=within & condition)
        until = _activation(shape)
    found = _shaped(activated[0].provider_type, _activation(activated[-1])).aggregate(**counts)
    return {
        shape.pk: Outcomes(
            *(found[f"{name}_{shape.pk}"] for name in ("accepted", "refused", "failed"))
        )
        for shape in activated
    }


_CONDITIONS: Final = {
    "accepted": Q(status_code__gte=200, status_code__lt=300),
    "refused": Q(status_code__gte=400, status_code__lt=500),
    "failed": Q(status_code__gte=500) | Q(status_code__isnull=True, state=Flow.State.ERROR),
}


def _within(start: datetime, end: datetime | None) -> Q:
    within = Q(started_at__gte=start)
    return within if end is None else within & Q(started_at__lt=end)


def _shaped(provider_type: str, since: datetime) -> Any:
    """Return the flows of a provider type that the hook changed."""
    flows = Flow.objects.filter(provider_type=provider_type, started_at__gte=since)
    # SQLite has no JSON "contains"; as text it works on every database.
    flows = flows.annotate(hooks_text=Cast("hooks_changed", TextField()))
    return flows.filter(hooks_text__contains=f'"{HOOK}"')


def _activation(shape: Shape) -> datetime:
    if shape.activated_at is None:
        raise ValueError(f"{shape} was never active")
    return shape.activated_at
