"""Which models a provider offers, from the price catalogue that ships with genai-prices. No
network, no Django.

The first call loads the catalogue (about 0.2 s); call `models_of` while a configuration is being
built, so that the request path only ever meets the cache.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from providers.base.names import FORMAT_OF_TYPE, GOOGLE_GENERATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genai_prices.types import Provider as PricedProvider

# Provider type -> the catalogue's provider, for a host the catalogue does not know. A host that
# speaks OpenAI's formats is as likely a local model server as OpenAI itself, so those types have no
# entry.
_CATALOGUE_OF_TYPE = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "zai": "zai",
    "google": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "perplexity_pro": "perplexity",
}
# The catalogue also holds entries that are prefixes or price tiers rather than names a client may
# ask for.
_NOT_A_NAME = re.compile(r"^ft:|[-.]$|:|\.ft-|^(claude-v1|claude-2)$")
_GOOGLE_NAME = re.compile(r"^(gemini|gemma)-[2-9]")


def models_of(provider_type: str, host: str, configured: Iterable[str] = ()) -> list[str]:
    """The model names of a provider: the configured ones, else those the price catalogue knows for
    its host.

    An unknown host of a vendor's own wire family gets that vendor's names; of an unknown
    OpenAI-compatible host nothing is known and the list is empty.
    """
    return list(configured) or list(_from_catalogue(provider_type, host.lower()))


@lru_cache(maxsize=256)
def _from_catalogue(provider_type: str, host: str) -> tuple[str, ...]:
    entry = _entry_of(provider_type, host)
    if entry is None:
        return ()
    names = [m.id for m in entry.models if not m.deprecated and not _NOT_A_NAME.search(m.id)]
    if FORMAT_OF_TYPE.get(provider_type) == GOOGLE_GENERATE:
        names = [name for name in names if _GOOGLE_NAME.match(name)]
    return tuple(sorted(names))


def _entry_of(provider_type: str, host: str) -> PricedProvider | None:
    """The catalogue's entry for a host, else for a type."""
    from genai_prices.data_snapshot import get_snapshot

    entries = get_snapshot().providers
    for entry in entries:
        if re.match(entry.api_pattern, f"https://{host}/"):
            return entry
    wanted = _CATALOGUE_OF_TYPE.get(provider_type)
    return next((entry for entry in entries if entry.id == wanted), None)
