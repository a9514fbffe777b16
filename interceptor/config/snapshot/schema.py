"""Frozen configuration that the proxy runs on.

Built and validated whole, then swapped by one assignment. No Django.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from interceptor.pipeline.plan import EMPTY_PLAN, Plan
from providers.base.pattern import Pattern
from providers.provider_conf import ProviderConf


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
    command_timeout_s: float = 5.0
    hosts: frozenset[str] = field(init=False, default=frozenset())
    """The providers' hosts, lower case."""

    def __post_init__(self) -> None:
        hosts = frozenset(provider.host.lower() for provider in self.providers.values())
        object.__setattr__(self, "hosts", hosts)
