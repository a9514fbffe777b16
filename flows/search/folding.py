"""Texts without the case of their letters, their trigrams, and words in them. Pure."""

from __future__ import annotations

from typing import Any, Final

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


class WordLook:
    """Look for a folded word in bytes that are not folded.

    Folding a text takes far longer than looking into it: `str.casefold` makes a new text letter by
    letter, unless it is ASCII. For a word of ASCII letters RE2 reads the bytes as they are. It
    knows letters that fold to one other letter. The few that fold to ASCII letters otherwise
    ("ß" → "ss", "ﬁ" → "fi") are looked for as well: with one of them, the word may be there.
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self._search: Any = None
        if word.isascii():
            pattern = f"(?i){re2.escape(word)}|[{FOLDED_TO_ASCII}]"
            self._search = re2.compile(pattern.encode(), _options()).search

    def may_be_in(self, text: bytes) -> bool:
        """Return False if the folded text, given in UTF-8, does not have the word."""
        if self._search is not None:
            return self._search(text) is not None
        return self._word in text.decode().casefold()


def _options() -> Any:
    options = re2.Options()
    options.never_capture = True
    return options
