"""A stage's hooks in the order they run: dependencies first, ties by list position."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from interceptor.pipeline.hook import HookSpec


@dataclass(frozen=True, slots=True)
class PlannedHook:
    """A hook with its parameters and its place in the configured list."""

    spec: HookSpec
    position: int = 0
    params: BaseModel | None = None
    name: str = ""
    enabled: bool = True
    """A disabled hook runs only when a client's header asks for it with +name."""

    @property
    def label(self) -> str:
        """How it is named in traces and in x-ccproxy-hooks: the table's name or the dotted path."""
        return self.name or self.spec.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered hooks of one stage, and the groups whose members do not depend on each other."""

    hooks: tuple[PlannedHook, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()


EMPTY_PLAN = Plan()


def _depends(later: PlannedHook, earlier: PlannedHook) -> bool:
    """True when `later` reads what `earlier`, which stands before it in the list, writes."""
    if earlier.position >= later.position:
        return False
    reads, writes = later.spec.reads, earlier.spec.writes
    if reads & writes:
        return True
    body_read = any(r == "body" or r.startswith("body:") for r in reads)
    return ("body" in writes and body_read) or ("body" in reads and any(w.startswith("body:") for w in writes))


def make_plan(hooks: list[PlannedHook]) -> Plan:
    """Sort topologically; a tie is broken by position, then by name.

    A hook depends only on hooks that stand before it in the list, so there are no cycles.
    """
    waiting = sorted(hooks, key=lambda h: (h.position, h.label))
    before = {h.label: [e for e in waiting if _depends(h, e)] for h in waiting}
    level: dict[str, int] = {}
    for planned in waiting:
        level[planned.label] = 1 + max((level[e.label] for e in before[planned.label]), default=-1)
    groups = [
        tuple(h.label for h in waiting if level[h.label] == n) for n in range(max(level.values(), default=-1) + 1)
    ]
    return Plan(hooks=tuple(waiting), levels=tuple(groups))
