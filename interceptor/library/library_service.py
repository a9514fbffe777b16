"""Services for the library of a Perplexity account, for REST and other callers. They block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from interceptor.config.snapshot.load import load_snapshot
from providers.credentials.actions import resolve_now
from providers.models import Provider
from providers.perplexity.library import Library
from providers.perplexity.site_calls import Site, SiteFailed
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE, AskConf

LIMITS_CACHE_S: Final = 60.0
_limits: dict[tuple[int, str], tuple[float, Any]] = {}


def with_library[T](name: str, act: Callable[[Library], Awaitable[T]]) -> T:
    """Do something with an account's library.

    Raises:
        Provider.DoesNotExist: there is no enabled account of this name.
        SiteFailed: the site refused, or there is no session.
        ConfigError: the credential's source failed.
    """
    row = Provider.objects.get(name=name, type=PERPLEXITY_TYPE, enabled=True)
    conf = load_snapshot().providers[name]
    if conf.auth is None:
        raise SiteFailed(f"The provider “{name}” has no session token.", status_code=503)
    site = Site(conf, resolve_now(row))
    library = Library(site, (conf.ask or AskConf()).thread)

    async def run() -> T:
        return await act(library)

    return asyncio.run(run())


def limits_of(name: str, clock: Callable[[], float] = time.monotonic) -> Any:
    """Return what the account may still ask; at most a minute old. Raises as `with_library`."""
    row = Provider.objects.get(name=name, type=PERPLEXITY_TYPE, enabled=True)
    # Another session may be another account.
    key = row.pk, str(row.changed_at)
    asked_at, known = _limits.get(key, (0.0, None))
    if known is not None and clock() - asked_at < LIMITS_CACHE_S:
        return known
    found = with_library(name, Library.limits)
    _limits[key] = clock(), found
    return found
