"""Model names of a provider, from the price catalogue of genai-prices.

No network, no Django. The first call loads the catalogue (about 0.2 s). Call `models_of` while a
configuration is built, so that the request path only meets the cache.
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
    "vertex_anthropic": "anthropic",
    "bedrock_anthropic": "aws",
    "perplexity_pro": "perplexity",
}
# The catalogue also holds entries that are prefixes or price tiers rather than names a client may
# ask for.
_NOT_A_NAME = re.compile(r"^ft:|[-.]$|:|\.ft-|^(claude-v1|claude-2)$")
_GOOGLE_NAME = re.compile(r"^(gemini|gemma)-[2-9]")


def models_of(provider_type: str, host: str, configured: Iterable[str] = ()) -> list[str]:
    """Return a provider's model names: the configured ones, else the catalogue's for its host.

    An unknown host with a vendor's wire family gets that vendor's names. For an unknown
    OpenAI-compatible host the list is empty.
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
    """Return the catalogue's entry for a host, else for a type."""
    from genai_prices.data_snapshot import get_snapshot

    entries = get_snapshot().providers
    for entry in entries:
        if re.match(entry.api_pattern, f"https://{host}/"):
            return entry
    wanted = _CATALOGUE_OF_TYPE.get(provider_type)
    return next((entry for entry in entries if entry.id == wanted), None)
