"""Parts of a captured body that a shape keeps, by the profile of its provider type. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shapes.replay.inner_hook_names import BadInnerHooks, parse_inner_hooks
from shapes.replay.merge_strategy import BadStrategy, parse_strategy

_CONTENT_OF_HOOK: Final[dict[str, tuple[str, ...]]] = {
    # The hook copies these from the incoming request.
    "gemini": (
        "request.contents",
        "request.systemInstruction",
        "request.system_instruction",
        "request.tools",
        "request.toolConfig",
        "request.safetySettings",
        "request.cachedContent",
        "request.generationConfig",
        "request.labels",
        "request.session_id",
    ),
}
"""Places whose content an inner hook takes from the incoming request, besides content fields."""

_TEXTS_OF_HOOK: Final[dict[str, tuple[str, ...]]] = {
    # That backend accepts its own client's instructions alone.
    "codex": ("instructions",),
}
"""Places whose texts are the shape's purpose for an inner hook."""


@dataclass(frozen=True, slots=True)
class ScrubPlan:
    """Treatment of a body's places, written like `request.contents` or `system.0.text`.

    `left_out`: the incoming request supplies them. `prefixes`: lists of which the first elements
    stay, or all of them (None). `kept`: places whose texts stay. Every other text becomes a
    placeholder.
    """

    left_out: frozenset[str] = frozenset()
    prefixes: Mapping[str, int | None] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()

    def keeps(self, place: str) -> bool:
        """Check whether the texts at a place stay: it or a place above it is kept."""
        if not self.kept:
            return False
        parts = place.split(".")
        return any(".".join(parts[:length]) in self.kept for length in range(1, len(parts) + 1))


def scrub_plan(
    content_fields: Collection[str],
    merge_strategies: Mapping[str, str],
    shape_hooks: Iterable[object],
    keep: Iterable[str] = (),
) -> ScrubPlan:
    """Return the plan of a profile; `keep` are places that the person wants to keep besides.

    Example: content fields `messages` and `system`, the latter with `prepend_shape:2`, leave out
    the messages and all but the first two blocks of the system prompt.
    """
    left_out: set[str] = set()
    prefixes: dict[str, int | None] = {}
    for name in content_fields:
        strategy = _strategy(merge_strategies.get(name, "replace"))
        if strategy is None:
            left_out.add(name)
        else:
            prefixes[name] = strategy.limit
    kept = {place.strip() for place in keep if place.strip()}
    for hook in _hook_names(shape_hooks):
        left_out.update(_CONTENT_OF_HOOK.get(hook, ()))
        kept.update(_TEXTS_OF_HOOK.get(hook, ()))
    return ScrubPlan(frozenset(left_out), prefixes, frozenset(kept))


@dataclass(frozen=True, slots=True)
class _Prefix:
    limit: int | None


def _strategy(text: object) -> _Prefix | None:
    """Return the number of elements that stay; None where the shape's value takes no part."""
    try:
        strategy = parse_strategy(text)
    except BadStrategy:
        # A profile that cannot be used keeps nothing.
        return None
    return _Prefix(strategy.limit) if strategy.reads_shape else None


def _hook_names(shape_hooks: Iterable[object]) -> list[str]:
    try:
        return [hook.name for hook in parse_inner_hooks(list(shape_hooks))]
    except BadInnerHooks:
        return []
