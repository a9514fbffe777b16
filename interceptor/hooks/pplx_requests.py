"""Guards of Perplexity's hooks: the provider's type decides, never its name."""

from __future__ import annotations

from interceptor.pipeline.exchange import Exchange
from providers.wire.detect import client_format, endpoint_suffix
from providers.wire.perplexity.ask_conf import PERPLEXITY_TYPE


def is_for_perplexity(ex: Exchange) -> bool:
    """Return True for a chat request whose provider is a Perplexity account."""
    if ex.provider is None or ex.provider.type != PERPLEXITY_TYPE:
        return False
    wire_format = client_format(ex.path)
    return wire_format is not None and not endpoint_suffix(ex.path, wire_format)


def asks_perplexity(ex: Exchange) -> bool:
    """Return True for a routed request to a Perplexity account."""
    return ex.provider is not None and ex.provider.type == PERPLEXITY_TYPE
