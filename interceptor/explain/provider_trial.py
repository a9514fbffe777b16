"""A question to a provider that costs nothing: does it take the credential?

The question is its list of models. Vendors bill tokens, not lists. Some list their models to
anyone, as OpenRouter does. So a list counts only if the same question without the credential gets
none.
"""

from __future__ import annotations

import asyncio
import codecs
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, NamedTuple

import orjson

from interceptor.pipeline.exchange import ResolvesCredentials
from interceptor.pipeline.provider_clients import ProviderClients, may_carry_credential
from interceptor.request_path.model_pages import is_model_list
from interceptor.request_path.upstream_models import MAX_LIST_BYTES, models_url, question_headers
from providers.base.errors import AuthConfigError
from providers.base.http_client import httpx
from providers.provider_conf import ProviderConf

TIMEOUT_S: Final = 10.0
FREE: Final = "The question was its list of models, which costs nothing."
_REFUSALS: Final = (401, 403)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of a question, as one sentence."""

    is_good: bool
    sentence: str


async def ask_provider(
    conf: ProviderConf,
    resolver: ResolvesCredentials,
    clients: ProviderClients,
    *,
    timeout_s: float = TIMEOUT_S,
) -> Verdict:
    """Send one request with the provider's credential, perhaps one without it, and judge."""
    if conf.ask is not None:
        return Verdict(False, f"{conf.name} has no list of models to ask for: send a request.")
    if conf.auth is not None and not may_carry_credential(conf):
        return Verdict(
            False, f"{conf.name} is not reached over verified TLS, so it gets no credential."
        )
    try:
        headers = await question_headers(conf, resolver)
    except AuthConfigError as exc:
        return Verdict(False, f"Nothing was sent. {exc}")
    try:
        async with asyncio.timeout(timeout_s):
            listed = await _ask(conf, clients, headers)
            has_shown = listed.is_list and conf.auth is not None
            is_open = has_shown and await _is_open(conf, clients, resolver)
    except TimeoutError:
        return Verdict(False, f"{_where(conf)} did not answer within {timeout_s:g} s.")
    except (httpx.HTTPError, OSError) as exc:
        reason = str(exc) or type(exc).__name__
        return Verdict(False, f"{_where(conf)} cannot be reached: {reason}.")
    return _judged(conf, listed, is_open=is_open)


class _Listed(NamedTuple):
    status: int
    is_list: bool
    """The response is 200 with a list of models."""


async def _ask(conf: ProviderConf, clients: ProviderClients, headers: dict[str, str]) -> _Listed:
    opened = await clients.open(conf, headers)
    async with opened as client, client.stream("GET", models_url(conf)) as response:
        if response.status_code != HTTPStatus.OK:
            return _Listed(response.status_code, is_list=False)
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_LIST_BYTES:
                return _Listed(response.status_code, is_list=False)
    return _Listed(response.status_code, _is_list(bytes(content)))


def _is_list(content: bytes) -> bool:
    try:
        return is_model_list(orjson.loads(content.removeprefix(codecs.BOM_UTF8)))
    except orjson.JSONDecodeError:
        return False


async def _is_open(
    conf: ProviderConf, clients: ProviderClients, resolver: ResolvesCredentials
) -> bool:
    """Check if the provider lists its models without any credential."""
    headers = await question_headers(replace(conf, auth=None), resolver)
    return (await _ask(conf, clients, headers)).is_list


def _judged(conf: ProviderConf, listed: _Listed, *, is_open: bool) -> Verdict:
    where, status = _where(conf), listed.status
    if status in _REFUSALS:
        return Verdict(False, f"{where} refused the credential (status {status}). {FREE}")
    if status != HTTPStatus.OK:
        unclear = f"{where} answered {status}, which says nothing about the credential"
        return Verdict(False, f"{unclear}: send a request. {FREE}")
    if not listed.is_list:
        return Verdict(False, f"{where} answered with something else. Check its path. {FREE}")
    if conf.auth is None:
        return Verdict(True, f"{where} answers, and asks for no credential. {FREE}")
    if is_open:
        unclear = f"{where} lists its models without any credential, which says nothing about yours"
        return Verdict(False, f"{unclear}: send a request. {FREE}")
    return Verdict(True, f"{where} took the credential. {FREE}")


def _where(conf: ProviderConf) -> str:
    return f"{conf.name} ({conf.host})"
