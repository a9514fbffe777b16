"""Code Assist without capacity: the same model again, by the settings of `gemini_capacity`.

Other models are candidates of the flow's chain, and `FallbackAddon` sends to them. This addon says
when it may.
"""

from __future__ import annotations

from mitmproxy.http import HTTPFlow, Response

from interceptor.addons.failures.retry import asked_wait_s, decoded_body, noun_of, policy_of_flow
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import (
    Attempts,
    Held,
    Hold,
    SendAgain,
    attempts_of,
    hold,
    let_pass,
    send_again,
)
from interceptor.transform.candidate_chain import may_go_elsewhere
from interceptor.transform.capacity_policy import CapacityPolicy, says_no_capacity
from providers.wire.google_generate.envelope import CODE_ASSIST_TYPE

_NAME = "capacity"


class CapacityAddon:
    """Sender of requests that Code Assist had no capacity for.

    Stands before `RetryAddon` and `FallbackAddon`.

    Args:
        policy: the settings; None: switched off.
    """

    def __init__(self, policy: CapacityPolicy | None) -> None:
        self._policy = policy

    def request(self, flow: HTTPFlow) -> None:
        """Ask for the errors of a request to Code Assist."""
        state, policy = state_of(flow), self._policy
        if state is None or policy is None or flow.response is not None:
            return
        if not _is_for_code_assist(state):
            return

        def wants(response: Response) -> bool:
            return response.status_code in policy.statuses

        wish = Hold(
            by=_NAME,
            wanted=wants,
            # One more than it sends: the last error decides about other models.
            max_times=policy.sticky_attempts + 1,
            max_total_s=policy.budget_s,
        )
        hold(flow, wish)

    def held(self, flow: HTTPFlow) -> None:
        """Send again, or allow the next model, or neither."""
        state, attempts, policy = state_of(flow), attempts_of(flow), self._policy
        if state is None or policy is None or attempts is None or attempts.held is None:
            return
        held = attempts.held
        if _NAME not in held.by or attempts.decision is not None:
            return
        if not says_no_capacity(decoded_body(held), policy.statuses):
            return
        wait_s = _wait_s(held, attempts)
        if wait_s > policy.terminal_delay_s:
            let_pass(flow, f"Not tried again: Google asks to wait for {wait_s:.4g} s.")
            return
        if not _sends_itself(state, attempts, policy) or wait_s > policy.max_delay_s:
            _allow_models(state)
            return
        waited = f"waited {wait_s:.3g} s and sent again" if wait_s else "sent again"
        reason = f"no capacity ({noun_of(held)}): {waited}"
        if not send_again(flow, SendAgain(_NAME, reason, wait_s=wait_s)):
            setting = "gemini_capacity.total_retry_budget_seconds"
            let_pass(flow, f"Not tried again: {setting} is used up.")


def _is_for_code_assist(state: FlowState) -> bool:
    exchange = state.exchange
    if exchange is None or exchange.provider is None or state.wants_websocket:
        return False
    if exchange.provider.type != CODE_ASSIST_TYPE or state.as_forwarded or state.head is None:
        return False
    return may_go_elsewhere(exchange.method, state.head.path, state.client_format)


def _sends_itself(state: FlowState, attempts: Attempts, policy: CapacityPolicy) -> bool:
    """Return whether another attempt with this model is due.

    A provider's own `retry` replaces these attempts, and another model gets one alone.
    """
    chain = state.chain
    if policy_of_flow(state) is not None or attempts.used.get(_NAME, 0) >= policy.sticky_attempts:
        return False
    return chain is None or not 0 < chain.current <= chain.capacity_count


def _wait_s(held: Held, attempts: Attempts) -> float:
    """Return the wait that Google asks for, else 0, 1, 2, 4, … s."""
    asked_s = asked_wait_s(held)
    if asked_s is not None:
        return asked_s
    used = attempts.used.get(_NAME, 0)
    return 2.0 ** (used - 1) if used else 0.0


def _allow_models(state: FlowState) -> None:
    """Let the provider's other models be asked."""
    if state.chain is not None:
        state.chain.has_no_capacity = True
