"""Runs a stage's hooks: preparation in parallel, mutation one after the other, a trace of each.

One hook's failure is recorded and undone, and the others run; only AuthConfigError ends the flow.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Any

from flows.record import Headers, HookStep
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Checkpoint, Exchange, url_of
from interceptor.pipeline.headers import Fields, HeaderMap, changed_names
from interceptor.pipeline.overrides import Overrides
from interceptor.pipeline.plan import Plan, PlannedHook
from interceptor.pipeline.time_limit import within
from providers.base.errors import AuthConfigError

logger = logging.getLogger(__name__)


async def run_stage(plan: Plan, ex: Exchange, overrides: Overrides, steps: list[HookStep]) -> None:
    """Run every level of the plan on the exchange and append what happened to `steps`.

    Raises:
        AuthConfigError: when a credential is missing; the steps so far are in `steps`.
    """
    for level in plan.levels:
        due = []
        for planned in level:
            reason = _reason_to_skip(planned, ex, overrides)
            if reason is None:
                due.append(planned)
            elif reason:
                steps.append(HookStep(planned.spec.stage, planned.label, "skipped", reason))
        prepared = await _prepare(due, ex)
        for planned, (result, prepare_ms) in zip(due, prepared, strict=True):
            if isinstance(result, AuthConfigError):
                steps.append(_failed(planned, result, prepare_ms))
                raise result
            if isinstance(result, BaseException):
                steps.append(_failed(planned, result, prepare_ms))
                continue
            ex.prepared = result
            steps.append(await _apply(planned, ex, prepare_ms))


def _reason_to_skip(planned: PlannedHook, ex: Exchange, overrides: Overrides) -> str | None:
    """None to run it; "" when it is simply switched off; otherwise the sentence for the trace."""
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
        return None if planned.spec.guard(ex) else "its guard did not apply"
    except Exception as exc:
        logger.warning("guard of %s failed: %s", planned.label, exc, extra={"flow": ex.flow_id})
        return f"its guard failed: {type(exc).__name__}: {exc}"


async def _prepare(due: list[PlannedHook], ex: Exchange) -> list[tuple[Any, float]]:
    """Run the level's preparations side by side; an exception is returned, not raised."""
    waiting = sum(planned.spec.prepare is not None for planned in due)
    if not waiting:
        return [(None, 0.0)] * len(due)
    if waiting == 1:
        return [await _prepare_one(planned, ex) for planned in due]
    return list(await asyncio.gather(*(_prepare_one(planned, ex) for planned in due)))


async def _prepare_one(planned: PlannedHook, ex: Exchange) -> tuple[Any, float]:
    if planned.spec.prepare is None:
        return None, 0.0
    began = perf_counter()
    result: Any
    try:
        result = await within(planned.spec.timeout_s, planned.spec.prepare(ex))
    except TimeoutError:
        result = TimeoutError(f"no result within {planned.spec.timeout_s:g} s")
    except Exception as exc:
        result = exc
    return result, (perf_counter() - began) * 1000


async def _apply(planned: PlannedHook, ex: Exchange, prepare_ms: float) -> HookStep:
    """Run one hook and say what it changed; a failing one leaves no change behind."""
    point = ex.checkpoint()
    began = perf_counter()
    try:
        if planned.builtin:
            _call(planned, ex)
        else:
            await _call_in_thread(planned, ex)
        change = ex.body.write_back() if _watches_body(planned, ex) else None
    except AuthConfigError:
        ex.restore(point)
        raise
    except Exception as exc:
        ex.restore(point)
        logger.warning(
            "hook %s failed: %s: %s",
            planned.label,
            type(exc).__name__,
            exc,
            extra={"flow": ex.flow_id},
        )
        return _failed(planned, exc, prepare_ms, (perf_counter() - began) * 1000)
    apply_ms = (perf_counter() - began) * 1000
    return describe_change(
        planned.spec.stage,
        planned.label,
        ex,
        point,
        change,
        prepare_ms=prepare_ms,
        apply_ms=apply_ms,
    )


def _watches_body(planned: PlannedHook, ex: Exchange) -> bool:
    """Built-in hooks are tested to change only what they declare; a user's hook is watched whatever
    it says.
    """
    return not planned.builtin or (
        ex.body.touched and any(w == "body" or w.startswith("body:") for w in planned.spec.writes)
    )


def _call(planned: PlannedHook, ex: Exchange) -> None:
    function: Callable[..., None] = planned.spec.apply
    if planned.params is None:
        function(ex)
    else:
        function(ex, planned.params)


async def _call_in_thread(planned: PlannedHook, ex: Exchange) -> None:
    """A user's hook may block or hang: it works on a copy, which counts only when it returns in
    time.
    """
    twin = copy.copy(ex)
    twin.headers = HeaderMap(ex.headers.fields)
    twin.body = Body(ex.body.data, ex.body.encoding)
    twin.body.canonical()
    twin.metadata = dict(ex.metadata)
    try:
        await asyncio.wait_for(asyncio.to_thread(_call, planned, twin), planned.spec.timeout_s)
    except TimeoutError:
        raise TimeoutError(f"did not return within {planned.spec.timeout_s:g} s") from None
    ex.headers, ex.body, ex.path, ex.metadata = twin.headers, twin.body, twin.path, twin.metadata


def _failed(
    planned: PlannedHook, exc: BaseException, prepare_ms: float = 0.0, apply_ms: float = 0.0
) -> HookStep:
    reason = f"{type(exc).__name__}: {exc}" if not isinstance(exc, AuthConfigError) else str(exc)
    return HookStep(planned.spec.stage, planned.label, "error", reason, prepare_ms, apply_ms)


@lru_cache(maxsize=64)
def as_record(fields: Fields) -> Headers:
    """Header fields as the record keeps them; a request's are asked for six times, between hooks
    that leave them.
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
    prepare_ms: float = 0.0,
    apply_ms: float = 0.0,
) -> HookStep:
    """The trace of a step: what differs between the checkpoint and now."""
    headers = changed_names(point.fields, ex.headers.fields)
    moved = ex.place != point.place
    notes = [] if ex.metadata == point.metadata else _changed_notes(point.metadata, ex.metadata)
    if not headers and not moved and not body_change and not notes:
        return HookStep(stage, name, "ran", reason, prepare_ms, apply_ms)
    changed = [f"header:{header}" for header in headers]
    changed += ["url"] * moved + ["body"] * bool(body_change)
    return HookStep(
        stage=stage,
        hook=name,
        outcome="ran",
        reason=reason,
        prepare_ms=prepare_ms,
        apply_ms=apply_ms,
        changed=(*changed, *notes),
        headers_before=as_record(point.fields) if headers else None,
        headers_after=as_record(ex.headers.fields) if headers else None,
        url_before=url_of(point.place) if moved else "",
        url_after=ex.url if moved else "",
        body_before=body_change[0] if body_change else None,
        body_after=body_change[1] if body_change else None,
    )


def _changed_notes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [f"meta:{key}" for key, value in after.items() if before.get(key) != value]
