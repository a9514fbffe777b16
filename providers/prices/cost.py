"""Cost of tokens: the operator's prices first, then the table of genai-prices.

Never the network: `genai_prices.UpdatePrices` would fetch newer prices and is never called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from providers.base.loopback import is_loopback
from providers.wire.core.ir import Usage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

MILLION: Final = Decimal(1_000_000)
_STEP: Final = Decimal("0.00000001")
# Provider types whose models genai-prices lists under one vendor, for hosts it does not know
# (gateways, Code Assist).
_VENDOR_OF_TYPE: Final = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "zai": "zai",
    "openai": "openai",
    "openai_responses": "openai",
    "google": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "vertex_anthropic": "anthropic",
    "bedrock_anthropic": "aws",
    "perplexity_pro": None,
}


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount in US dollars, and the price list behind it."""

    usd: Decimal
    version: str


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """Prices in US dollars per million tokens for the providers and models that match the globs.

    Cached tokens without a price of their own cost as much as fresh input.
    """

    id: int
    provider: str
    model: str
    input_usd: Decimal
    output_usd: Decimal
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    cache_write_1h_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Destination of one request.

    `url` is its address, `provider` the name of its row, "" if unknown.
    """

    model: str
    url: str = ""
    provider: str = ""
    provider_type: str = ""
    at: datetime | None = None


@cache
def table_version() -> str:
    """Return name and version of the price table."""
    return f"genai-prices {version('genai-prices')}"


def cost_of(usage: Usage, call: Call, own: Sequence[OwnPrice] = ()) -> Cost | None:
    """Return the cost of one request, or None if its tokens or its price are unknown."""
    if usage.input_tokens is None or usage.output_tokens is None or not call.model:
        return None
    for price in own:
        if fnmatchcase(call.model, price.model or "*") and fnmatchcase(
            call.provider, price.provider or "*"
        ):
            return Cost(_own_cost(usage, price).quantize(_STEP), f"own price {price.id}")
    found = _listed_cost(usage, call)
    return (
        None if found is None else Cost(Decimal(found.total_price).quantize(_STEP), table_version())
    )


def context_window_tokens(call: Call) -> int | None:
    """Return the model's context window in tokens, or None if it is unknown."""
    found = _listed_cost(Usage(input_tokens=0, output_tokens=0), call)
    return found.model.context_window if found is not None else None


def _own_cost(usage: Usage, price: OwnPrice) -> Decimal:
    read, write = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    long = min(usage.cache_write_1h_tokens or 0, write)
    fresh = max((usage.input_tokens or 0) - read - write, 0)
    write_usd = price.input_usd if price.cache_write_usd is None else price.cache_write_usd
    total = (
        fresh * price.input_usd
        + read * (price.input_usd if price.cache_read_usd is None else price.cache_read_usd)
        + (write - long) * write_usd
        + long * (write_usd if price.cache_write_1h_usd is None else price.cache_write_1h_usd)
        + (usage.output_tokens or 0) * price.output_usd
    )
    return total / MILLION


def _listed_cost(usage: Usage, call: Call) -> PriceCalculation | None:
    """Look a price up by address, else by the provider's type.

    None for a local server, which bills no tokens.
    """
    try:
        host = urlsplit(call.url).hostname
    except ValueError:
        host = None
    if host and is_loopback(host):
        return None
    places: list[dict[str, Any]] = [{"provider_api_url": call.url}] if host else []
    if vendor := _VENDOR_OF_TYPE.get(call.provider_type):
        places.append({"provider_id": vendor})
    for place in places:
        for model in dict.fromkeys((call.model, _bare(call.model))):
            found = _look_up(usage, model, call.at, place)
            if found is not None:
                return found
    return None


def _look_up(
    usage: Usage, model: str, at: datetime | None, place: dict[str, Any]
) -> PriceCalculation | None:
    # Imported late: its table takes a quarter of a second, and most processes never price anything.
    import genai_prices

    write, long = usage.cache_write_tokens, usage.cache_write_1h_tokens
    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=write,
        # A vendor whose hour costs no more has no such price, and then the plain one is used.
        cache_write_1h_tokens=min(long, write) if long and write else None,
    )
    try:
        return genai_prices.calc_price(tokens, model, genai_request_timestamp=at, **place)
    except (LookupError, ValueError):
        return None


def _bare(model: str) -> str:
    """Remove what clients add to a model name.

    `models/gemini-2.5-pro` → `gemini-2.5-pro`, `gpt-5[1m]` → `gpt-5`.
    """
    return re.sub(r"\[.*\]$", "", model.rpartition("/")[2])
