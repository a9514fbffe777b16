"""Notices by HTTP: one POST each, to the address that the settings name."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from ccproxy_site.notices.notice import Notice, json_body, slack_body
from ccproxy_site.notices.notice_channel import Outcome
from ccproxy_site.process.secret_source import read_secret_source
from flows.redaction.secret_look import looks_like_secret
from interceptor.config.files.groups import SecretSource
from interceptor.config.files.sections.notices_section import checked_destination
from providers.auth.registry import SECRETS
from providers.base.errors import ConfigError
from providers.base.http_client import httpx
from providers.base.upstream_proxy import UpstreamProxies
from providers.base.version import product_version

_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_WAIT_S: Final = 60.0
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Destination:
    """Address and headers of a POST; both may hold secrets."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookConf:
    """Where notices go. `url` and `auth` may name a source; `form` is json or slack."""

    url: str | SecretSource = field(repr=False)
    auth: str | SecretSource | None = field(repr=False)
    form: str
    timeout_s: float
    source_timeout_s: float
    """Limit of a command that yields the URL or the secret."""


class Webhook:
    """The webhook. Follows no redirect and reads no body of a response.

    Args:
        conf: where notices go.
        proxies: the company's, by which other machines are reached.
    """

    name = "webhook"

    def __init__(self, conf: WebhookConf, proxies: UpstreamProxies) -> None:
        self._conf, self._proxies = conf, proxies

    def deliver(self, sent: Notice) -> Outcome:
        """POST a notice."""
        try:
            return asyncio.run(self._deliver(sent))
        except (ConfigError, ValueError) as exc:
            return Outcome(False, f"cannot be sent: {exc}")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
            kind = type(exc).__name__
            return Outcome(False, f"the receiver cannot be reached ({kind})", may_retry=True)

    async def _deliver(self, sent: Notice) -> Outcome:
        destination = await self._destination()
        body = slack_body(sent) if self._conf.form == "slack" else json_body(sent)
        try:
            # httpx limits each read; the limit here is that of the complete call.
            async with (
                asyncio.timeout(self._conf.timeout_s),
                self._client(destination) as client,
                client.stream("POST", destination.url, content=body) as response,
            ):
                return _outcome(response.status_code, response.headers.get("retry-after", ""))
        except TimeoutError:
            limit_s = self._conf.timeout_s
            text = f"the receiver did not respond within {limit_s:g} s"
            return Outcome(False, text, may_retry=True)

    def _client(self, destination: Destination) -> httpx.AsyncClient:
        url = httpx.URL(destination.url)
        via = self._proxies.of(url.scheme, url.host, url.port or _PORTS[url.scheme])
        return httpx.AsyncClient(
            timeout=None,
            trust_env=False,
            proxy=httpx.Proxy(via.url, auth=via.auth) if via else None,
            follow_redirects=False,
            headers=destination.headers,
        )

    async def _destination(self) -> Destination:
        """Return the address and headers, read anew: a source may have another secret now.

        Raises:
            ConfigError, ValueError: a source yields nothing, or the URL is refused.
        """
        url = checked_destination(await self._secret("notices.webhook.url", self._conf.url))
        for secret in secrets_in(url):
            SECRETS.add(secret)
        headers = {
            "content-type": "application/json",
            "user-agent": f"ccproxy/{product_version()}",
            "accept-encoding": "identity",
        }
        auth = self._conf.auth
        if auth is not None:
            secret = await self._secret("notices.webhook.auth", auth)
            SECRETS.add(secret)
            name = auth.header if isinstance(auth, SecretSource) else None
            if name:
                headers[name.lower()] = secret
            else:
                headers["authorization"] = f"Bearer {secret}"
        return Destination(url, headers)

    async def _secret(self, setting: str, source: str | SecretSource | None) -> str:
        """Return the value of a setting that may name a source.

        Raises:
            ConfigError: the source yields nothing.
        """
        if isinstance(source, SecretSource):
            secret, problem = await read_secret_source(source, self._conf.source_timeout_s)
            if problem:
                raise ConfigError(f"{setting}: {problem}")
            return secret
        return source or ""


def secrets_in(url: str) -> list[str]:
    """Return the parts of a receiver's address that are its password.

    Example: "https://hooks.example/T01/x7Kq2mZ9p4Lw8Vb3" → ["x7Kq2mZ9p4Lw8Vb3"]. Not the complete
    address: the record would lose its beginning, "https://hooks.example/", from every other URL.
    """
    _, _, behind_host = url.partition("://")
    parts = re.split(r"[/?&=#]", behind_host.partition("/")[2])
    return [unquote(part) for part in parts if looks_like_secret(unquote(part))]


def _outcome(status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome(True, f"delivered ({status})")
    if 300 <= status < 400:
        return Outcome(False, f"refused: the receiver redirects ({status}), which is not followed")
    wait_s = 0.0
    with contextlib.suppress(ValueError):
        wait_s = min(max(0.0, float(retry_after)), _MAX_WAIT_S)
    return Outcome(False, f"refused with {status}", status in _BUSY, wait_s)
