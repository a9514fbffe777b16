"""A provider as the request path sees it. No Django."""

from __future__ import annotations

import re
from dataclasses import dataclass

from providers.auth.base import AuthConf
from providers.base.names import ALSO_NATIVE_AT_HOST, FORMAT_OF_TYPE, WireFormatName
from providers.fallbacks import DEFAULT_COOLDOWN_S, Fallback
from providers.retry_policy import RetryPolicy
from providers.wire.perplexity.ask_conf import AskConf

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
    retry: RetryPolicy | None = None
    """None: a failure is forwarded at once."""
    fallbacks: tuple[Fallback, ...] = ()
    cooldown_s: float = DEFAULT_COOLDOWN_S
    """First pause after a failure that names no time; 0: none."""
    server_tools: str = ""
    """Fate of tools that run at the client's vendor; "": they are left out."""
    ask: AskConf | None = None
    """Settings of a Perplexity provider; None for all others."""

    @property
    def effective_port(self) -> int:
        """Port to connect to."""
        return self.port or (443 if self.scheme == "https" else 80)

    def owns(self, host: str, port: int) -> bool:
        """Return whether an address belongs to this provider. Vertex AI has a host per location."""
        if port != self.effective_port:
            return False
        wanted, own = host.lower(), self.host.lower()
        if self.type.startswith("vertex") and own.endswith(VERTEX_DOMAIN):
            return wanted == VERTEX_DOMAIN or VERTEX_HOST.fullmatch(wanted) is not None
        return wanted == own

    @property
    def wire_format(self) -> WireFormatName | None:
        """Format of its main endpoint."""
        return FORMAT_OF_TYPE.get(self.type)

    @property
    def native_formats(self) -> frozenset[WireFormatName]:
        """Formats that this host accepts without translation."""
        own = (self.wire_format,) if self.wire_format else ()
        return frozenset(
            (*own, *self.extra_formats, *ALSO_NATIVE_AT_HOST.get(self.host.lower(), ()))
        )
