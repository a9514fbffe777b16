"""A question to a provider that costs nothing: does it take the credential?

The question is its list of models. Vendors bill tokens, not lists.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from interceptor.pipeline.exchange import ResolvesCredentials
from interceptor.pipeline.provider_clients import ProviderClients, may_carry_credential
from interceptor.request_path.upstream_models import models_url, question_headers
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
    """Send one request with the provider's credential and judge the response."""
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
            status = await _status(conf, clients, headers)
    except TimeoutError:
        return Verdict(False, f"{_where(conf)} did not answer within {timeout_s:g} s.")
    except (httpx.HTTPError, OSError) as exc:
        reason = str(exc) or type(exc).__name__
        return Verdict(False, f"{_where(conf)} cannot be reached: {reason}.")
    return _judged(conf, status)


async def _status(conf: ProviderConf, clients: ProviderClients, headers: dict[str, str]) -> int:
    opened = await clients.open(conf, headers)
    async with opened as client, client.stream("GET", models_url(conf)) as response:
        return response.status_code


def _judged(conf: ProviderConf, status: int) -> Verdict:
    where = _where(conf)
    if status in _REFUSALS:
        return Verdict(False, f"{where} refused the credential (status {status}). {FREE}")
    if status == 200 and conf.auth is None:
        return Verdict(True, f"{where} answers, and asks for no credential. {FREE}")
    if status == 200:
        return Verdict(True, f"{where} took the credential. {FREE}")
    unclear = f"{where} answered {status}, which says nothing about the credential"
    return Verdict(False, f"{unclear}: send a request. {FREE}")


def _where(conf: ProviderConf) -> str:
    return f"{conf.name} ({conf.host})"
