"""Words that a search looks for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flows.search.folding import TRIGRAM_CHARS, folded

MAX_WORDS: Final = 8
# A quotation that ends with its word is a phrase; a quote inside of pasted JSON is not.
_WORD: Final = re.compile(r'"([^"]+)"(?=\s|$)|(\S+)')


@dataclass(frozen=True, slots=True)
class Wanted:
    """Words of a search, as typed. A flow has to contain all of them."""

    words: tuple[str, ...]

    @property
    def folded(self) -> tuple[str, ...]:
        """The words as they are compared."""
        return tuple(folded(word) for word in self.words)

    @property
    def long(self) -> tuple[str, ...]:
        """The folded words that the index knows: those of three characters or more."""
        return tuple(word for word in self.folded if len(word) >= TRIGRAM_CHARS)


def wanted(text: str) -> Wanted:
    """Return the words of a search: `haiku "rate limit"` → "haiku", "rate limit"."""
    words: list[str] = []
    for phrase, word in _WORD.findall(text):
        words.append(phrase or word)
    return Wanted(tuple(words[:MAX_WORDS]))
