"""Run of a shape's inner hooks on a draft of the request, with the origin of what they made.

A failure is not isolated: a request that is shaped by half is worse than one that is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import attrgetter
from time import perf_counter
from typing import Any, Final

from flows.record import HookStep
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap, changed_names
from interceptor.pipeline.plan import PlannedHook
from interceptor.pipeline.runner import call_hook, prepare_one
from interceptor.shaping.active_shape import ActiveShape
from providers.base.errors import RefuseRequest
from providers.wire.core.jsonio import dumps

_every_field: Final = attrgetter(*(each.name for each in fields(Exchange)))

_ABSENT: Final = object()

STAGE: Final = "shape"
"""Stage of inner hooks in the trace."""


class InnerHookFailed(Exception):
    """An inner hook failed; the message names it."""


@dataclass(slots=True)
class InnerRun:
    """Trace of the inner hooks: a step for each, and the parts of the request that they made."""

    steps: list[HookStep] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    """"header:NAME" or "body:FIELD" to the hook that changed it last."""


def draft_of(ex: Exchange, active: ActiveShape, body: dict[str, Any]) -> Exchange:
    """Return the exchange that inner hooks work on: the shape's headers, query and injected body.

    `incoming` of the draft is the request itself.
    """
    shape = active.shape
    # Four times as fast as copy.copy, which asks a class with slots for its state.
    draft = Exchange(*_every_field(ex))
    draft.headers = HeaderMap(shape.headers)
    draft.body = Body.of_json(body)
    bare = ex.path.partition("?")[0]
    draft.path = f"{bare}?{'&'.join(shape.query)}" if shape.query else bare
    draft.metadata = dict(ex.metadata)
    draft.edits, draft.header_edits = list(ex.edits), {}
    draft.report, draft.shapes, draft.incoming = None, {}, ex
    return draft


async def run_inner(active: ActiveShape, draft: Exchange, run: InnerRun) -> None:
    """Run the inner hooks on a draft, in their order.

    Raises:
        InnerHookFailed: a hook raised; its step is the last of the run.
        RefuseRequest: a hook ended the request.
    """
    before = _fields_of(draft.body.peek())
    for planned in active.inner.hooks:
        began, fields = perf_counter(), draft.headers.fields
        started_ms = (began - draft.began) * 1000
        try:
            ran = _is_due(planned, draft)
            if ran:
                await _run_one(planned, draft)
        except RefuseRequest:
            raise
        except Exception as exc:
            text = f"{type(exc).__name__}: {exc}"
            run.steps.append(HookStep(STAGE, planned.label, "error", text, started_ms=started_ms))
            raise InnerHookFailed(f"the inner hook {planned.label} failed: {text}") from exc
        if not ran:
            reason = "its guard did not apply"
            run.steps.append(HookStep(STAGE, planned.label, "skipped", reason))
            continue
        changed = [f"header:{name}" for name in changed_names(fields, draft.headers.fields)]
        after = _fields_of(draft.body.peek())
        changed += _changed_fields(before, after)
        before = after
        run.origins |= dict.fromkeys(changed, planned.label)
        took_ms = (perf_counter() - began) * 1000
        run.steps.append(
            HookStep(
                STAGE,
                planned.label,
                "ran",
                apply_ms=took_ms,
                changed=tuple(changed),
                started_ms=started_ms,
            )
        )


def _is_due(planned: PlannedHook, draft: Exchange) -> bool:
    """Return False for a hook whose guard does not apply."""
    guard = planned.spec.guard
    return guard is None or guard(draft)


async def _run_one(planned: PlannedHook, draft: Exchange) -> None:
    """Prepare and run one hook."""
    draft.prepared = None
    if planned.spec.prepare is not None:
        prepared = await prepare_one(planned, draft)
        if prepared.failure is not None:
            raise prepared.failure
        draft.prepared = prepared.result
    if not planned.builtin:
        # It works on a copy, which is made of the bytes.
        draft.body = Body(dumps(draft.body.peek()))
    await call_hook(planned, draft)
    draft.body.touched = False


def _fields_of(body: object) -> dict[str, Any]:
    """Return the top-level fields of a body as they are now; a body that is no object has none."""
    return dict(body) if isinstance(body, dict) else {}


def _changed_fields(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the fields that differ, as "body:NAME".

    Built-in inner hooks replace what they change, so fields that are the same object are equal.
    """
    changed: list[str] = []
    for name in before | after:
        old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if old is not new and old != new:
            changed.append(f"body:{name}")
    return changed
