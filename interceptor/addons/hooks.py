"""Runs the configured hooks of one stage."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow

from interceptor.exchange.flow_state import state_of
from interceptor.exchange.own_answer import answer_error
from interceptor.pipeline.hook import Stage
from interceptor.pipeline.runner import run_stage
from providers.base.errors import AuthConfigError


class HooksAddon:
    """One instance for each stage; the two stand before and after the transform addon."""

    def __init__(self, stage: Stage) -> None:
        self.name = f"hooks_{stage}"
        self._stage = stage

    async def request(self, flow: HTTPFlow) -> None:
        """Run the stage's plan of the flow's own snapshot."""
        state = state_of(flow)
        if (
            state is None
            or state.exchange is None
            or state.as_forwarded
            or flow.response
            or flow.error
        ):
            return
        plan = state.snapshot.inbound if self._stage == Stage.INBOUND else state.snapshot.outbound
        try:
            await run_stage(plan, state.exchange, state.overrides, state.steps)
        except AuthConfigError as exc:
            answer_error(flow, state, exc.status_code, str(exc))
