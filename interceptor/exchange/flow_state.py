"""State of one running flow: a typed object in the flow's metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import TYPE_CHECKING

from flows.record import HookStep, SideRecord, WebSocketRecord
from interceptor.exchange.refusal_table import Kind, answer_for
from interceptor.pipeline.overrides import NONE, Overrides
from providers.wire.errors import error_body

if TYPE_CHECKING:
    from mitmproxy.http import HTTPFlow

    from interceptor.access.grant import Grant
    from interceptor.config.snapshot.schema import ClientTokenConf, Snapshot
    from interceptor.exchange.head import RequestHead
    from interceptor.exchange.observed_request import Observed
    from interceptor.exchange.tee import StreamTee
    from interceptor.pipeline.exchange import Exchange
    from interceptor.pipeline.stream_stages import StreamStages
    from interceptor.transform.candidate_chain import CandidateChain
    from interceptor.transform.decision import Decision
    from interceptor.transform.translation import Translation
    from interceptor.transport.detour import Detour
    from interceptor.wireguard.client_hello import ClientHello
    from interceptor.wireguard.lease import Run
    from providers.base.names import WireFormatName

METADATA_KEY = "ccproxy"


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """JSON response that the proxy gives itself, without asking a provider; 204 has no body."""

    status_code: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Beside those that every response of the proxy has."""


@dataclass(slots=True)
class FlowState:
    """Everything the addons share about a flow."""

    snapshot: Snapshot
    flow_id: str
    started_at: float = field(default_factory=time)
    began: float = field(default_factory=perf_counter)
    source: str = "reverse"
    run: Run | None = None
    """The command that it belongs to."""
    hello: ClientHello | None = None
    observed: Observed | None = None
    """Set when the request passes unchanged; it has no exchange then."""
    to_provider: str | None = None
    """The provider that the base path names: the client brings its own credential for it."""
    head: RequestHead | None = None
    """Request line and headers as the exchange was opened with them."""
    client: SideRecord | None = None
    answer: OwnAnswer | None = None
    """Set by the step that ended the request; no later step runs then."""
    family: WireFormatName | None = None
    """The vendor family of the caller, in whose shape errors are written."""
    client_format: WireFormatName | None = None
    overrides: Overrides = NONE
    exchange: Exchange | None = None
    decision: Decision | None = None
    chain: CandidateChain | None = None
    """Set when the request has fallbacks."""
    steps: list[HookStep] = field(default_factory=list)
    client_token: ClientTokenConf | None = None
    """The token that the client showed."""
    resend: Grant | None = None
    """The console sends a recorded request again."""
    forwarded: SideRecord | None = None
    via: str = ""
    """The company's proxy that leads to the provider, as messages name it."""
    detour: Detour | None = None
    """Set when the request goes out with its provider's fingerprint profile."""
    credential_injected: bool = False
    cors_origin: str = ""
    """The listed origin that may read the response; "" sends no CORS header."""
    requested_model: str = ""
    conversation_id: str = ""
    question: str | None = None
    tool_result: str = ""
    activity: str = ""
    """What the request waits for before it has a route, such as "uploading 2 of 3 files"."""
    sent_model: str = ""
    tee: StreamTee | None = None
    upstream: SideRecord | None = None
    """The head of the provider's answer as it came."""
    translation: Translation | None = None
    """Set when the provider speaks another wire format than the client."""
    stages: StreamStages | None = None
    """What the provider's streamed bytes pass; None: they are forwarded as they are."""
    unframe: Callable[[bytes], bytes] | None = None
    """What takes the provider's text out of binary frames; None: it sends text."""
    edit_losses: list[tuple[str, str]] = field(default_factory=list)
    """(path, reason) of what the client's own format could not express after hooks' edits."""
    wants_losses: bool = False
    wants_websocket: bool = False
    upgrade_refused: bool = False
    hold_answer: bool = False
    """The provider's answer is not streamed, because an addon will answer in its place."""
    first_byte_ms: float | None = None
    error: str = ""
    failed: bool = False
    """The provider failed, although there is a response, perhaps with a status of success."""
    error_status: int = 0
    """The status of an error that the proxy answers, when it is not mitmproxy's choice."""
    page: SideRecord | None = None
    """The error page, in the place of the provider's response."""
    last_words: bytes = b""
    """What ends the client's event stream when the provider's broke."""
    messages: list[WebSocketRecord] = field(default_factory=list)
    kept_message_bytes: int = 0
    closed: bool = False

    @property
    def as_forwarded(self) -> bool:
        """True for a request that was forwarded once already and goes out as it is."""
        return self.resend is not None and self.resend.as_forwarded

    @property
    def losses(self) -> list[tuple[str, str]]:
        """(path, reason) of everything that a format could not express."""
        return self.translation.all_losses if self.translation else self.edit_losses

    def refuse(self, kind: Kind, message: str, *, status_code: int = 0) -> None:
        """End the request with an error in the client's format.

        Args:
            kind: decides about status and headers.
            message: names the fix.
            status_code: chosen by a hook or a rule about callers; 0 takes the table's.
        """
        # The console sends again what was forwarded, and retries nothing.
        wire_format = None if self.as_forwarded else self.family
        status, headers = answer_for(
            kind, wire_format, status_code=status_code, wants_websocket=self.wants_websocket
        )
        self.error = message
        self.answer = OwnAnswer(status, error_body(self.family, status, message), headers)

    def fail(self, message: str) -> None:
        """Note a failure in the provider's own words; the first one counts."""
        self.failed = True
        self.error = self.error or message

    def ms(self) -> float:
        """Milliseconds since the flow began."""
        return (perf_counter() - self.began) * 1000


def state_of(flow: HTTPFlow) -> FlowState | None:
    """Return the state of a flow; None for one that never reached the inspector."""
    state: FlowState | None = flow.metadata.get(METADATA_KEY)
    return state
