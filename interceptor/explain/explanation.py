"""Request of a dry run, and the findings about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from flows.record import Headers, HookStep
from interceptor.config.snapshot.schema import RuleConf
from interceptor.explain.chain_verdicts import CandidateVerdict
from interceptor.transform.decision import Decision


@dataclass(frozen=True, slots=True)
class DryRequest:
    """A request as a client sends it. `url` is absolute or a path; the body is as on the wire."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    source: str = "reverse"
    """The listener: "reverse", "wireguard" or "forward"."""
    admitted: bool = False
    """The request was let in once: names, origins and client tokens are not checked again.

    Of a recorded client token only a mark is left, which says nothing of its scope.
    """


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule: the pattern, the request's value, and whether they match."""

    name: str
    wanted: str
    seen: str
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule and its conditions. `reached` is false for the rules after the first match."""

    rule: RuleConf
    conditions: tuple[Condition, ...]
    reached: bool

    @property
    def matches(self) -> bool:
        """True when all conditions hold."""
        return all(condition.holds for condition in self.conditions)


@dataclass(slots=True)
class Explanation:
    """Everything a dry run found out.

    With `status_code` the proxy answers itself: an error with the message `problem`, else
    `answer`. Without it the request leaves as `url`, `headers` and `body`.
    """

    request: DryRequest
    client_format: str = ""
    requested_model: str = ""
    rules: list[RuleVerdict] = field(default_factory=list)
    decision: Decision | None = None
    chain: list[CandidateVerdict] = field(default_factory=list)
    """The candidates in order; empty for a request without fallbacks."""
    credential: str = ""
    model_note: str = ""
    """The provider's list lacks the model: which one may have been meant."""
    steps: list[HookStep] = field(default_factory=list)
    losses: list[tuple[str, str]] = field(default_factory=list)
    session_id: str = ""
    problem: str = ""
    status_code: int = 0
    answer: bytes = b""
    """The body of the proxy's own response."""
    url: str = ""
    headers: Headers = ()
    body: bytes = b""

    @property
    def leaves(self) -> bool:
        """True when the request would be sent to a provider."""
        return not self.status_code
