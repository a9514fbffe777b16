"""One provider type on the page of shapes: its versions, its state, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from providers.base.names import PROVIDER_TYPES
from shapes.models import Shape, ShapingProfile
from shapes.versions.candidates import Candidate, candidates, profiles
from shapes.versions.outcomes import Outcomes, outcomes_by_version


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with the responses to its requests; None if it was never active."""

    shape: Shape
    outcomes: Outcomes | None


@dataclass(slots=True)
class ProviderSection:
    """Versions and candidates of one provider type."""

    profile: ShapingProfile
    rows: list[VersionRow] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The provider type in words."""
        return PROVIDER_TYPES.get(self.profile.provider_type, self.profile.provider_type)

    @property
    def active(self) -> VersionRow | None:
        """The version that requests take."""
        return next((row for row in self.rows if row.shape.active), None)

    @property
    def is_empty(self) -> bool:
        """Nothing is stored and nothing was seen."""
        return not self.rows and not self.candidates

    @property
    def news(self) -> list[Candidate]:
        """Releases of the active version's client that were seen later than it."""
        return [one for one in self.candidates if one.is_news]

    @property
    def rollback(self) -> VersionRow | None:
        """The version before the active one, if the provider refuses what the active one shapes."""
        active = self.active
        if active is None or active.outcomes is None or not active.outcomes.looks_refused:
            return None
        earlier = [row for row in self.rows if row.outcomes is not None and row is not active]
        good = [row for row in earlier if row.outcomes and not row.outcomes.looks_refused]
        # The one that was active last, of those that worked.
        good.sort(key=lambda row: str(row.shape.activated_at), reverse=True)
        return good[0] if good else None


def provider_sections() -> list[ProviderSection]:
    """Return all provider types, those with versions or candidates first."""
    shapes: dict[str, list[Shape]] = {}
    for shape in Shape.objects.defer("body"):
        shapes.setdefault(shape.provider_type, []).append(shape)
    known = profiles()
    seen = candidates(known)
    sections = []
    for profile in known:
        section = ProviderSection(profile, _rows(shapes.get(profile.provider_type, [])))
        section.candidates = [one for one in seen if one.provider_type == profile.provider_type]
        sections.append(section)
    return sorted(sections, key=lambda section: section.is_empty)


def _rows(shapes: Sequence[Shape]) -> list[VersionRow]:
    counts = outcomes_by_version(shapes)
    return [VersionRow(shape, counts.get(shape.pk)) for shape in shapes]
