"""Preview of a shape: a recorded request as it would leave with one version. Nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flows.bodies.complete_flow import CompleteFlow
from interceptor.config.snapshot.build import SHAPE, build_snapshot
from interceptor.config.snapshot.load import read_rows
from interceptor.explain.as_configured import explain_as_configured
from interceptor.explain.explanation import Explanation
from interceptor.explain.sources import as_json, of_flow
from shapes.active_rows import shape_row
from shapes.models import Shape, ShapingProfile


@dataclass(frozen=True, slots=True)
class Preview:
    """The dry run, and the origin of each part: "header:accept" or "body:system" → its side.

    `problem` says why the request would not take the shape; "" if it would.
    """

    found: Explanation
    origins: dict[str, str]
    problem: str


def preview_shape(flow: CompleteFlow, shape: Shape) -> Preview:
    """Return what would leave for a flow if this version were active and confirmed.

    Raises:
        ConfigError: the configuration, or the version, cannot be used.
        RequestError: the flow's request was not kept completely.
    """
    rows = read_rows()
    others = [row for row in rows.shapes if row.provider_type != shape.provider_type]
    previewed = shape_row(shape, ShapingProfile.of(shape.provider_type))
    snapshot = build_snapshot(replace(rows, shapes=(*others, previewed)))
    found = explain_as_configured(of_flow(flow), snapshot)
    return _preview(found, shape)


def _preview(found: Explanation, shape: Shape) -> Preview:
    step = next((step for step in found.steps if step.hook == SHAPE), None)
    if step is not None and step.origins:
        return Preview(found, dict(step.origins), "")
    if found.problem:
        return Preview(found, {}, f"The request would be refused: {found.problem}")
    if step is None:
        return Preview(found, {}, "The hook “shape” is not among the hooks, or is switched off.")
    reason = step.reason or f"it does not go to a provider of the type {shape.provider_type}"
    return Preview(found, {}, f"The request would leave unshaped: {reason}.")


def preview_json(preview: Preview, shape: Shape) -> dict[str, Any]:
    """Return a preview for programs."""
    return {
        "shape": str(shape),
        "shaping_problem": preview.problem,
        "origins": preview.origins,
        **as_json(preview.found),
    }
