"""State of a request that may be sent more than once: what is held, and what to do about it.

An addon asks for some responses with `hold`, and for failures before a response begins. The stream
(`replay_stream`) holds such a response or failure and calls the event `held`. In it an addon calls
`send_again`, or `let_pass`, or nothing: then everybody sees the response as if it had just come.
Everything is kept in one `Attempts` in the flow's metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from math import inf
from time import perf_counter
from typing import Any, NamedTuple

from mitmproxy.http import HTTPFlow, Response
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.proxy.layers.http._events import ResponseData

from flows.record import AttemptRecord
from interceptor.exchange.flow_state import state_of

MAX_HELD_BYTES = 1024 * 1024
"""Default limit of a held response; a longer one passes."""
ATTEMPTS_HEADER = "x-ccproxy-attempts"
MAX_LINE_CHARS = 2000

_KEY = "ccproxy_attempts"


@dataclass(frozen=True, slots=True)
class Hold:
    """A wish to see some responses of a flow before they are forwarded.

    `by` names who asks, in `Held.by`. `wanted` judges the response by its status and headers.
    `failures` names what is held when no response begins (see `providers.retry_policy`).
    `max_times` counts what was sent on behalf of this hold alone; `max_total_s` runs from the
    flow's first attempt; `max_wait_s` limits the sum of all waits.
    """

    by: str
    wanted: Callable[[Response], bool]
    failures: Container[int | str] = ()
    max_times: int = 1
    max_total_s: float = inf
    max_wait_s: float = inf
    max_held_bytes: int = MAX_HELD_BYTES


class Target(NamedTuple):
    """An address to send a request to.

    `path` is None where it stays; `authority` is that of HTTP/2. `via` is the scheme and address of
    a proxy that leads there.
    """

    scheme: str
    host: str
    port: int
    path: str | None = None
    authority: bytes = b""
    via: ServerSpec | None = None


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The next attempt; None leaves a part of the request as it is.

    `by` is the hold's. `headers` in wire order; Content-Length is set by the body.

    Raises:
        ValueError: another target without headers of its own.
    """

    by: str
    reason: str
    wait_s: float = 0.0
    headers: tuple[tuple[bytes, bytes], ...] | None = None
    body: bytes | None = None
    target: Target | None = None

    def __post_init__(self) -> None:
        # The headers of the first attempt carry the first provider's credential and its Host.
        if self.target is not None and self.headers is None:
            raise ValueError("a request to another target needs headers of its own")


@dataclass(slots=True)
class Held:
    """A response that only the addons which asked for it see. `events` are the stream's."""

    by: tuple[str, ...]
    response: Response | None
    """Status and headers; its content is not set. None when no response began."""
    max_bytes: int
    events: list[Any]
    size_bytes: int = 0
    failure: str = ""
    """Why no response began."""

    @property
    def body(self) -> bytes:
        """Return what has come of the body; all of it in the event `held`."""
        return b"".join(event.data for event in self.events if isinstance(event, ResponseData))


@dataclass(slots=True)
class _Attempt:
    """One request that was sent. Times are of `perf_counter`, in seconds."""

    reason: str
    host: str
    began: float
    provider: str = ""
    model: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0
    """Of the body of a held response."""
    wait_s: float = 0.0
    failure: str = ""
    ended: float | None = None
    status_code: int | None = None

    @property
    def candidate(self) -> str:
        """Provider and model as one text."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


@dataclass(slots=True)
class Attempts:
    """Everything about sending one flow's request."""

    made: list[_Attempt]
    holds: list[Hold] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)
    """Attempts by hold."""
    held: Held | None = None
    decision: SendAgain | None = None
    is_waiting: bool = False
    """Between a held response and the next attempt nothing is expected of the provider."""
    passed_because: str = ""
    """Why the newest held response was let pass."""

    def begin_holding(self, event: Any) -> bool:
        """Hold a response, given by the event of its headers, if an addon wants it.

        Returns False when no addon wants it, or when the budget is spent.
        """
        wanting = [
            hold for hold in self.holds if self._can_use(hold) and hold.wanted(event.response)
        ]
        if not wanting:
            return False
        self.held = Held(
            by=tuple([hold.by for hold in wanting]),
            response=event.response,
            max_bytes=min(hold.max_held_bytes for hold in wanting),
            events=[event],
        )
        return True

    def begin_failure(self, event: Any, failure: str) -> bool:
        """Hold the event that ended an attempt before a response began, if an addon wants it."""
        wanting = [hold for hold in self.holds if self._can_use(hold) and failure in hold.failures]
        if not wanting:
            self.made[-1].failure = failure
            return False
        by = tuple([hold.by for hold in wanting])
        self.held = Held(by=by, response=None, max_bytes=0, events=[event], failure=failure)
        return True

    def end_holding(self) -> Held:
        """Return the held response and forget it."""
        held, self.held = self.held, None
        assert held is not None  # noqa: S101  # the stream calls it in its holding state alone
        return held

    def decide(self, decision: SendAgain) -> bool:
        """Accept a decision.

        Returns False when nothing is held, another decision stands, or no budget is left.
        """
        hold = next((hold for hold in self.holds if hold.by == decision.by), None)
        if self.held is None or self.decision is not None or hold is None:
            return False
        if not self._can_use(hold, decision.wait_s):
            return False
        self.decision = decision
        # What another addon did not want to do was done in another way.
        self.passed_because = ""
        return True

    def begin(self, decision: SendAgain, flow: HTTPFlow) -> None:
        """Count an attempt that is about to be sent."""
        self.used[decision.by] = self.used.get(decision.by, 0) + 1
        self.made.append(_attempt(flow, decision.reason, decision.wait_s))

    def forget_holds(self) -> None:
        """Begin anew with holds and their budgets: the next attempt is another candidate's."""
        self.holds.clear()
        self.used.clear()

    def end(self, held: Held) -> None:
        """Note what the newest attempt got."""
        newest = self.made[-1]
        newest.failure = held.failure
        newest.received_bytes = held.size_bytes
        if held.response is not None:
            newest.status_code = held.response.status_code

    def note_held(self) -> None:
        """Note that the newest attempt is over, before anything waits."""
        self.made[-1].ended = perf_counter()

    @property
    def waited_s(self) -> float:
        """Return the sum of the waits between the attempts."""
        return sum(attempt.wait_s for attempt in self.made)

    @property
    def newest_began(self) -> float:
        """Return when the newest attempt was sent, by `perf_counter`."""
        return self.made[-1].began

    def _can_use(self, hold: Hold, wait_s: float = 0.0) -> bool:
        if self.used.get(hold.by, 0) >= hold.max_times:
            return False
        if self.waited_s + wait_s > hold.max_wait_s:
            return False
        return perf_counter() - self.made[0].began + wait_s <= hold.max_total_s


def _attempt(flow: HTTPFlow, reason: str = "", wait_s: float = 0.0) -> _Attempt:
    """Return an attempt that begins now, with the candidate that the flow's state names."""
    state, request = state_of(flow), flow.request
    exchange = state.exchange if state is not None else None
    provider = exchange.provider if exchange is not None else None
    return _Attempt(
        reason=reason,
        host=request.data.host,
        began=perf_counter(),
        provider=provider.name if provider is not None else "",
        model=state.sent_model if state is not None else "",
        sent_bytes=len(request.raw_content or b""),
        wait_s=wait_s,
    )


def attempts_of(flow: HTTPFlow) -> Attempts | None:
    """Return the attempts of a flow; None when no addon has asked to hold anything."""
    attempts: Attempts | None = flow.metadata.get(_KEY)
    return attempts


def hold(flow: HTTPFlow, wish: Hold) -> None:
    """Ask for the event `held` for some responses to a request that is about to be sent."""
    attempts = attempts_of(flow)
    if attempts is None:
        attempts = flow.metadata[_KEY] = Attempts([_attempt(flow)])
    attempts.holds.append(wish)


def send_again(flow: HTTPFlow, again: SendAgain) -> bool:
    """Drop the held response and send the request again; to be called in the event `held`.

    The caller answers for where a credential goes: no other addon sees the new request.

    Returns False, and lets the response pass, when nothing is held, another addon was faster or the
    budget is spent.
    """
    attempts = attempts_of(flow)
    return attempts is not None and attempts.decide(again)


def let_pass(flow: HTTPFlow, reason: str) -> None:
    """Note why the held response passes; to be called in the event `held`."""
    attempts = attempts_of(flow)
    if attempts is not None:
        attempts.passed_because = reason


def attempt_records(flow: HTTPFlow, began: float, *, finished: bool) -> tuple[AttemptRecord, ...]:
    """Return a record of each attempt; none when the request was sent once.

    `began` is the flow's begin by `perf_counter`. The last attempt ends with the flow.
    """
    attempts = attempts_of(flow)
    if attempts is None or len(attempts.made) < 2:
        return ()
    last = attempts.made[-1]
    records = []
    for number, attempt in enumerate(attempts.made, 1):
        ended, status_code = attempt.ended, attempt.status_code
        received_bytes = attempt.received_bytes
        if attempt is last and flow.response is not None:
            status_code = flow.response.status_code
            received_bytes = _received_bytes(flow)
        if attempt is last and finished and ended is None:
            ended = perf_counter()
        records.append(
            AttemptRecord(
                number=number,
                reason=attempt.reason,
                started_at_ms=max(0.0, (attempt.began - began) * 1000),
                duration_ms=None if ended is None else (ended - attempt.began) * 1000,
                status_code=status_code,
                host=attempt.host,
                wait_ms=attempt.wait_s * 1000,
                provider=attempt.provider,
                model=attempt.model,
                failure=attempt.failure,
                sent_bytes=attempt.sent_bytes,
                received_bytes=received_bytes,
            )
        )
    return tuple(records)


def _received_bytes(flow: HTTPFlow) -> int:
    """Return what has come of the body of the response that the client gets."""
    state = state_of(flow)
    if state is not None and state.tee is not None:
        return state.tee.upstream.size_bytes
    if state is not None and state.upstream is not None and state.upstream.body is not None:
        return state.upstream.body_size_bytes
    response = flow.response
    return len(response.raw_content or b"") if response is not None else 0


def attempts_line(flow: HTTPFlow) -> str:
    """Return all attempts in one line, for a header; "" when the request was sent once.

    - at one host: "1: api.example 503; 2: api.example connect, after 0.5 s"
    - with fallbacks: "1: main/large 503; 2: backup/small 429"
    """
    attempts = attempts_of(flow)
    if attempts is None or len(attempts.made) < 2:
        return ""
    candidates = {(attempt.provider, attempt.model) for attempt in attempts.made}
    parts = []
    for number, attempt in enumerate(attempts.made, 1):
        name = attempt.host if len(candidates) == 1 else attempt.candidate
        result: int | str | None = attempt.status_code or attempt.failure
        if not result and flow.response is not None:
            result = flow.response.status_code
        wait = f", after {attempt.wait_s:.3g} s" if attempt.wait_s else ""
        parts.append(f"{number}: {name} {result or 'no response'}{wait}")
    # Models' names come from clients, and a header is ASCII.
    return "; ".join(parts).encode("ascii", "replace").decode()[:MAX_LINE_CHARS]
