"""Sentinel keys: recognised, taken out, and resolved to the credential they stand for.

The step `leave` writes the credential into the request, once the final destination is known to be
the provider's own host. No outbound hook and no other host sees it.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import parse_qsl

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import Fields, HeaderMap
from interceptor.pipeline.hook import Stage, hook
from providers.auth.resolve import Credential
from providers.auth.sentinel import AUTH_HEADERS, Sentinel, find_sentinel, provider_of
from providers.base.errors import AuthConfigError
from providers.base.nearest import name_hint


def sentinel_provider(ex: Exchange) -> str | None:
    """Return the provider that the exchange's sentinel key names."""
    return sentinel_of(ex.headers, ex.path)


def sentinel_of(headers: HeaderMap, path: str) -> str | None:
    """Return the provider named by a sentinel in a header or in Google's `key` query parameter."""
    if sentinel := _sentinel_of(headers.fields):
        return sentinel.provider
    _, _, query = path.partition("?")
    if "key=" in query:
        for name, value in parse_qsl(query):
            if name == "key" and (provider := provider_of(value)):
                return provider
    return None


@lru_cache(maxsize=64)
def _sentinel_of(fields: Fields) -> Sentinel | None:
    """Return the sentinel in the headers. Cached: a request asks three times."""
    return find_sentinel(HeaderMap(fields).get)


def has_sentinel(ex: Exchange) -> bool:
    """Return True when the request carries a sentinel key."""
    return sentinel_provider(ex) is not None


async def resolve_credential(ex: Exchange) -> Credential | None:
    """Resolve the credential of the provider that the sentinel names.

    Raises:
        AuthConfigError: 401 for an unknown or switched-off provider, 502 when the source fails.
    """
    name = sentinel_provider(ex) or ""
    provider = ex.providers.get(name)
    if provider is None:
        hint = name_hint(name, ex.providers)
        raise AuthConfigError(
            f"The key names the provider “{name}”, which is not configured or switched off; {hint}",
            status_code=401,
        )
    if provider.auth is None or ex.resolver is None:
        return None
    return await ex.resolver.resolve(provider.name, provider.auth)


@hook(
    stage=Stage.INBOUND,
    reads={f"header:{name}" for name in AUTH_HEADERS},
    writes={f"header:{name}" for name in AUTH_HEADERS} | {"url", "meta:auth_provider"},
    guard=has_sentinel,
    prepare=resolve_credential,
    security=True,
    timeout_s=60.0,
)
def inject_auth(ex: Exchange) -> None:
    """Take the sentinel key out and remember whose credential takes its place."""
    name = sentinel_provider(ex) or ""
    ex.provider = ex.providers[name]
    ex.credential = ex.prepared
    ex.metadata["auth_provider"] = name
    if (sentinel := _sentinel_of(ex.headers.fields)) and (
        place := ex.headers.index(sentinel.header)
    ) is not None:
        ex.credential_slot = (place, ex.headers.fields[place][0].decode())
    for header in AUTH_HEADERS:
        if any(find_sentinel({header: value}.get) for value in ex.headers.get_all(header)):
            ex.headers.remove(header)
    ex.path = _without_sentinel_key(ex.path)


def _without_sentinel_key(path: str) -> str:
    """Drop `key=SENTINEL` from the query, leaving every other byte of it alone."""
    base, mark, query = path.partition("?")
    if "key=" not in query:
        return path
    kept = [
        part for part in query.split("&") if not (part.startswith("key=") and _is_sentinel(part))
    ]
    return base + (mark + "&".join(kept) if kept else "")


def _is_sentinel(part: str) -> bool:
    return any(provider_of(value) is not None for _, value in parse_qsl(part))
