"""Texts without the case of their letters, their trigrams, and words in them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from unicodedata import normalize

import re2

from flows.bytes.database_text import storable_text

TRIGRAM_CHARS: Final = 3
FOLDED_TO_ASCII: Final = (
    "\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
"""All letters beyond ASCII whose folded form has an ASCII letter: ß İ ŉ ſ ǰ ẖ … K ﬀ ﬁ …"""


def folded(text: str) -> str:
    """Return a text as it is compared: "Straße" → "strasse"."""
    # Folding works letter by letter: each part of a text is a part of the folded text.
    return storable_text(text).casefold()


def spellings(word: str) -> tuple[str, ...]:
    """Return a word as texts may write it: as it is, and with its accents composed and decomposed.

    Texts stay as they came. macOS hands over "é" in names of files as "e" with an accent, keyboards
    write one character, and to a reader both are one word.
    """
    if word.isascii():
        return (word,)
    return tuple(dict.fromkeys((word, normalize("NFC", word), normalize("NFD", word))))


def trigrams(text: str) -> set[str]:
    """Return the trigrams of a folded text: "abcd" → abc, bcd."""
    return {text[start : start + TRIGRAM_CHARS] for start in range(len(text) - 2)}


def marked_span(text: str, word: str) -> tuple[int, int] | None:
    """Return the start and the end of a folded word in a text that is not folded.

    Example: "Die Straße", "rasse" → (6, 9), which is "aße" with its neighbour.
    """
    plain = folded(text)
    found = plain.find(word)
    if found < 0:
        return None
    # Nearly every letter folds to one letter, and then positions are the same.
    if len(plain) == len(text):
        return found, found + len(word)
    start = end = position = 0
    for index, char in enumerate(text):
        after = position + len(folded(char))
        if position <= found:
            start = index
        if position < found + len(word):
            end = index + 1
        position = after
    return start, end


def lowered(text: bytes) -> bytes:
    """Return a text of ASCII folded, and any other as it is, for `WordLook`."""
    return text.lower() if text.isascii() else text


class WordLook:
    """Look for a folded word, in one of its spellings, in bytes that are not folded.

    ASCII is folded and searched at the speed of memory. For other texts `str.casefold` makes a new
    text letter by letter, so RE2 looks for a word of ASCII letters in the bytes as they are, which
    takes a fifth of that. It knows letters that fold to one other letter. The few that fold to
    ASCII letters otherwise ("ß" → "ss", "ﬁ" → "fi") are looked for as well: with one of them, the
    text is folded after all.
    """

    def __init__(self, spelled: Sequence[str]) -> None:
        self._spelled = tuple(spelled)
        word = self._spelled[0]
        self._encoded = word.encode()
        self._search: Any = None
        if all(map(str.isascii, self._spelled)):
            pattern = f"(?i){re2.escape(word)}|[{FOLDED_TO_ASCII}]"
            self._search = re2.compile(pattern.encode(), _options()).search

    def is_in(self, text: bytes) -> bool:
        """Return whether the folded text has the word.

        Args:
            text: in UTF-8, as `lowered` returned it.
        """
        if text.isascii():
            # A word beyond ASCII is in no such text, in none of its spellings.
            return self._encoded in text
        if self._search is not None and self._search(text) is None:
            return False
        plain = text.decode().casefold()
        return any(word in plain for word in self._spelled)


def _options() -> Any:
    options = re2.Options()
    options.never_capture = True
    return options
