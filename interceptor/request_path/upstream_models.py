"""Models as the providers themselves list them, for `/v1/models`.

A provider is asked when the configuration has no names for it, as for a server on this machine, or
when the client wants a fresh list (`?refresh=true`). A provider that fails is left with its
configured names.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

import orjson

from interceptor.pipeline.exchange import ResolvesCredentials
from interceptor.pipeline.provider_clients import (
    ProviderClients,
    credential_headers,
    may_carry_credential,
    url_at,
)
from interceptor.request_path.model_pages import ModelPages
from interceptor.request_path.model_pages import names_in as names_in
from interceptor.transform.model_lists import ModelNames, configured_models
from interceptor.transform.target import base_path
from providers.auth.base import CommandAuth
from providers.base.errors import AuthConfigError, RefuseRequest
from providers.base.http_client import httpx
from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE
from providers.base.upstream_proxy import UpstreamProxies
from providers.provider_conf import ProviderConf

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 5.0
MAX_LIST_BYTES = 4 * 1024 * 1024
"""Limit of all pages together."""
CACHE_S = 60.0


class UpstreamModels:
    """Asks providers for their models, all of them side by side.

    Args:
        resolver: gives the credentials.
        timeout_s: limit of one provider's complete list, all pages together.
        ca_file: PEM file of further certificate authorities; None: the usual ones.
        proxies: the company's, by which providers are reached; None: none.
        clock: seconds, for the cache.
    """

    def __init__(
        self,
        resolver: ResolvesCredentials,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ca_file: str | None = None,
        proxies: UpstreamProxies | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._clients = ProviderClients(ca_file=ca_file, proxies=proxies)
        self._clock = clock
        self._asked: dict[ProviderConf, tuple[float, tuple[str, ...]]] = {}

    async def of(self, providers: Iterable[ProviderConf], *, refresh: bool) -> ModelNames:
        """Return (provider, model) pairs: the configured names first, then further ones."""
        chosen = list(providers)
        lists = await asyncio.gather(*(self._further(conf, refresh=refresh) for conf in chosen))
        pairs: list[tuple[str, str]] = []
        for conf, further in zip(chosen, lists, strict=True):
            pairs += configured_models([conf])
            pairs += [(conf.name, model) for model in further]
        return tuple(dict.fromkeys(pairs))

    async def with_credentials(self, providers: Iterable[ProviderConf]) -> list[ProviderConf]:
        """Return the providers that a request could reach. The others lack a credential."""
        chosen = list(providers)
        missing = await asyncio.gather(*(self._is_missing(conf) for conf in chosen))
        return [conf for conf, is_missing in zip(chosen, missing, strict=True) if not is_missing]

    async def _is_missing(self, conf: ProviderConf) -> bool:
        # A command may ask its user for a password, and a list is no reason for that.
        if conf.auth is None or isinstance(conf.auth, CommandAuth):
            return False
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._resolver.resolve(conf.name, conf.auth)
        except TimeoutError:
            return False
        except AuthConfigError as exc:
            # Other failures may pass; a request says what they are.
            return exc.status_code == HTTPStatus.UNAUTHORIZED
        return False

    async def _further(self, conf: ProviderConf, *, refresh: bool) -> tuple[str, ...]:
        # A Perplexity account lists no models; the catalogue has them.
        if conf.ask is not None or (conf.model_names and not refresh):
            return ()
        now = self._clock()
        asked_at, known = self._asked.get(conf, (-CACHE_S, ()))
        if not refresh and now - asked_at < CACHE_S:
            return known
        names = await self._ask(conf)
        self._asked[conf] = (now, names)
        return names

    async def _ask(self, conf: ProviderConf) -> tuple[str, ...]:
        """Return the provider's own list; empty where it gives none.

        If a later page fails, the pages before it count.
        """
        via = self._clients.via(conf)
        pages = ModelPages(conf.wire_format)
        try:
            headers = await question_headers(conf, self._resolver)
            opened = await self._clients.open(conf, headers)
            # httpx limits each read; the limit here is that of all pages.
            async with asyncio.timeout(self._timeout_s), opened as client:
                await _read_pages(client, models_url(conf), pages)
        except (TimeoutError, httpx.HTTPError, OSError, ValueError, RefuseRequest) as exc:
            reason = str(exc) or type(exc).__name__
            if via is not None:
                reason += f", by way of {via.label}"
            part = "all its models" if pages.names else "its models"
            logger.warning("provider %s does not list %s: %s", conf.name, part, reason)
        return pages.names


async def question_headers(conf: ProviderConf, resolver: ResolvesCredentials) -> dict[str, str]:
    """Return the headers of a request for models, with the credential where it is safe.

    Raises:
        AuthConfigError: the provider's source yields no credential.
    """
    headers = dict(conf.headers)
    if conf.wire_format == ANTHROPIC_MESSAGES:
        headers["anthropic-version"] = "2023-06-01"
    if conf.auth is None or not may_carry_credential(conf):
        return headers
    credential = await resolver.resolve(conf.name, conf.auth)
    if credential is not None:
        headers.update(credential_headers(credential))
    return headers


async def _read_pages(client: httpx.AsyncClient, url: str, pages: ModelPages) -> None:
    """Read page after page, up to `MAX_LIST_BYTES`.

    Raises:
        ValueError: a status other than 200, no JSON, or too many bytes.
        httpx.HTTPError: the connection fails.
    """
    left_bytes = MAX_LIST_BYTES
    parameters: dict[str, str] | None = {}
    while parameters is not None:
        content = await _read_page(client, url, parameters, left_bytes)
        left_bytes -= len(content)
        parameters = pages.take(orjson.loads(content.removeprefix(codecs.BOM_UTF8)))


async def _read_page(
    client: httpx.AsyncClient, url: str, parameters: dict[str, str], max_bytes: int
) -> bytes:
    content = bytearray()
    async with client.stream("GET", url, params=parameters or None) as response:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > max_bytes:
                raise ValueError(f"the list is over {MAX_LIST_BYTES // (1024 * 1024)} MB")
    return bytes(content)


def models_url(conf: ProviderConf) -> str:
    """Return the address of a provider's list of models.

    Sources: "List models" in the API references of Anthropic, OpenAI and Google; Ollama, vLLM and
    llama.cpp serve OpenAI's.
    """
    base = "/v1beta" if conf.wire_format == GOOGLE_GENERATE else base_path(conf)
    return url_at(conf, f"{base}/models")
