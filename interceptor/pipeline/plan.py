"""Order of a stage's hooks: dependencies first, ties by list position."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from interceptor.pipeline.hook import HookSpec


@dataclass(frozen=True, slots=True)
class PlannedHook:
    """A hook with its parameters and its position in the configured list."""

    spec: HookSpec
    position: int = 0
    params: BaseModel | None = None
    name: str = ""
    enabled: bool = True
    """A disabled hook runs only when a client's header asks for it with +name."""
    builtin: bool = True
    """A user's own hook runs in a thread, with a time limit, on a copy of the exchange."""

    @property
    def label(self) -> str:
        """The name in traces and in x-ccproxy-hooks: the table's name or the dotted path."""
        return self.name or self.spec.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The hooks of one stage in levels; hooks of one level do not depend on each other."""

    levels: tuple[tuple[PlannedHook, ...], ...] = ()

    @property
    def hooks(self) -> tuple[PlannedHook, ...]:
        """All hooks in the order they run."""
        return tuple(hook for level in self.levels for hook in level)


EMPTY_PLAN = Plan()


def _overlap(reads: str, writes: str) -> bool:
    """Return True when writing one name can change the value of the other.

    The entire body covers its parts: ("body", "body:system") → True.
    """
    if reads == writes:
        return True
    return (reads == "body" and writes.startswith("body:")) or (
        writes == "body" and reads.startswith("body:")
    )


def _depends(later: PlannedHook, earlier: PlannedHook) -> bool:
    """Return True when `later` reads what `earlier`, which stands before it in the list, writes."""
    return earlier.position < later.position and any(
        _overlap(r, w) for r in later.spec.reads for w in earlier.spec.writes
    )


def make_plan(hooks: list[PlannedHook]) -> Plan:
    """Sort topologically; within a level by position, then by name.

    A hook depends only on hooks that stand before it in the list, so there are no cycles.
    """
    ordered = sorted(hooks, key=lambda h: (h.position, h.label))
    depth: list[int] = []
    for index, planned in enumerate(ordered):
        depth.append(
            1 + max((depth[i] for i in range(index) if _depends(planned, ordered[i])), default=-1)
        )
    levels = range(max(depth, default=-1) + 1)
    return Plan(
        tuple(
            tuple(h for h, d in zip(ordered, depth, strict=True) if d == level) for level in levels
        )
    )
