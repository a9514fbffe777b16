"""Table of wire formats. A new one needs a folder and a line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.core.base import WireFormat

FORMATS: Final[dict[WireFormatName, str]] = {
    ANTHROPIC_MESSAGES: "providers.wire.anthropic_messages.codec",
    OPENAI_CHAT: "providers.wire.openai_chat.codec",
    OPENAI_RESPONSES: "providers.wire.openai_responses.codec",
    GOOGLE_GENERATE: "providers.wire.google_generate.codec",
}


@cache
def wire_format(name: WireFormatName) -> WireFormat:
    """Return the format of that name. Its module is imported on first use."""
    found: WireFormat = import_module(FORMATS[name]).FORMAT
    return found
