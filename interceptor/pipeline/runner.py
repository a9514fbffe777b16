"""Runner of a stage's hooks: preparation in parallel, mutation in sequence, a trace of each.

A failing hook is recorded and undone, and the others run. Only `RefuseRequest` ends the flow.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from time import perf_counter
from typing import Any

from flows.record import Headers, HookStep
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Checkpoint, Exchange, HookReport, url_of
from interceptor.pipeline.headers import Fields, HeaderMap, changed_names
from interceptor.pipeline.overrides import Overrides
from interceptor.pipeline.plan import Plan, PlannedHook
from interceptor.pipeline.time_limit import within
from providers.base.errors import RefuseRequest

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Prepared:
    """A hook's preparation: its result or its exception, and when it ran."""

    result: Any = None
    failure: BaseException | None = None
    started_ms: float = 0.0
    took_ms: float = 0.0


async def run_stage(plan: Plan, ex: Exchange, overrides: Overrides, steps: list[HookStep]) -> None:
    """Run every level of the plan on the exchange and append a step for each hook to `steps`.

    Raises:
        RefuseRequest: a hook ended the request; its step is the last of `steps`.
    """
    for level in plan.levels:
        due = []
        for planned in level:
            reason = _reason_to_skip(planned, ex, overrides)
            if reason is None:
                due.append(planned)
            elif reason:
                steps.append(HookStep(planned.spec.stage, planned.label, "skipped", reason))
        for planned, prepared in zip(due, await _prepare(due, ex), strict=True):
            if prepared.failure is not None:
                steps.append(_failed(planned, prepared.failure, prepared))
                if isinstance(prepared.failure, RefuseRequest):
                    raise prepared.failure
                continue
            ex.prepared = prepared.result
            await _apply(planned, ex, prepared, steps)


def _reason_to_skip(planned: PlannedHook, ex: Exchange, overrides: Overrides) -> str | None:
    """Return None to run the hook, "" when it is switched off, else the sentence for the trace."""
    if planned.label in overrides.forced or planned.spec.name in overrides.forced:
        return None
    if not planned.enabled:
        return ""
    if planned.label in overrides.skipped or planned.spec.name in overrides.skipped:
        if not planned.spec.security:
            return "the client asked for it with x-ccproxy-hooks"
        logger.info("x-ccproxy-hooks cannot skip %s", planned.label, extra={"flow": ex.flow_id})
    if planned.spec.guard is None:
        return None
    try:
        if planned.spec.guard(ex):
            return None
        return "" if planned.spec.is_quiet else "its guard did not apply"
    except Exception as exc:
        logger.warning("guard of %s failed: %s", planned.label, exc, extra={"flow": ex.flow_id})
        return f"its guard failed: {type(exc).__name__}: {exc}"


async def _prepare(due: list[PlannedHook], ex: Exchange) -> list[Prepared]:
    """Run the level's preparations side by side; failures are returned, not raised."""
    waiting = sum(planned.spec.prepare is not None for planned in due)
    if not waiting:
        return [Prepared() for _ in due]
    # A task for a single preparation would cost more than most of them take.
    if waiting == 1:
        return [await prepare_one(planned, ex) for planned in due]
    return list(await asyncio.gather(*(prepare_one(planned, ex) for planned in due)))


async def prepare_one(planned: PlannedHook, ex: Exchange) -> Prepared:
    """Run one hook's preparation; a failure is returned, not raised."""
    prepare = planned.spec.prepare
    if prepare is None:
        return Prepared()
    arguments = (ex, planned.params) if planned.spec.prepare_takes_params else (ex,)
    began = perf_counter()
    prepared = Prepared(started_ms=(began - ex.began) * 1000)
    try:
        prepared.result = await within(planned.spec.timeout_s, prepare(*arguments))
    except TimeoutError:
        prepared.failure = TimeoutError(f"no result within {planned.spec.timeout_s:g} s")
    except Exception as exc:
        prepared.failure = exc
    prepared.took_ms = (perf_counter() - began) * 1000
    return prepared


async def _apply(
    planned: PlannedHook, ex: Exchange, prepared: Prepared, steps: list[HookStep]
) -> None:
    """Run one hook and append its step; a failing hook leaves no change behind."""
    point = ex.checkpoint()
    began = perf_counter()
    if planned.spec.prepare is None:
        prepared.started_ms = (began - ex.began) * 1000
    try:
        await call_hook(planned, ex)
        change = ex.body.write_back() if _watches_body(planned, ex) else None
    except Exception as exc:
        ex.restore(point)
        steps.append(_failed(planned, exc, prepared, (perf_counter() - began) * 1000))
        if (failed_report := _take_report(ex)) is not None:
            steps.extend(failed_report.steps)
        if isinstance(exc, RefuseRequest):
            raise
        kind = type(exc).__name__
        logger.warning(
            "hook %s failed: %s: %s", planned.label, kind, exc, extra={"flow": ex.flow_id}
        )
        return
    apply_ms = (perf_counter() - began) * 1000
    report = _take_report(ex)
    step = describe_change(
        planned.spec.stage,
        planned.label,
        ex,
        point,
        change,
        reason=report.reason if report else "",
        started_ms=prepared.started_ms,
        prepare_ms=prepared.took_ms,
        apply_ms=apply_ms,
        origins=report.origins if report else (),
    )
    steps.append(step)
    if report is not None:
        steps.extend(report.steps)
    # Only a shape asks for them, before it is taken.
    if ex.shapes and ex.shaped is None and point.fields is not ex.headers.fields:
        _note_header_edits(ex, point.fields)


def _take_report(ex: Exchange) -> HookReport | None:
    report, ex.report = ex.report, None
    return report


def _note_header_edits(ex: Exchange, before: Fields) -> None:
    """Note the headers that a hook changed, with their values before the first change."""
    values = HeaderMap(before)
    for name in changed_names(before, ex.headers.fields):
        ex.header_edits.setdefault(name, tuple(values.get_all(name)))


def _watches_body(planned: PlannedHook, ex: Exchange) -> bool:
    """Return True where the body must be compared.

    Tests show that built-in hooks change only what they declare; a user's hook is always watched.
    """
    if not planned.builtin:
        return True
    return ex.body.touched and any(
        name == "body" or name.startswith("body:") for name in planned.spec.writes
    )


async def call_hook(planned: PlannedHook, ex: Exchange) -> None:
    """Run a hook's function: a built-in one here, a user's own in a thread on a copy."""
    if not planned.builtin:
        await _call_in_thread(planned, ex)
        return
    result = _call(planned, ex)
    if planned.spec.is_async:
        await result


def _call(planned: PlannedHook, ex: Exchange) -> Any:
    function: Callable[..., Any] = planned.spec.apply
    if planned.params is None:
        return function(ex)
    return function(ex, planned.params)


async def _call_in_thread(planned: PlannedHook, ex: Exchange) -> None:
    """Run a user's hook, which may block or hang, on a copy that counts only if it returns."""
    own_copy = copy.copy(ex)
    own_copy.headers = HeaderMap(ex.headers.fields)
    own_copy.body = Body(ex.body.data, ex.body.encoding)
    own_copy.body.canonical()
    own_copy.metadata, own_copy.edits = dict(ex.metadata), list(ex.edits)
    try:
        await asyncio.wait_for(asyncio.to_thread(_call, planned, own_copy), planned.spec.timeout_s)
    except TimeoutError:
        raise TimeoutError(f"did not return within {planned.spec.timeout_s:g} s") from None
    ex.headers, ex.body = own_copy.headers, own_copy.body
    ex.path, ex.metadata, ex.edits = own_copy.path, own_copy.metadata, own_copy.edits


def _failed(
    planned: PlannedHook, exc: BaseException, prepared: Prepared, apply_ms: float = 0.0
) -> HookStep:
    reason = str(exc) if isinstance(exc, RefuseRequest) else f"{type(exc).__name__}: {exc}"
    return HookStep(
        stage=planned.spec.stage,
        hook=planned.label,
        outcome="error",
        reason=reason,
        prepare_ms=prepared.took_ms,
        apply_ms=apply_ms,
        started_ms=prepared.started_ms,
    )


@lru_cache(maxsize=64)
def as_record(fields: Fields) -> Headers:
    """Return header fields as the record keeps them.

    Cached, because a request's are asked for six times, between hooks that leave them.
    """
    return tuple(
        (k.decode("utf-8", "surrogateescape"), v.decode("utf-8", "surrogateescape"))
        for k, v in fields
    )


def describe_change(
    stage: str,
    name: str,
    ex: Exchange,
    point: Checkpoint,
    body_change: tuple[bytes, bytes] | None,
    *,
    reason: str = "",
    started_ms: float = 0.0,
    prepare_ms: float = 0.0,
    apply_ms: float = 0.0,
    origins: tuple[tuple[str, str], ...] = (),
) -> HookStep:
    """Return the trace of a step: the differences between the checkpoint and now."""
    headers = changed_names(point.fields, ex.headers.fields)
    moved = ex.place != point.place
    notes = [] if ex.metadata == point.metadata else _changed_notes(point.metadata, ex.metadata)
    if len(ex.edits) > len(point.edits):
        notes = [*notes, "edits"]
    # Most steps change nothing; the short form is cheaper to make.
    if not headers and not moved and not body_change and not notes:
        return HookStep(
            stage,
            name,
            "ran",
            reason,
            prepare_ms,
            apply_ms,
            started_ms=started_ms,
            origins=origins,
        )
    changed = [f"header:{header}" for header in headers]
    if moved:
        changed.append("url")
    if body_change:
        changed.append("body")
    return HookStep(
        stage=stage,
        hook=name,
        outcome="ran",
        reason=reason,
        prepare_ms=prepare_ms,
        apply_ms=apply_ms,
        started_ms=started_ms,
        changed=(*changed, *notes),
        headers_before=as_record(point.fields) if headers else None,
        headers_after=as_record(ex.headers.fields) if headers else None,
        url_before=url_of(point.place) if moved else "",
        url_after=ex.url if moved else "",
        body_before=body_change[0] if body_change else None,
        body_after=body_change[1] if body_change else None,
        origins=origins,
    )


def _changed_notes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [f"meta:{key}" for key, value in after.items() if before.get(key) != value]
