"""HTTP clients for the proxy's own calls to providers: lists of models, project ids.

They trust the same authorities as the proxy, and leave by the same company proxy. Redirects are not
followed: the credential is for the provider's address alone.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from providers.auth.resolve import Credential
from providers.base.http_client import httpx
from providers.base.loopback import is_loopback
from providers.base.upstream_proxy import UpstreamProxies, UpstreamProxy
from providers.provider_conf import ProviderConf


class ProviderClients:
    """Opens HTTP clients.

    Args:
        ca_file: PEM file of further certificate authorities; None: the usual ones.
        proxies: the company's, by which providers are reached; None: none.
    """

    def __init__(
        self, *, ca_file: str | None = None, proxies: UpstreamProxies | None = None
    ) -> None:
        self._ca_file = ca_file
        self._proxies = proxies or UpstreamProxies()
        self._tls: ssl.SSLContext | None = None

    def via(self, conf: ProviderConf) -> UpstreamProxy | None:
        """Return the company's proxy that leads to the provider; None: the way is direct."""
        return self._proxies.of(conf.scheme, conf.host, conf.effective_port)

    async def open(self, conf: ProviderConf, headers: Mapping[str, str]) -> httpx.AsyncClient:
        """Return a client without time limits for one provider; the caller closes it."""
        via = self.via(conf)
        return httpx.AsyncClient(
            verify=await self._verification(conf),
            trust_env=False,
            proxy=httpx.Proxy(via.url, auth=via.auth) if via else None,
            headers=dict(headers),
            timeout=None,
        )

    async def _verification(self, conf: ProviderConf) -> ssl.SSLContext | bool:
        if conf.scheme != "https":
            return True
        if conf.auth is None and not conf.verify_tls:
            return False
        if self._tls is None:
            # Reading the authorities takes some 20 ms, too long for the event loop.
            self._tls = await asyncio.to_thread(self._make_tls)
        return self._tls

    def _make_tls(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context(trust_env=False)
        if self._ca_file:
            context.load_verify_locations(self._ca_file)
        return context


def may_carry_credential(conf: ProviderConf) -> bool:
    """Return True where a credential is safe: on this machine, or over verified TLS."""
    return is_loopback(conf.host) or (conf.scheme == "https" and conf.verify_tls)


def credential_headers(credential: Credential) -> dict[str, str]:
    """Return the headers that show a credential; none for one that signs the model calls alone."""
    if credential.aws_keys is not None:
        return {}
    return {credential.header: credential.value, **dict(credential.companions)}


def url_at(conf: ProviderConf, path: str) -> str:
    """Return the address of a path at the provider."""
    host = f"[{conf.host}]" if ":" in conf.host else conf.host
    return f"{conf.scheme}://{host}:{conf.effective_port}{path}"
