"""Frozen configuration that the proxy runs on.

Built and validated whole, then swapped by one assignment. No Django.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from interceptor.pipeline.plan import EMPTY_PLAN, Plan
from interceptor.shaping.active_shape import ActiveShape
from providers.base.pattern import Pattern
from providers.fallbacks import Fallback
from providers.provider_conf import ProviderConf
from providers.retry_policy import RetryPolicy
from providers.wire.facts.table import FactTable, built_in


@dataclass(frozen=True, slots=True)
class RuleConf:
    """A transform rule with its expressions compiled. A None expression matches everything."""

    id: int
    name: str
    action: str
    match_host: Pattern | None = None
    match_path: Pattern | None = None
    match_model: Pattern | None = None
    dest_provider: str = ""
    dest_host: str = ""
    dest_path: str = ""
    dest_model: str = ""
    dest_vertex_project: str = ""
    dest_vertex_location: str = ""
    fallbacks: tuple[Fallback, ...] = ()
    """Instead of those of the provider."""
    retry: RetryPolicy | None = None
    """Instead of the provider's own."""
    server_tools: str = ""
    """Instead of what the provider says; "": as it says."""

    @property
    def label(self) -> str:
        """The rule's name for people."""
        return self.name or f"rule {self.id}"


@dataclass(frozen=True, slots=True)
class ClientTokenConf:
    """A client token, known by its digest; no providers means all."""

    name: str
    sha256: str
    providers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a flow may depend on; a flow keeps the one it began with."""

    revision: int = 0
    providers: Mapping[str, ProviderConf] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[RuleConf, ...] = ()
    inbound: Plan = EMPTY_PLAN
    outbound: Plan = EMPTY_PLAN
    seal: Plan = EMPTY_PLAN
    client_tokens: tuple[ClientTokenConf, ...] = ()
    shapes: Mapping[str, ActiveShape] = field(default_factory=lambda: MappingProxyType({}))
    """By provider type: acknowledged, active, and shaping is on."""
    model_facts: FactTable = field(default_factory=built_in)
    command_timeout_s: float = 5.0
    hosts: frozenset[str] = field(init=False, default=frozenset())
    """The providers' hosts, lower case."""
    chained: frozenset[str] = field(init=False, default=frozenset())
    """Names of the providers that stand in a chain of fallbacks."""

    def __post_init__(self) -> None:
        hosts = frozenset(provider.host.lower() for provider in self.providers.values())
        object.__setattr__(self, "hosts", hosts)
        object.__setattr__(self, "chained", frozenset(_chained(self.providers, self.rules)))


def _chained(providers: Mapping[str, ProviderConf], rules: Iterable[RuleConf]) -> Iterator[str]:
    """Yield the providers that have fallbacks or are one, by their own lists or by a rule's."""
    chains = [(provider.name, provider.fallbacks) for provider in providers.values()]
    chains += [(rule.dest_provider, rule.fallbacks) for rule in rules]
    for first, fallbacks in chains:
        if fallbacks:
            yield first
        for fallback in fallbacks:
            yield fallback.provider
