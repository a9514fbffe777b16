"""Table of wire formats. A new one needs a folder and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final

from providers.base.errors import UnsupportedByTarget
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    PERPLEXITY_ASK,
    WireFormatName,
)
from providers.wire.core.base import ClientCodec, ProviderCodec


@dataclass(frozen=True, slots=True)
class FormatEntry:
    """One line of the table: the module whose `FORMAT` is the codec, and its sides."""

    module: str
    has_clients: bool = True
    """False for a format that providers alone speak: its codec has no `ClientCodec` side."""


FORMATS: Final[dict[WireFormatName, FormatEntry]] = {
    ANTHROPIC_MESSAGES: FormatEntry("providers.wire.anthropic_messages.codec"),
    OPENAI_CHAT: FormatEntry("providers.wire.openai_chat.codec"),
    OPENAI_RESPONSES: FormatEntry("providers.wire.openai_responses.codec"),
    GOOGLE_GENERATE: FormatEntry("providers.wire.google_generate.codec"),
    PERPLEXITY_ASK: FormatEntry("providers.wire.perplexity.codec", has_clients=False),
}


@cache
def provider_codec(name: WireFormatName) -> ProviderCodec:
    """Return the provider's side of a format. Its module is imported on first use."""
    found: ProviderCodec = import_module(FORMATS[name].module).FORMAT
    return found


@cache
def client_codec(name: WireFormatName) -> ClientCodec:
    """Return the client's side of a format. Its module is imported on first use.

    Raises `UnsupportedByTarget` for a format that providers alone speak.
    """
    entry = FORMATS[name]
    if not entry.has_clients:
        raise UnsupportedByTarget(f"No client speaks the format {name}; providers alone do.")
    found: ClientCodec = import_module(entry.module).FORMAT
    return found
