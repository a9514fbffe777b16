"""Counts of shaped requests by version: accepted, refused, failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q

from flows.models import Flow
from shapes.models import Shape

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


_CONDITIONS: Final = {
    "accepted": Q(status_code__gte=200, status_code__lt=300),
    "refused": Q(status_code__gte=400, status_code__lt=500),
    "failed": Q(status_code__gte=500) | Q(status_code__isnull=True, state=Flow.State.ERROR),
}


def outcomes_by_version(shapes: Sequence[Shape]) -> dict[int, Outcomes]:
    """Return the counts of versions by primary key, in one query.

    Versions that were never active, and all but those activated last, are left out.
    """
    activated = [shape for shape in shapes if shape.activated_at is not None]
    activated.sort(key=lambda shape: str(shape.activated_at), reverse=True)
    activated = activated[:MAX_COUNTED_VERSIONS]
    if not activated:
        return {}
    # A number may come again once its version was deleted, so older flows do not count.
    taken = Q()
    for shape in activated:
        taken |= Q(shape=str(shape), started_at__gte=shape.activated_at)
    counts = {name: Count("pk", filter=condition) for name, condition in _CONDITIONS.items()}
    # The condition of the index `flow_shape`, word for word: SQLite wants it without parameters.
    shaped = Flow.objects.extra(where=["NOT (flows_flow.shape = '')"]).filter(taken)
    found = {}
    for row in shaped.order_by().values("shape").annotate(**counts):
        found[row["shape"]] = Outcomes(row["accepted"], row["refused"], row["failed"])
    return {shape.pk: found.get(str(shape), Outcomes()) for shape in activated}
