"""Pauses of providers that failed, begun and ended by what comes of the attempts.

Only providers of the configuration's chains are watched: nothing else asks for a pause.
"""

from __future__ import annotations

import time

from mitmproxy.http import HTTPFlow

from interceptor.addons.failures.retry import asked_wait_s
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import attempts_of
from interceptor.mitm.http_stream import STOPPED_STATUS
from interceptor.transform.cooldowns import Cooldowns, Target
from providers.provider_conf import ProviderConf
from providers.retry_policy import CONNECT, FAILURES, TIMEOUT
from providers.wire.rules.retry_hints import wait_hint_s

COOLING = frozenset(FAILURES) - {408, 409}
"""Failures that say something of the next request too."""
_GATEWAY_TIMEOUT = 504


class CooldownAddon:
    """Observer of failures and successes.

    Stands before the addons that send a request elsewhere: what is held is of the candidate that
    the flow's state still names.

    Args:
        cooldowns: those of this process.
    """

    def __init__(self, cooldowns: Cooldowns) -> None:
        self._cooldowns = cooldowns

    def held(self, flow: HTTPFlow) -> None:
        """Begin a pause after a failure that the client does not see."""
        state, attempts = state_of(flow), attempts_of(flow)
        provider = _watched(state)
        if state is None or provider is None or attempts is None or attempts.held is None:
            return
        held = attempts.held
        if held.response is None:
            self._begin(provider, Target(provider.name), held.failure, None)
            return
        if held.response.status_code in COOLING:
            target, status = _target(state, provider), held.response.status_code
            self._begin(provider, target, str(status), asked_wait_s(held))

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Begin a pause after a failure that passes, end one after any other response."""
        state, response = state_of(flow), flow.response
        provider = _watched(state)
        if state is None or provider is None or response is None or state.forwarded is None:
            return
        if response.status_code not in COOLING:
            self._cooldowns.end(_target(state, provider))
            return
        attempts = attempts_of(flow)
        if attempts is not None and attempts.made[-1].ended is not None:
            # It was held before, and is noted.
            return
        fields = response.headers.items(multi=True)
        asked_s = wait_hint_s(response.status_code, fields, b"", now_s=time.time())
        self._begin(provider, _target(state, provider), str(response.status_code), asked_s)

    def error(self, flow: HTTPFlow) -> None:
        """Begin a pause after a connection that failed before a response."""
        state, attempts = state_of(flow), attempts_of(flow)
        provider = _watched(state)
        if state is None or provider is None or flow.response is not None or flow.error is None:
            return
        was_held = attempts is not None and attempts.made[-1].ended is not None
        # A client that leaves says nothing of the provider, nor does a proxy that stops.
        has_left = flow.error.msg.startswith("Client disconnected")
        stops = state.error_status == STOPPED_STATUS
        if was_held or has_left or stops or state.forwarded is None:
            return
        cause = TIMEOUT if state.error_status == _GATEWAY_TIMEOUT else CONNECT
        self._begin(provider, Target(provider.name), cause, None)

    def _begin(
        self, provider: ProviderConf, target: Target, cause: str, asked_s: float | None
    ) -> None:
        self._cooldowns.begin(target, cause, first_s=provider.cooldown_s, asked_s=asked_s)


def _watched(state: FlowState | None) -> ProviderConf | None:
    """Return the flow's provider if it stands in a chain."""
    if state is None or state.exchange is None or state.exchange.provider is None:
        return None
    # The limits of a client's own account say nothing of ours.
    if state.to_provider is not None:
        return None
    provider = state.exchange.provider
    is_watched = state.chain is not None or provider.name in state.snapshot.chained
    return provider if is_watched else None


def _target(state: FlowState, provider: ProviderConf) -> Target:
    return Target(provider.name, state.sent_model)
