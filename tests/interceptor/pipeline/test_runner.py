"""The pipeline: order, parallel preparation, isolation of failures, trace."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import HookSpec, Stage, hook
from interceptor.pipeline.overrides import parse_overrides
from interceptor.pipeline.plan import Plan, PlannedHook, make_plan
from providers.base.errors import AuthConfigError
from tests.interceptor.exchanges import exchange, run_plan
from tests.patience import PATIENCE_S


@hook(stage=Stage.INBOUND, reads={"header:x-a"}, writes={"header:x-b"})
def copy_header(ex: Exchange) -> None:
    """Copy a to b."""
    ex.headers.set("x-b", ex.headers.get("x-a") or "none")


@hook(stage=Stage.INBOUND, writes={"header:x-a"})
def set_header(ex: Exchange) -> None:
    """Set a."""
    ex.headers.set("x-a", "1")


@hook(stage=Stage.INBOUND, reads={"body"}, writes={"body:model"})
def set_model(ex: Exchange) -> None:
    """Change the model."""
    ex.json["model"] = "new"


@hook(stage=Stage.INBOUND, reads={"body"}, writes={"body", "header:x-a"})
def half_done(ex: Exchange) -> None:
    """Fail in the middle."""
    ex.json["model"] = "broken"
    ex.headers.set("x-a", "broken")
    raise RuntimeError("boom")


def plan(*specs: HookSpec, builtin: bool = True) -> Plan:
    return make_plan(
        [PlannedHook(spec, position, builtin=builtin) for position, spec in enumerate(specs)]
    )


def test_it_works() -> None:
    ex = exchange({"model": "old"}, headers={})
    steps = run_plan(plan(set_header, copy_header, set_model), ex)
    assert [step.hook for step in steps] == ["set_header", "set_model", "copy_header"]
    assert [step.changed for step in steps] == [("header:x-a",), ("body",), ("header:x-b",)]
    assert ex.headers.get("x-b") == "1"
    assert ex.body.data == b'{"model":"new"}'
    assert (steps[1].body_before, steps[1].body_after) == (b'{"model":"old"}', b'{"model":"new"}')


def test_a_reader_waits_for_the_writer_that_stands_before_it_and_no_other() -> None:
    assert [
        [h.label for h in level] for level in plan(set_header, copy_header, set_model).levels
    ] == [
        ["set_header", "set_model"],
        ["copy_header"],
    ]
    assert len(plan(copy_header, set_header).levels) == 1


def test_a_body_that_no_hook_changed_keeps_its_bytes() -> None:
    raw = b'{ "model" :"new" }'
    ex = exchange(data=raw)
    steps = run_plan(plan(set_model), ex)
    assert ex.body.data == raw and steps[0].changed == ()


def test_a_failing_hook_leaves_nothing_behind_and_the_others_run() -> None:
    ex = exchange({"model": "old"}, headers={"x-a": "0"})
    steps = run_plan(plan(half_done, set_model), ex)
    assert [(s.hook, s.outcome) for s in steps] == [("half_done", "error"), ("set_model", "ran")]
    assert steps[0].reason == "RuntimeError: boom"
    assert (ex.headers.get("x-a"), ex.json) == ("0", {"model": "new"})


@pytest.mark.parametrize("builtin", [True, False])
def test_a_missing_credential_ends_the_stage(builtin: bool) -> None:
    async def refuse(_: Exchange) -> None:
        raise AuthConfigError("no key", status_code=401)

    @hook(stage=Stage.INBOUND, prepare=refuse)
    def needs_key(_: Exchange) -> None:
        """Never reached."""

    with pytest.raises(AuthConfigError, match="no key"):
        run_plan(plan(needs_key, set_header, builtin=builtin), exchange())


def test_independent_preparations_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def meet(_: Exchange) -> str:
        await met.wait()  # deadlocks unless both are under way
        return "met"

    seen = []

    def make(name: str) -> HookSpec:
        def apply(ex: Exchange) -> None:
            seen.append((name, ex.prepared))

        apply.__name__ = name
        return hook(stage=Stage.INBOUND, prepare=meet, timeout_s=PATIENCE_S)(apply)

    run_plan(plan(make("one"), make("two")), exchange())
    assert seen == [("one", "met"), ("two", "met")]


def test_a_preparation_that_takes_too_long_is_cut_off() -> None:
    @hook(stage=Stage.INBOUND, prepare=lambda _: asyncio.sleep(60), timeout_s=0.05)
    def slow(_: Exchange) -> None:
        """Never reached."""

    steps = run_plan(plan(slow, set_header), exchange())
    assert [(s.hook, s.outcome) for s in steps] == [("slow", "error"), ("set_header", "ran")]
    assert "0.05 s" in steps[0].reason


def test_a_users_hook_that_hangs_does_not_hold_the_loop() -> None:
    ticks = []
    may_end = threading.Event()

    @hook(stage=Stage.INBOUND, timeout_s=0.2)
    def hang(ex: Exchange) -> None:
        """Block."""
        ex.headers.set("x-a", "late")
        may_end.wait(PATIENCE_S)

    async def main() -> Any:
        from interceptor.pipeline.overrides import NONE
        from interceptor.pipeline.runner import run_stage

        ex, steps = exchange(), []  # type: ignore[var-annotated]
        ticker = asyncio.create_task(tick())
        await run_stage(plan(hang, builtin=False), ex, NONE, steps)
        ticker.cancel()
        may_end.set()
        return ex, steps

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)

    ex, steps = asyncio.run(main())
    assert steps[0].outcome == "error" and ex.headers.get("x-a") is None
    # A loop that is held comes to the first alone.
    assert len(ticks) > 1


def test_a_users_hook_is_watched_whatever_it_declares() -> None:
    @hook(stage=Stage.INBOUND)
    def sneaky(ex: Exchange) -> None:
        """Change the body without saying so."""
        ex.json["model"] = "sneaky"

    ex = exchange({"model": "old"})
    steps = run_plan(plan(sneaky, builtin=False), ex)
    assert steps[0].changed == ("body",) and ex.body.data == b'{"model":"sneaky"}'


def test_parameters_reach_the_hook() -> None:
    class Params(BaseModel):
        value: str

    @hook(stage=Stage.INBOUND, params=Params)
    def put(ex: Exchange, params: Params) -> None:
        """Set a header."""
        ex.headers.set("x-a", params.value)

    ex = exchange()
    run_plan(make_plan([PlannedHook(put, params=Params(value="v"))]), ex)
    assert ex.headers.get("x-a") == "v"


@pytest.mark.parametrize(
    ("header", "ran"),
    [
        (None, ["free"]),
        ("+guarded", ["free", "guarded"]),
        ("-free", []),
        (" +guarded , -free,+unknown", ["guarded"]),
        ("-safe,-free", []),
    ],
)
def test_clients_may_force_and_skip(header: str | None, ran: list[str]) -> None:
    def spec(name: str, **more: Any) -> HookSpec:
        def apply(ex: Exchange) -> None:
            """Do nothing."""

        apply.__name__ = name
        return hook(stage=Stage.INBOUND, **more)(apply)

    specs = plan(spec("free"), spec("guarded", guard=lambda _: False), spec("safe", security=True))
    steps = run_plan(specs, exchange(), parse_overrides(header))
    assert [s.hook for s in steps if s.outcome == "ran" and s.hook != "safe"] == ran
    assert "safe" in [s.hook for s in steps if s.outcome == "ran"]
    assert all(s.reason for s in steps if s.outcome == "skipped")


def test_a_failing_guard_is_recorded() -> None:
    def guard(_: Exchange) -> bool:
        raise ValueError("bad")

    @hook(stage=Stage.INBOUND, guard=guard)
    def guarded(_: Exchange) -> None:
        """Never reached."""

    steps = run_plan(plan(guarded), exchange())
    assert (steps[0].outcome, steps[0].reason) == ("skipped", "its guard failed: ValueError: bad")
