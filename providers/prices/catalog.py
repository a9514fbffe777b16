"""Model names of a provider, from the price catalogue of genai-prices.

No network, no Django. Call `models_of` while a configuration is built, so that the request path
only meets the cache.

Every start needs the names, and loading the catalogue takes 0.15 s and 9 MB. So its names stand in
`catalog_names.json` too, with the version that has them. `make tables` writes that file anew after
an update of genai-prices. With any other version installed, the catalogue itself is read.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from providers.base.names import FORMAT_OF_TYPE, GOOGLE_GENERATE

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES_FILE: Final = Path(__file__).with_name("catalog_names.json")

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
_PLAIN_PATTERN = re.compile(r"(?:[\w:/-]|\\\.)+")
"""A pattern that stands for one text: no character in it has a meaning but an escaped dot."""


class Vendor(NamedTuple):
    """A provider of the catalogue."""

    id: str
    api_pattern: str
    """Regular expression for the beginning of its URLs."""
    names: tuple[str, ...]
    """Its models that a client may ask for, sorted."""


def models_of(provider_type: str, host: str, configured: Iterable[str] = ()) -> list[str]:
    """Return a provider's model names: the configured ones, else the catalogue's for its host.

    An unknown host with a vendor's wire family gets that vendor's names. For an unknown
    OpenAI-compatible host the list is empty.
    """
    return list(configured) or list(_from_catalogue(provider_type, host.lower()))


def read_vendors() -> tuple[Vendor, ...]:
    """Return the installed catalogue's providers, in its order."""
    from genai_prices.data_snapshot import get_snapshot

    return tuple(
        Vendor(
            entry.id,
            entry.api_pattern,
            tuple(sorted(m.id for m in entry.models if not m.deprecated and _is_name(m.id))),
        )
        for entry in get_snapshot().providers
    )


def catalogue_version() -> str:
    """Return the version of the installed catalogue."""
    return version("genai-prices")


@lru_cache(maxsize=256)
def _from_catalogue(provider_type: str, host: str) -> tuple[str, ...]:
    vendor = _vendor_of(provider_type, host)
    if vendor is None:
        return ()
    if FORMAT_OF_TYPE.get(provider_type) == GOOGLE_GENERATE:
        return tuple([name for name in vendor.names if _GOOGLE_NAME.match(name)])
    return vendor.names


def _vendor_of(provider_type: str, host: str) -> Vendor | None:
    """Return the catalogue's entry for a host, else for a type."""
    for vendor in _vendors():
        if _begins(f"https://{host}/", vendor.api_pattern):
            return vendor
    wanted = _CATALOGUE_OF_TYPE.get(provider_type)
    return next((vendor for vendor in _vendors() if vendor.id == wanted), None)


def _begins(url: str, pattern: str) -> bool:
    """Return whether the beginning of a URL matches; a plain text is not compiled for that."""
    if _PLAIN_PATTERN.fullmatch(pattern):
        return url.startswith(pattern.replace("\\.", "."))
    return re.match(pattern, url) is not None


@cache
def _vendors() -> tuple[Vendor, ...]:
    prepared = json.loads(NAMES_FILE.read_bytes())
    if prepared["version"] != catalogue_version():
        return read_vendors()
    return tuple([Vendor(id, api, tuple(names)) for id, api, names in prepared["vendors"]])


def _is_name(model: str) -> bool:
    return not _NOT_A_NAME.search(model)
