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

    The entire body covers its parts, as all headers cover each: ("body", "body:system") → True.
    """
    return reads == writes or reads.startswith(f"{writes}:") or writes.startswith(f"{reads}:")


_Rank = tuple[int, bool]
"""Position in the list, and whether the hook was put behind the one at that position."""


def _depends(later: PlannedHook, earlier: PlannedHook) -> bool:
    """Return True when `later` reads what `earlier`, which runs before it, writes."""
    return any(_overlap(r, w) for r in later.spec.reads for w in earlier.spec.writes)


def _rank(planned: PlannedHook, replaced_at: int) -> _Rank:
    """Return the position of a hook, moved behind the one that replaces all headers.

    An edit of headers would be lost before it, wherever the user's list has it. A hook that also
    writes the body stays: the replacing hook reads the body.
    """
    spec = planned.spec
    edits = any(name in spec.reads for name in spec.writes)
    only_headers = all(name.startswith("header:") for name in spec.writes)
    if edits and only_headers and planned.position < replaced_at:
        return replaced_at, True
    return planned.position, False


def make_plan(hooks: list[PlannedHook]) -> Plan:
    """Sort topologically; within a level by position, then by name.

    A hook depends only on hooks that stand before it in the list, so there are no cycles.
    """
    replacing = (h for h in hooks if h.enabled and h.spec.replaces_headers)
    replaced_at = max((h.position for h in replacing), default=-1)
    ranked = [(_rank(h, replaced_at), h) for h in hooks]
    ranked.sort(key=lambda pair: (pair[0], pair[1].label))
    ordered = [h for _, h in ranked]
    depth: list[int] = []
    for index, (rank, planned) in enumerate(ranked):
        before = [
            depth[i] for i in range(index) if ranked[i][0] < rank and _depends(planned, ordered[i])
        ]
        depth.append(1 + max(before, default=-1))
    levels: list[list[PlannedHook]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for planned, level in zip(ordered, depth, strict=True):
        levels[level].append(planned)
    return Plan(tuple(map(tuple, levels)))
