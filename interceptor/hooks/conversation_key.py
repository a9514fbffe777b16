"""Digest of a conversation: who has it, where, and every text of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import orjson

from providers.base.errors import TranslationError
from providers.base.names import WireFormatName
from providers.wire.core.ir import Text, Turn
from providers.wire.translate import decoded_request

Spoken = tuple[str, str]
"""Role and text of a turn."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A conversation as it is compared. `caller` tells clients apart."""

    caller: str
    provider: str
    turns: tuple[Spoken, ...]

    def before_last(self) -> Texts:
        """Return the conversation before its last turn."""
        return replace(self, turns=self.turns[:-1])

    def followed_by(self, answer: str) -> Texts:
        """Return the conversation with the assistant's next turn."""
        return replace(self, turns=(*self.turns, ("assistant", answer.strip())))


def key_of(texts: Texts) -> str:
    """Return the digest: 64 hexadecimal digits that reveal nothing of the texts."""
    told = orjson.dumps([texts.caller, texts.provider, texts.turns])
    return hashlib.sha256(told).hexdigest()


def texts_of(body: Any, wire_format: WireFormatName) -> tuple[Spoken, ...]:
    """Return role and text of every turn, the system's first; () for a body that is none.

    Turns of one role that follow each other are one turn: formats cut them differently.
    """
    try:
        request = decoded_request(body, wire_format, model=None, stream=None)
    except TranslationError:
        return ()
    system = "\n\n".join([text.text for text in request.system])
    found: list[Spoken] = [("system", system.strip())] if system.strip() else []
    for turn in request.turns:
        text = _text_of(turn)
        if not text:
            continue
        if found and found[-1][0] == turn.role:
            found[-1] = turn.role, f"{found[-1][1]}\n\n{text}"
        else:
            found.append((turn.role, text))
    return tuple(found)


def _text_of(turn: Turn) -> str:
    return "\n\n".join([block.text for block in turn.blocks if isinstance(block, Text)]).strip()
