"""Candidates: recorded calls of captured clients from which a shape can be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from flows.models import Flow
from flows.record import CAPTURED
from providers.base.pattern import PatternError, compile_pattern
from shapes.capture.captured_request import Release, client_release
from shapes.capture.validity import PathPattern
from shapes.models import Shape, ShapingProfile, shipped_fields
from shapes.replay.shipped_profiles import SHIPPED

MAX_LOOKED_AT: Final = 2000
"""Newest calls of captured clients that the list of candidates looks at."""


@dataclass(slots=True)
class Candidate:
    """The newest valid call of one release of a client, and how many there are."""

    provider_type: str
    release: Release
    flow_id: str
    user_agent: str
    seen_at: datetime
    calls: int = 1
    is_news: bool = False
    """The active shape is of another release of this client, and was captured before."""

    @property
    def name(self) -> str:
        """The release in words: "claude-cli 2.1.332", or the user agent."""
        if self.release.family:
            return f"{self.release.family} {self.release.version}"
        return self.user_agent or "a client without a name"


def profiles() -> list[ShapingProfile]:
    """Return the profiles of all provider types: shipped ones, stored ones, those with shapes."""
    stored = {profile.provider_type: profile for profile in ShapingProfile.objects.all()}
    types = dict.fromkeys([*SHIPPED, *stored])
    types |= dict.fromkeys(Shape.objects.values_list("provider_type", flat=True).distinct())
    found = []
    for name in types:
        shipped = ShapingProfile(provider_type=name, **shipped_fields(name))
        found.append(stored.get(name, shipped))
    return found


def path_pattern(profile: ShapingProfile) -> PathPattern | None:
    """Return the compiled pattern of a profile; None for any path."""
    if not profile.path_pattern:
        return None
    try:
        return compile_pattern(profile.path_pattern)
    except PatternError:
        # Saved before it was checked: it fits nothing rather than everything.
        return compile_pattern(r"\b\B")


def types_for(path: str) -> list[str]:
    """Return the provider types whose profile names this path."""
    fitting = []
    for profile in profiles():
        pattern = path_pattern(profile)
        if pattern is not None and pattern.search(path.partition("?")[0]):
            fitting.append(profile.provider_type)
    return fitting


def candidate_flows() -> QuerySet[Flow]:
    """Return the flows that may become shapes, see `Flow.is_shape_candidate`, newest first.

    The condition on the run's label is that of the index `flow_run`, word for word: a database
    uses a partial index only where the query repeats its condition without parameters.
    """
    # The plus, and the expression to order by, keep SQLite from the indexes on status and time,
    # which lead through every flow.
    captured = Flow.objects.extra(
        where=[
            "NOT (flows_flow.run_label = '')",
            "+flows_flow.status_code BETWEEN 200 AND 299",
        ]
    )
    calls = captured.filter(source__in=CAPTURED, method="POST").exclude(client_format="")
    moment = Coalesce("started_at", "started_at")
    return calls.order_by(moment.desc(), "-id")


def candidates(of: Sequence[ShapingProfile] | None = None) -> list[Candidate]:
    """Return the candidates by provider type and client release, the newest first.

    `of`: the profiles whose paths count; without them all are loaded.
    """
    active = {
        shape.provider_type: shape for shape in Shape.objects.filter(active=True).defer("body")
    }
    patterns: list[tuple[str, PathPattern]] = []
    for profile in profiles() if of is None else of:
        pattern = path_pattern(profile)
        if pattern is not None:
            patterns.append((profile.provider_type, pattern))
    found: dict[tuple[str, Release], Candidate] = {}
    for flow in candidate_flows().only("id", "path", "user_agent", "started_at")[:MAX_LOOKED_AT]:
        for provider_type in _fitting(flow.path, patterns):
            _add(found, provider_type, flow)
    for candidate in found.values():
        shape = active.get(candidate.provider_type)
        candidate.is_news = shape is not None and _is_news(candidate, shape)
    return list(found.values())


def _is_news(candidate: Candidate, shape: Shape) -> bool:
    """Check whether a call is of another release than the active shape, and later than that."""
    if candidate.release.family != shape.client_family:
        return False
    if shape.captured_at is not None and candidate.seen_at <= shape.captured_at:
        return False
    return candidate.release.version != shape.client_version


def _fitting(path: str, patterns: list[tuple[str, PathPattern]]) -> Iterator[str]:
    target = path.partition("?")[0]
    for provider_type, pattern in patterns:
        if pattern.search(target):
            yield provider_type


def _add(found: dict[tuple[str, Release], Candidate], provider_type: str, flow: Flow) -> None:
    release = client_release(flow.user_agent)
    # Flows come newest first, so the first one of a release stays.
    known = found.get((provider_type, release))
    if known is not None:
        known.calls += 1
        return
    found[provider_type, release] = Candidate(
        provider_type, release, str(flow.pk), flow.user_agent, flow.started_at
    )
