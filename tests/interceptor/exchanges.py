"""Exchanges built by hand, for tests of hooks and of the pipeline."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from flows.record import HookStep
from interceptor.config.snapshot.schema import Snapshot
from interceptor.hooks.table import HookConf, build_plan, find_hook
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.pipeline.overrides import NONE, Overrides
from interceptor.pipeline.plan import Plan
from interceptor.pipeline.runner import run_stage
from providers.wire.detect import client_format


def exchange(
    body: Any = None,
    *,
    path: str = "/v1/messages",
    headers: dict[str, str] | None = None,
    snapshot: Snapshot | None = None,
    data: bytes | None = None,
) -> Exchange:
    """A request as the inspector opens it."""
    fields = tuple((k.encode(), v.encode()) for k, v in (headers or {}).items())
    raw = data if data is not None else orjson.dumps(body) if body is not None else b""
    return Exchange(
        flow_id="f",
        method="POST",
        scheme="https",
        host="api.example",
        port=443,
        path=path,
        headers=HeaderMap(fields),
        body=Body(raw, (headers or {}).get("content-encoding", "")),
        providers=(snapshot or Snapshot()).providers,
        client_format=client_format(path),
    )


def run_plan(plan: Plan, ex: Exchange, overrides: Overrides = NONE) -> list[HookStep]:
    """Run a stage and return its trace."""
    steps: list[HookStep] = []
    asyncio.run(run_stage(plan, ex, overrides, steps))
    return steps


def run_hook(name: str, ex: Exchange, params: dict[str, Any] | None = None) -> list[HookStep]:
    """Run one hook alone."""
    stage = find_hook(name).stage
    return run_plan(build_plan([HookConf(stage, name, params=params)], stage), ex)
