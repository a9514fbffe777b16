"""Retries by a provider's policy: hold a failure, wait as long as the provider asks, send again.

The stream holds the failure meanwhile (see `interceptor.mitm.attempts`), so the other addons and
the client see the last response alone. A response that began to reach the client ends it.
"""

from __future__ import annotations

import random
import time

from mitmproxy.http import HTTPFlow, Response

from flows.bytes.decode import decode
from interceptor.addons.auth import HINT_HEADER, header_text
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import (
    ATTEMPTS_HEADER,
    Held,
    Hold,
    SendAgain,
    attempts_line,
    attempts_of,
    hold,
    let_pass,
    send_again,
)
from providers.retry_policy import CONNECT, TIMEOUT, RetryPolicy
from providers.wire.rules.retry_hints import wait_hint_s

FIRST_WAIT_S = 0.5
"""Doubles with each attempt, for providers that do not say how long to wait."""
MAX_WAIT_S = 8.0
_NAME = "retry"
_FAILURE_NOUNS = {CONNECT: "no connection", TIMEOUT: "nothing in time"}


class RetryAddon:
    """Sender of requests that failed, by the policy of the provider they go to.

    Stands after the record in the chain: its headers are put on what the client gets. A request to
    a fallback has the fallback's policy.
    """

    def request(self, flow: HTTPFlow) -> None:
        """Ask for the failures of a request that is about to leave."""
        state = state_of(flow)
        policy = policy_of_flow(state)
        if state is None or policy is None or flow.response is not None:
            return
        # A websocket has no response that could be held; a resend shows what its request gets.
        if state.wants_websocket or state.as_forwarded:
            return

        def wants(response: Response) -> bool:
            return response.status_code in policy.failures

        wish = Hold(
            by=_NAME,
            wanted=wants,
            failures=policy.failures,
            max_times=policy.attempts - 1,
            max_wait_s=policy.budget_s,
        )
        hold(flow, wish)

    async def held(self, flow: HTTPFlow) -> None:
        """Send again after the wait that the provider asks for, if the budget allows it."""
        state, attempts = state_of(flow), attempts_of(flow)
        policy = policy_of_flow(state)
        if state is None or policy is None or attempts is None or attempts.held is None:
            return
        if _NAME not in attempts.held.by:
            return
        held = attempts.held
        asked_s = asked_wait_s(held)
        wait_s = _own_wait_s(attempts.used.get(_NAME, 0) + 1) if asked_s is None else asked_s
        if attempts.waited_s + wait_s > policy.budget_s:
            left_s = max(0.0, policy.budget_s - attempts.waited_s)
            let_pass(
                flow,
                f"Not tried again: the wait would be {wait_s:.3g} s, and {left_s:.3g} s are left"
                " of the provider's retry budget.",
            )
            return
        reason = f"{noun_of(held)}: waited {wait_s:.3g} s and sent again"
        if send_again(flow, SendAgain(_NAME, reason, wait_s=wait_s)):
            # What the timeouts addon noted was about the attempt that is over.
            state.error, state.error_status = "", 0

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Name the attempts on a response that failed in the end."""
        attempts, response = attempts_of(flow), flow.response
        if attempts is None or response is None or response.status_code < 400:
            return
        line = attempts_line(flow)
        if line:
            response.headers[ATTEMPTS_HEADER] = line
        if attempts.passed_because and HINT_HEADER not in response.headers:
            response.headers[HINT_HEADER] = header_text(attempts.passed_because)


def policy_of_flow(state: FlowState | None) -> RetryPolicy | None:
    """Return the policy for where the request goes now: the rule's, else the provider's.

    A rule speaks of its own destination alone, not of a fallback.
    """
    if state is None or state.exchange is None:
        return None
    rule = state.decision.rule if state.decision is not None else None
    is_fallback = state.chain is not None and state.chain.current > 0
    if rule is not None and rule.retry is not None and not is_fallback:
        return rule.retry
    provider = state.exchange.provider
    return provider.retry if provider is not None else None


def noun_of(held: Held) -> str:
    """Return a held failure in few words: "503", "no connection"."""
    if held.response is None:
        return _FAILURE_NOUNS[held.failure]
    return str(held.response.status_code)


def decoded_body(held: Held) -> bytes:
    """Return the body of a held response without its content encoding."""
    response = held.response
    encoding = str(response.headers.get("content-encoding", "")) if response is not None else ""
    return decode(held.body, encoding).data


def asked_wait_s(held: Held) -> float | None:
    """Return the wait that a held response asks for; None when it names none."""
    response = held.response
    if response is None:
        return None
    body = decoded_body(held)
    fields = response.headers.items(multi=True)
    return wait_hint_s(response.status_code, fields, body, now_s=time.time())


def _own_wait_s(attempt_count: int) -> float:
    """Return a growing wait with up to a quarter less by chance: 0.5, 1, 2, 4, 8, 8, … s."""
    longest_s: float = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt_count - 1))
    # Clients that failed together should not come back together.
    return longest_s * random.uniform(0.75, 1.0)  # noqa: S311  # no secret
