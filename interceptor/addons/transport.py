"""Requests to providers with a fingerprint profile, sent by way of the transport."""

from __future__ import annotations

from mitmproxy.connection import Server
from mitmproxy.http import HTTPFlow

from flows.record import HookStep
from interceptor.addons.capture.upstream import ChosenDestinations
from interceptor.exchange.flow_state import FlowState, state_of
from interceptor.exchange.own_answer import answer_error, deliver
from interceptor.exchange.refusal_table import Kind
from interceptor.request_path.upgrade import refuse_upgrade
from interceptor.transport.detour import Destination
from interceptor.transport.lazy_transport import Transport, TransportUnavailable
from providers.provider_conf import ProviderConf


class TransportAddon:
    """Chooser of the transport; stands behind everything that decides where a request goes.

    Args:
        transport: this process's.
        chosen: learns that connections to the transport are our own.
    """

    def __init__(self, transport: Transport, chosen: ChosenDestinations) -> None:
        self._transport = transport
        self._chosen = chosen

    async def request(self, flow: HTTPFlow) -> None:
        """Send the request with its provider's profile, if the provider names one."""
        state = state_of(flow)
        if state is None or flow.response or flow.error:
            return
        if _provider_with_profile(state) is None:
            return
        if state.wants_websocket:
            refuse_upgrade(state)
            deliver(flow, state)
            return
        request = flow.request
        try:
            await self.choose(flow, state, request.scheme, request.host, request.port)
        except TransportUnavailable as exc:
            answer_error(flow, state, Kind.UNUSABLE, str(exc))
            return
        # The transport itself goes by way of the company's proxy.
        flow.server_conn = Server(address=(request.host, request.port))

    async def choose(
        self, flow: HTTPFlow, state: FlowState, scheme: str, host: str, port: int
    ) -> bool:
        """Note the way through the transport; False where the request goes straight.

        Raises:
            TransportUnavailable: the provider's profile cannot be used.
        """
        provider = _provider_with_profile(state)
        if provider is None:
            return False
        destination = Destination(scheme, host, port)
        state.detour = await self._transport.detour(provider, destination)
        self._chosen.choose_proxy(flow.client_conn, *state.detour.address)
        _note(state, state.detour.described)
        return True


def _provider_with_profile(state: FlowState) -> ProviderConf | None:
    """Return the provider whose own address the request goes to, if it has a profile."""
    decision, exchange = state.decision, state.exchange
    if decision is None or exchange is None or state.forwarded is None:
        return None
    provider = decision.provider
    if provider is None or not provider.fingerprint_profile:
        return None
    return provider if provider.owns(exchange.host, exchange.port) else None


def _note(state: FlowState, described: str) -> None:
    state.steps.append(
        HookStep(
            stage="egress",
            hook="transport",
            outcome="ran",
            reason=f"sent as {described}",
            started_ms=state.ms(),
        )
    )
