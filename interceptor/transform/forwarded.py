"""Destination of a request that is sent again as forwarded: its old address, or none."""

from __future__ import annotations

from urllib.parse import urlsplit

from interceptor.access.grant import Grant
from interceptor.config.snapshot.schema import Snapshot
from interceptor.transform.decision import Decision
from providers.base.names import WireFormatName
from providers.provider_conf import ProviderConf

_OTHERWISE = "Send it again as the client sent it: then it is routed anew."


def decide_again(
    snapshot: Snapshot, grant: Grant, path: str, wire: WireFormatName | None
) -> Decision:
    """Return the decision for a request whose grant sends it as forwarded; no rule is asked."""
    provider = snapshot.providers.get(grant.provider)
    if provider is None:
        return _refused(f"The provider “{grant.provider}” is gone or switched off.")
    try:
        parts = urlsplit(grant.origin)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return _refused("Where this request went is not recorded.", provider)
    if parts.scheme != provider.scheme or not provider.owns(host, port):
        return _refused(
            f"{grant.origin} is no address of the provider “{provider.name}” any more.", provider
        )
    route = f"sent again as forwarded, to provider {provider.name}"
    return Decision("redirect", route, None, provider, parts.scheme, host, port, path, "", wire)


def _refused(why: str, provider: ProviderConf | None = None) -> Decision:
    return Decision("refused", f"{why} {_OTHERWISE}", None, provider, status_code=502)
