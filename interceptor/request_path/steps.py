"""THE list of steps: what every request passes from its listener to its provider, in this order.

`admit` and `open_exchange` stand before them: they turn a listener's bytes into an exchange.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from interceptor.exchange.flow_state import FlowState
from interceptor.pipeline.exchange import Exchange
from interceptor.request_path.leave import leave
from interceptor.request_path.local_answers import answer_locally
from interceptor.request_path.own_credential import check_base_path
from interceptor.request_path.route import route
from interceptor.request_path.run_hooks import run_inbound, run_outbound, run_seal
from interceptor.request_path.scope import check_scope
from interceptor.request_path.sign import sign, sign_for_aws
from interceptor.request_path.surroundings import Surroundings

Run = Callable[[FlowState, Exchange, Surroundings], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step; its name is the addon's name in logs."""

    name: str
    run: Run


STEPS: tuple[Step, ...] = (
    Step("base_path", check_base_path),
    Step("local_answers", answer_locally),
    Step("inbound_hooks", run_inbound),
    Step("route", route),
    Step("token_scope", check_scope),
    Step("outbound_hooks", run_outbound),
    Step("leave", leave),
    Step("sign", sign),
    Step("seal_hooks", run_seal),
    Step("aws_signature", sign_for_aws),
)
