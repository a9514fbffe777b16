"""Chain of one request's candidates: its first destination, and the fallbacks behind it. Pure."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.transform.cooldowns import Target
from interceptor.transform.decision import Decision
from providers.base.names import WireFormatName
from providers.fallbacks import Fallback
from providers.wire.counting import COUNT_SUFFIXES
from providers.wire.detect import endpoint_suffix


class Skipped(NamedTuple):
    """A candidate that was not asked, and the reason as the rest of a sentence."""

    name: str
    reason: str


@dataclass(slots=True)
class CandidateChain:
    """The candidates of one request, in order; the one with number 0 is the first destination."""

    first: Decision
    asked_model: str
    """What the first destination is asked for; "" where the request names no model."""
    fallbacks: tuple[Fallback, ...]
    unrouted: Exchange
    """The request as it came to the routing. Each candidate is made of a copy."""
    step_count: int
    """Steps of the flow before the routing; those behind belong to one candidate."""
    capacity_count: int = 0
    """So many fallbacks, the first ones, are other models for want of capacity."""
    has_no_capacity: bool = False
    """The newest failure allows them to be asked."""
    current: int = 0
    upcoming: int = 1
    """Number of the candidate that is asked next."""
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def has_next(self) -> bool:
        """True while a candidate is left."""
        return self.upcoming <= len(self.fallbacks)

    def take_next(self) -> int:
        """Return the number of the candidate that is asked next."""
        number = self.upcoming
        self.upcoming += 1
        return number

    def begin(self, number: int) -> None:
        """Note which candidate gets the request."""
        self.current, self.upcoming = number, number + 1

    def judge_capacity(self) -> None:
        """Leave the other models out, unless the newest failure allows them."""
        if not self.has_no_capacity:
            self.upcoming = max(self.upcoming, self.capacity_count + 1)
        self.has_no_capacity = False

    def candidate(self, number: int) -> Fallback:
        """Return a candidate, without its model where it is not known."""
        if number:
            fallback = self.fallbacks[number - 1]
            return fallback if fallback.model else Fallback(fallback.provider, self.asked_model)
        provider = self.first.provider
        return Fallback(provider.name if provider else "", self.asked_model)

    def target(self, number: int) -> Target:
        """Return a candidate as cooldowns know it."""
        return Target(*self.candidate(number))

    def name(self, number: int) -> str:
        """Return a candidate's name for people: "provider/model"."""
        return self.candidate(number).text

    def skip(self, number: int, reason: str) -> None:
        """Note why a candidate is not asked."""
        self.skipped.append(Skipped(self.name(number), reason))

    def new_exchange(self) -> Exchange:
        """Return the request as it came to the routing, for a candidate to change."""
        return copied(self.unrouted)


def fallbacks_of(
    decision: Decision,
) -> tuple[Fallback, ...]:
    """Return the fallbacks of a routed request: the rule's, else its provider's."""
    provider, rule = decision.provider, decision.rule
    if provider is None or decision.action == "passthrough":
        return ()
    return (rule.fallbacks if rule else ()) or provider.fallbacks


def may_go_elsewhere(method: str, path: str, client_format: WireFormatName | None) -> bool:
    """Check for a request that another provider, or another model, can serve as well.

    Stored objects of one provider (files, batches, responses) are unknown to every other one. So
    these are generating requests and token counts alone.
    """
    if client_format is None or method != "POST":
        return False
    return endpoint_suffix(path, client_format) in ("", COUNT_SUFFIXES.get(client_format))


def copied(exchange: Exchange) -> Exchange:
    """Return an exchange that can be changed without changing the given one."""
    made = copy.copy(exchange)
    made.headers = HeaderMap(exchange.headers.fields)
    made.body = Body(exchange.body.data, exchange.body.encoding)
    made.metadata, made.edits = dict(exchange.metadata), list(exchange.edits)
    made.header_edits = dict(exchange.header_edits)
    return made
