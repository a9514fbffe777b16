"""The shape that requests to one provider type take, with its inner hooks in their order."""

from __future__ import annotations

from dataclasses import dataclass

from interceptor.pipeline.plan import Plan
from shapes.replay.compiled_shape import CompiledShape


@dataclass(frozen=True, slots=True)
class ActiveShape:
    """A compiled shape and the plan of its inner hooks."""

    shape: CompiledShape
    inner: Plan
