"""Fallbacks: a request that failed is made anew for the next candidate, and sent there.

The stream holds the failure meanwhile (see `interceptor.mitm.attempts`). So a response that began
to reach the client ends the chain, and a client of any format gets one response.
"""

from __future__ import annotations

import logging
from typing import Protocol

from mitmproxy.http import HTTPFlow, Response
from mitmproxy.net.server_spec import ServerSpec

from interceptor.addons.capture.upstream import ChosenDestinations
from interceptor.addons.failures.retry import noun_of, policy_of_flow
from interceptor.addons.step_addon import outgoing_names
from interceptor.addons.transport import TransportAddon
from interceptor.addons.via import ViaAddon
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.mitm.attempts import Hold, SendAgain, Target, attempts_of, hold, send_again
from interceptor.pipeline.exchange import Exchange
from interceptor.request_path.next_candidate import KeptState, aim_at
from interceptor.request_path.surroundings import Surroundings
from interceptor.transform.candidate_chain import CandidateChain
from interceptor.transport.lazy_transport import TransportUnavailable
from providers.fallbacks import MAX_FALLBACKS
from providers.retry_policy import FAILURES

logger = logging.getLogger(__name__)

_NAME = "fallback"
_ALL: frozenset[int | str] = frozenset(FAILURES)


class AsksToHold(Protocol):
    """Addon that asks for failures of a request that is about to leave."""

    def request(self, flow: HTTPFlow) -> None:
        """Ask for them, by what the flow's state says of the request."""


class FallbackAddon:
    """Sender of failed requests to their next candidate; stands behind all other policies.

    Args:
        around: what the steps of the request path may ask.
        chosen: learns which connections the configuration wants.
        via: chooses the company's proxy.
        transport: chooses the way of providers with a fingerprint profile.
        holders: addons that hold failures of their own; asked again for each candidate.
    """

    def __init__(
        self,
        around: Surroundings,
        chosen: ChosenDestinations,
        via: ViaAddon,
        transport: TransportAddon,
        holders: tuple[AsksToHold, ...],
    ) -> None:
        self._around = around
        self._chosen = chosen
        self._via = via
        self._transport = transport
        self._holders = holders

    def request(self, flow: HTTPFlow) -> None:
        """Ask for the failures of a request that has a candidate left."""
        state = state_of(flow)
        if state is None or state.chain is None or flow.response is not None:
            return
        if not state.chain.has_next:
            return
        failures = _failures(state)

        def wants(response: Response) -> bool:
            return response.status_code in failures

        hold(flow, Hold(by=_NAME, wanted=wants, failures=failures, max_times=MAX_FALLBACKS))

    async def held(self, flow: HTTPFlow) -> None:
        """Send the request to the next candidate that can be used, unless it is sent again."""
        state, attempts = state_of(flow), attempts_of(flow)
        chain = state.chain if state is not None else None
        if state is None or chain is None or attempts is None or attempts.held is None:
            return
        if _NAME not in attempts.held.by or attempts.decision is not None:
            return
        chain.judge_capacity()
        failed = f"{chain.name(chain.current)}: {noun_of(attempts.held)}"
        kept = KeptState(state)
        try:
            again = await self._next(flow, state, chain, failed)
        except Exception:
            # An exception would leave the flow with one candidate's request and another's response.
            logger.exception("flow %s has no fallback: it could not be prepared", flow.id)
            again = None
        # The client may have left meanwhile: then its record is written.
        if state.closed:
            return
        if again is None or not send_again(flow, again):
            kept.restore(state)
            return
        attempts.forget_holds()
        for holder in (*self._holders, self):
            holder.request(flow)

    async def _next(
        self, flow: HTTPFlow, state: FlowState, chain: CandidateChain, failed: str
    ) -> SendAgain | None:
        """Return the request for the next candidate that can be used; None where there is none."""
        target = await self._aim(flow, state, chain, failed)
        exchange = state.exchange
        if target is None or exchange is None:
            return None
        _, fields = outgoing_names(flow.request, exchange)
        return SendAgain(
            by=_NAME,
            reason=f"{failed}; sent to {chain.name(chain.current)}",
            headers=fields,
            body=exchange.body.data,
            target=target,
        )

    async def _aim(
        self, flow: HTTPFlow, state: FlowState, chain: CandidateChain, failed: str
    ) -> Target | None:
        """Make the flow's request that of the next candidate; returns where it goes."""
        while chain.has_next:
            number = chain.take_next()
            reason = f"{failed}; sent to {chain.name(number)}"
            problem = await aim_at(state, chain, number, self._around, reason)
            exchange = state.exchange
            if not problem and exchange is not None:
                try:
                    via = await self._way(flow, state, exchange)
                    authority, _ = outgoing_names(flow.request, exchange)
                    chain.begin(number)
                    host, port = exchange.host, exchange.port
                    return Target(exchange.scheme, host, port, exchange.path, authority, via)
                except TransportUnavailable as exc:
                    problem = str(exc)
            chain.skip(number, problem)
        return None

    async def _way(self, flow: HTTPFlow, state: FlowState, exchange: Exchange) -> ServerSpec | None:
        """Choose how the candidate's host is reached; returns the proxy before it, if any.

        Raises:
            TransportUnavailable: its profile cannot be used.
        """
        scheme, host, port, _ = exchange.place
        if state.source != "reverse":
            self._chosen.choose(flow.client_conn, host, port)
        via = self._via.choose(flow, state, scheme, host, port)
        # The transport itself goes by way of the company's proxy.
        is_detour = await self._transport.choose(flow, state, scheme, host, port)
        return None if is_detour else via


def _failures(state: FlowState) -> frozenset[int | str]:
    """Return what ends the wait for a candidate: what its policy tries again, else all failures."""
    policy = policy_of_flow(state)
    return _ALL if policy is None else policy.failures
