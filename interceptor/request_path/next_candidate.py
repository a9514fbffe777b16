"""Preparation of a fallback: the flow's request is routed, translated and signed anew.

The steps are those of the first destination, from the routing on. So a candidate has its own
translation, credential and hooks, and the flow lists the losses of its translation alone.
"""

from __future__ import annotations

from typing import Any, Final

from flows.record import HookStep
from interceptor.exchange.flow_state import FlowState
from interceptor.request_path.route import decision_for, follow
from interceptor.request_path.steps import STEPS
from interceptor.request_path.surroundings import Surroundings
from interceptor.transform.candidate_chain import CandidateChain

_OF_CANDIDATE: Final[dict[str, Any]] = {
    "answer": None,
    "credential_injected": False,
    "decision": None,
    "detour": None,
    "error": "",
    "error_status": 0,
    "forwarded": None,
    "sent_model": "",
    "translation": None,
    "via": "",
}
"""Fields of the flow's state that belong to one candidate, with their values before it."""
_ROUTE: Final = [step.name for step in STEPS].index("route")


class KeptState:
    """The flow's state of the candidate that failed, until the next one is ready."""

    def __init__(self, state: FlowState) -> None:
        self._fields = {name: getattr(state, name) for name in _OF_CANDIDATE}
        self._exchange = state.exchange
        self._edit_losses = state.edit_losses
        self._steps = list(state.steps)

    def restore(self, state: FlowState) -> None:
        """Make the failed candidate the flow's own again, so that its response is translated."""
        for name, value in self._fields.items():
            setattr(state, name, value)
        state.exchange = self._exchange
        state.edit_losses = self._edit_losses
        state.steps[:] = self._steps


async def aim_at(
    state: FlowState, chain: CandidateChain, number: int, around: Surroundings, reason: str
) -> str:
    """Make the request for a candidate; returns why it cannot be used, "" where it can.

    Args:
        state: the flow's; on a refusal the caller restores it.
        chain: the request's.
        number: the candidate's.
        around: as for every step.
        reason: why the request is sent again.
    """
    if pause := around.cooldowns.of(chain.target(number)):
        return pause.sentence
    for name, value in _OF_CANDIDATE.items():
        setattr(state, name, value)
    state.edit_losses = []
    # The steps of the failed candidate made a request that is given up.
    del state.steps[chain.step_count :]
    state.steps.append(HookStep("replay", "fallback", "ran", reason, started_ms=state.ms()))
    state.exchange = exchange = chain.new_exchange()
    await exchange.body.decode_off_loop()
    await follow(state, exchange, decision_for(state, exchange, chain, number), around)
    for step in STEPS[_ROUTE + 1 :]:
        if state.answer is not None:
            break
        await step.run(state, exchange, around)
    return state.error if state.answer is not None else ""
