"""Steps of the request path as addons."""

from __future__ import annotations

from mitmproxy.http import HTTPFlow, Request

from interceptor.addons.capture.upstream import ChosenDestinations
from interceptor.exchange.flow_state import state_of
from interceptor.exchange.own_answer import deliver
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import Fields
from interceptor.request_path.steps import STEPS, Step
from interceptor.request_path.surroundings import Surroundings


class StepAddon:
    """Runs one step on a live flow, and delivers the proxy's own response, if the step gave one."""

    def __init__(self, step: Step, around: Surroundings, chosen: ChosenDestinations) -> None:
        self.name = step.name
        self._step = step
        self._around = around
        self._chosen = chosen

    async def request(self, flow: HTTPFlow) -> None:
        """Run the step, unless the request has ended already."""
        state = state_of(flow)
        if state is None or state.exchange is None or flow.response or flow.error:
            return
        await self._step.run(state, state.exchange, self._around)
        if state.answer is not None:
            deliver(flow, state)
        elif self._step is STEPS[-1]:
            if state.source != "reverse" and state.decision and state.decision.host:
                self._chosen.choose(flow.client_conn, state.exchange.host, state.exchange.port)
            hand_over(flow, state.exchange)


def step_addons(around: Surroundings, chosen: ChosenDestinations) -> list[StepAddon]:
    """Return an addon for each step, in the order of the list."""
    return [StepAddon(step, around, chosen) for step in STEPS]


def outgoing_names(request: Request, exchange: Exchange) -> tuple[bytes, Fields]:
    """Return the authority and the headers of the request that leaves; both name its provider."""
    authority, fields = request.data.authority, exchange.headers.fields
    host = exchange.headers.get("host")
    if authority and host:
        # A client of HTTP/2 names the host here (RFC 9113, 8.3.1).
        authority = host.encode("utf-8", "surrogateescape")
        if "host" not in request.headers:
            # Strict servers want one name. mitmproxy makes a Host of :authority for HTTP/1.1.
            fields = tuple([field for field in fields if field[0].lower() != b"host"])
    return authority, fields


def hand_over(flow: HTTPFlow, exchange: Exchange) -> None:
    """Give mitmproxy the destination, the headers and, if it changed, the body."""
    request = flow.request
    data = request.data
    data.host, data.port = exchange.host, exchange.port
    request.scheme, request.path = exchange.scheme, exchange.path
    data.authority, fields = outgoing_names(request, exchange)
    if exchange.body.data != request.raw_content:
        request.raw_content = exchange.body.data
    if fields != request.headers.fields:
        request.headers.fields = fields
