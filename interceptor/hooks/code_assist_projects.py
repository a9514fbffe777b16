"""Projects of Code Assist accounts: asked for at first use, remembered, asked for again if refused.

Source: Code Assist's methods `loadCodeAssist` and `onboardUser`, as Gemini CLI (Apache-2.0) calls
them. `onboardUser` is a long-running operation: the same call is repeated until it is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from interceptor.pipeline.project_search import ProjectSearch
from interceptor.pipeline.provider_clients import (
    ProviderClients,
    credential_headers,
    may_carry_credential,
    url_at,
)
from providers.auth.resolve import Credential
from providers.base.http_client import httpx
from providers.provider_conf import ProviderConf

logger = logging.getLogger(__name__)

MAX_SEARCH_S: Final = 120.0
"""Limit of one search with all its calls."""
MAX_PAUSE_S: Final = 300.0
"""Longest pause between two searches that found nothing."""
DOUBT_AFTER_S: Final = 60.0
"""A project is doubted once in this time at the most: clients may send many bad requests."""
MAX_RESPONSE_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 64
_ONBOARD_PAUSE_S: Final = 5.0
_PATH: Final = "/v1internal:{action}"
_PROJECT: Final = "cloudaicompanionProject"
_METADATA: Final = {
    "ideType": "IDE_UNSPECIFIED",
    "platform": "PLATFORM_UNSPECIFIED",
    "pluginType": "GEMINI",
}

Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Entry:
    """Knowledge about one account."""

    project: str = ""
    doubted: bool = False
    failures: int = 0
    next_at_s: float = 0.0
    """No search begins before, by the clock of `CodeAssistProjects`."""
    task: asyncio.Task[None] | None = None


class CodeAssistProjects:
    """Finds projects. Requests that ask at the same time share one search.

    Args:
        clients: open the HTTP clients.
        clock: seconds, monotonic.
        pause: waits between two calls of `onboardUser`.
    """

    def __init__(
        self,
        clients: ProviderClients,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._pause = pause
        self._entries: dict[tuple[ProviderConf, bool, str], _Entry] = {}

    async def find(
        self, provider: ProviderConf, credential: Credential, search: ProjectSearch
    ) -> str:
        """Return the project's id; "" where none is known yet. Never raises.

        A search that takes longer than the caller waits goes on for those who come later.
        """
        entry = self._entry(provider, search)
        known = entry.project and not entry.doubted
        if known or not may_carry_credential(provider):
            return entry.project
        if entry.task is None:
            if self._clock() < entry.next_at_s:
                return entry.project
            work = self._search(entry, provider, credential, search)
            entry.task = asyncio.create_task(work, name=f"project of {provider.name}")
        # `wait` cancels nothing when the time is over or the client leaves.
        await asyncio.wait({entry.task}, timeout=search.timeout_s)
        return entry.project

    def doubt(self, provider: ProviderConf) -> None:
        """Search again at the next request, because the provider refused this one."""
        for (conf, _, _), entry in self._entries.items():
            if conf == provider and entry.project:
                entry.doubted = True

    def _entry(self, provider: ProviderConf, search: ProjectSearch) -> _Entry:
        key = provider, search.onboard, search.tier
        entry = self._entries.get(key)
        if entry is None:
            # Each change of a provider makes a new key: the oldest one is dropped.
            if len(self._entries) >= MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]
            entry = self._entries[key] = _Entry()
        return entry

    async def _search(
        self,
        entry: _Entry,
        provider: ProviderConf,
        credential: Credential,
        search: ProjectSearch,
    ) -> None:
        try:
            async with asyncio.timeout(MAX_SEARCH_S):
                entry.project = await self._ask(provider, credential, search)
            entry.doubted, entry.failures = False, 0
            entry.next_at_s = self._clock() + DOUBT_AFTER_S
        except (TimeoutError, httpx.HTTPError, OSError, ValueError) as exc:
            # 1, 2, 4 ... seconds: the account may get its project in a moment.
            pause_s = min(2.0**entry.failures, MAX_PAUSE_S)
            entry.failures = min(entry.failures + 1, 16)
            entry.next_at_s = self._clock() + pause_s
            reason = str(exc) or type(exc).__name__
            logger.warning("provider %s: no project was found: %s", provider.name, reason)
        finally:
            entry.task = None

    async def _ask(
        self, provider: ProviderConf, credential: Credential, search: ProjectSearch
    ) -> str:
        """Return the account's project. Raises ValueError with the reason if it has none."""
        headers = {**dict(provider.headers), **credential_headers(credential)}
        async with await self._clients.open(provider, headers) as client:
            account = await _call(client, provider, "loadCodeAssist", {})
            if project := _project_in(account):
                return project
            if not search.onboard:
                raise ValueError(
                    "the account has none; set the hook's parameter “project”, or “onboard” to"
                    " register the account"
                )
            return await self._onboard(client, provider, search.tier or _default_tier(account))

    async def _onboard(self, client: httpx.AsyncClient, provider: ProviderConf, tier: str) -> str:
        body = {"tierId": tier, "metadata": _METADATA}
        while True:
            operation = await _call(client, provider, "onboardUser", body)
            if operation.get("done"):
                break
            await self._pause(_ONBOARD_PAUSE_S)
        response = operation.get("response")
        project = _project_in(response) if isinstance(response, dict) else ""
        if not project:
            raise ValueError(f"onboardUser gave no project for the tier “{tier}”")
        return project


def _project_in(body: dict[str, Any]) -> str:
    """Return the project of a response, which names it or describes it by an object."""
    found = body.get(_PROJECT)
    if isinstance(found, dict):
        found = found.get("id")
    return found if isinstance(found, str) else ""


def _default_tier(account: dict[str, Any]) -> str:
    """Return the tier that Code Assist proposes.

    Raises ValueError if it proposes none, or one that needs a project of the user's own.
    """
    tiers = account.get("allowedTiers")
    for tier in tiers if isinstance(tiers, list) else ():
        if not isinstance(tier, dict) or not tier.get("isDefault"):
            continue
        if tier.get("userDefinedCloudaicompanionProject"):
            raise ValueError(
                f"the tier “{tier.get('id')}” needs a Google Cloud project of your own; set the"
                " hook's parameter “project”"
            )
        return str(tier.get("id") or "")
    raise ValueError("loadCodeAssist proposes no tier; set the hook's parameter “tier”")


async def _call(
    client: httpx.AsyncClient, provider: ProviderConf, action: str, body: dict[str, Any]
) -> dict[str, Any]:
    """Call a method. Raises ValueError for a status other than 200 and for what is no object."""
    template = provider.path if "{action}" in provider.path else _PATH
    url = url_at(provider, template.replace("{action}", action).replace("{model}", ""))
    content = bytearray()
    async with client.stream("POST", url, json=body) as response:
        if response.status_code != 200:
            raise ValueError(f"{action} answered with status {response.status_code}")
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                raise ValueError(f"the response to {action} is too large")
    value = orjson.loads(content)
    if not isinstance(value, dict):
        raise ValueError(f"the response to {action} is no JSON object")
    return value
