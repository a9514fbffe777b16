"""One account's calls to the API of Perplexity's web page.

The session's cookie goes to the provider's own address alone: no redirect is followed, and nothing
is sent where the way is neither verified TLS nor within this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from providers.auth.resolve import Credential
from providers.base.errors import RefuseRequest
from providers.base.http_client import httpx
from providers.base.loopback import is_loopback
from providers.base.names import PERPLEXITY_ASK
from providers.fingerprint_profiles import CAPTURED
from providers.provider_conf import ProviderConf
from providers.wire.core.jsonio import dumps, loads
from providers.wire.failure_translation import decoded_error
from providers.wire.perplexity.page_headers import call_headers

MAX_REPLY_BYTES: Final = 64 * 1024 * 1024

type OpenClient = Callable[[ProviderConf, Mapping[str, str]], Awaitable[httpx.AsyncClient]]


class SiteFailed(RefuseRequest):
    """A call failed: with the site's status, 502 if it is out of reach, 503 without a token."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `reason` is the page's own word for it; `query` may repeat a name."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = (("accept", "application/json"),)
    timeout_s: float = 10.0


async def open_plainly(conf: ProviderConf, headers: Mapping[str, str]) -> httpx.AsyncClient:
    """Return a client that reaches the provider directly."""
    context = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
    return httpx.AsyncClient(verify=context, trust_env=False, headers=dict(headers), timeout=None)


class Site:
    """The site as one account sees it.

    Args:
        conf: the provider.
        credential: its session; None: every call fails with 503.
        open_client: opens the way to the provider.
        proxy_url: the company's proxy, for calls with a fingerprint profile.
    """

    def __init__(
        self,
        conf: ProviderConf,
        credential: Credential | None,
        open_client: OpenClient = open_plainly,
        proxy_url: str = "",
    ) -> None:
        self.conf = conf
        self.credential = credential
        self._open = open_client
        self._proxy_url = proxy_url

    async def json(self, call: Call) -> Any:
        """Return the JSON of a successful call.

        Raises:
            SiteFailed: it did not succeed.
        """
        data = await self.send(call)
        try:
            return loads(data) if data.strip() else {}
        except (ValueError, RecursionError):
            raise SiteFailed(
                f"Perplexity answered {call.path} with something that is not JSON.",
                status_code=502,
            ) from None

    async def send(self, call: Call) -> bytes:
        """Return the body of a successful call.

        Raises:
            SiteFailed: it did not succeed.
        """
        headers = self._headers(call)
        url = self._url(call)
        content = None if call.body is None else dumps(call.body)
        try:
            async with asyncio.timeout(call.timeout_s):
                # A call of our own has no shape whose handshake could be the captured one.
                if self.conf.fingerprint_profile not in ("", CAPTURED):
                    status, data = await self._by_curl(call.method, url, headers, content)
                else:
                    status, data = await self._by_httpx(call.method, url, headers, content)
        except (TimeoutError, httpx.HTTPError, OSError) as exc:
            why = str(exc) or f"no reply within {call.timeout_s:g} s"
            raise SiteFailed(
                f"Perplexity could not be asked for {call.path}: {why}", status_code=502
            ) from None
        if status >= 400:
            failure = decoded_error(status, data, PERPLEXITY_ASK)
            raise SiteFailed(failure.message, status_code=status)
        if status >= 300:
            raise SiteFailed(
                f"Perplexity redirects {call.path}; it may want another login.", status_code=502
            )
        return data

    def _headers(self, call: Call) -> dict[str, str]:
        conf, credential = self.conf, self.credential
        if credential is None:
            raise SiteFailed(f"The provider “{conf.name}” has no session token.", status_code=503)
        is_safe = is_loopback(conf.host) or (conf.scheme == "https" and conf.verify_tls)
        if not is_safe:
            raise SiteFailed(
                f"{conf.host} is not reached over verified TLS; the session is withheld.",
                status_code=503,
            )
        found = {**call_headers(call.reason), **dict(call.headers)}
        if call.body is not None:
            found["content-type"] = "application/json"
        return found | {credential.header: credential.value}

    def _url(self, call: Call) -> str:
        conf = self.conf
        host = f"[{conf.host}]" if ":" in conf.host else conf.host
        query = f"?{urlencode(call.query)}" if call.query else ""
        return f"{conf.scheme}://{host}:{conf.effective_port}{call.path}{query}"

    async def _by_httpx(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> tuple[int, bytes]:
        async with await self._open(self.conf, headers) as client:
            request = client.build_request(method, url, content=content)
            response = await client.send(request, stream=True)
            data = bytearray()
            try:
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > MAX_REPLY_BYTES:
                        raise httpx.ReadError("the reply is too large")
            finally:
                await response.aclose()
            return response.status_code, bytes(data)

    async def _by_curl(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> tuple[int, bytes]:
        from curl_cffi import CurlError
        from curl_cffi.requests import AsyncSession

        profile: Any = self.conf.fingerprint_profile
        verb: Any = method
        try:
            async with AsyncSession[Any](
                impersonate=profile, trust_env=False, proxy=self._proxy_url or None
            ) as session:
                reply = await session.request(
                    verb,
                    url,
                    data=content,
                    headers=headers,
                    allow_redirects=False,
                    default_headers=False,
                )
        except CurlError as exc:
            raise OSError(str(exc)) from None
        return reply.status_code, reply.content
