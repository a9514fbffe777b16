"""The frozen configuration the proxy runs on.

Built and validated whole, then swapped by one assignment. No Django.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from interceptor.pipeline.plan import EMPTY_PLAN, Plan
from providers.auth.base import AuthConf
from providers.base.names import ALSO_NATIVE_AT_HOST, FORMAT_OF_TYPE, WireFormatName
from providers.base.pattern import Pattern

VERTEX_DOMAIN = "aiplatform.googleapis.com"
VERTEX_HOST = re.compile(r"[a-z]{2,20}-[a-z]{2,20}[0-9]{1,3}-aiplatform\.googleapis\.com")


@dataclass(frozen=True, slots=True)
class ProviderConf:
    """A provider as the request path sees it."""

    name: str
    type: str
    host: str
    scheme: str = "https"
    port: int | None = None
    path: str = "/"
    auth: AuthConf | None = None
    verify_tls: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    fingerprint_profile: str = ""
    model_names: tuple[str, ...] = ()
    extra_formats: tuple[WireFormatName, ...] = ()

    @property
    def effective_port(self) -> int:
        """The port that is dialled."""
        return self.port or (443 if self.scheme == "https" else 80)

    def owns(self, host: str, port: int) -> bool:
        """True for its own address; Vertex AI has one host for each location."""
        if port != self.effective_port:
            return False
        wanted, own = host.lower(), self.host.lower()
        if self.type.startswith("vertex_ai") and own.endswith(VERTEX_DOMAIN):
            return wanted == VERTEX_DOMAIN or VERTEX_HOST.fullmatch(wanted) is not None
        return wanted == own

    @property
    def wire_format(self) -> WireFormatName | None:
        """The format of its main endpoint."""
        return FORMAT_OF_TYPE.get(self.type)

    @property
    def native_formats(self) -> frozenset[WireFormatName]:
        """Every format this host understands without translation."""
        own = (self.wire_format,) if self.wire_format else ()
        return frozenset(
            (*own, *self.extra_formats, *ALSO_NATIVE_AT_HOST.get(self.host.lower(), ()))
        )


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
        """How the rule is named to people."""
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
    client_tokens: tuple[ClientTokenConf, ...] = ()
    command_timeout_s: float = 5.0
    hosts: frozenset[str] = field(init=False, default=frozenset())
    """The providers' hosts, lower case."""

    def __post_init__(self) -> None:
        hosts = frozenset(provider.host.lower() for provider in self.providers.values())
        object.__setattr__(self, "hosts", hosts)
