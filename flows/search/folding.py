"""Texts without the case of their letters, their trigrams, and words in them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple
from unicodedata import normalize

import re2

from flows.bytes.database_text import storable_text

TRIGRAM_CHARS: Final = 3
FOLDED_TO_ASCII: Final = (
    "\u00df\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
"""All letters beyond ASCII whose folded form has an ASCII letter: ß İ ŉ ſ ǰ ẖ … K ﬀ ﬁ …"""
_MOST_TOGETHER: Final = 4
"""Characters of a word that are one part of its pattern. More have too many ways: "ssssss"."""
_KNOWN_WORDS: Final = 64


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
    takes a fifth of that.
    """

    def __init__(self, spelled: Sequence[str]) -> None:
        self._spelled = tuple(spelled)
        word = self._spelled[0]
        self._encoded = word.encode()
        self._search: Any = None
        pattern = _unfolded(word) if all(map(str.isascii, self._spelled)) else None
        if pattern is not None:
            self._search = re2.compile(f"(?i){pattern}".encode(), _options()).search

    def is_in(self, text: bytes) -> bool:
        """Return whether the folded text has the word.

        Args:
            text: in UTF-8, as `lowered` returned it.
        """
        if text.isascii():
            # A word beyond ASCII is in no such text, in none of its spellings.
            return self._encoded in text
        if self._search is not None:
            return self._search(text) is not None
        plain = text.decode().casefold()
        return any(word in plain for word in self._spelled)


class _Letter(NamedTuple):
    """A letter of a text that folds to the characters of a word between two positions."""

    letter: str
    start: int
    end: int


@lru_cache(_KNOWN_WORDS)
def _unfolded(word: str) -> str | None:
    """Return a pattern for what folds to an ASCII word; None for one with too many ways.

    RE2 knows letters that fold to one other letter. Those that fold to several stand beside the
    characters of the word that they are folded to, and may reach beyond its ends:

        "less" → "(?:l|ﬂ|ﬄ)e(?:ss|sß|…|ß|ẞ)", which finds "less" in "ﬂeß", that is "fless"
        "sex" → "(?:s|ß|ẞ)ex", which finds "sex" in "Fußex", because that is folded to "fussex"

    A part of the word ends where no letter reaches from before to behind; its ways are listed.
    """
    letters = sorted(_letters_for(word), key=lambda each: (each.start, each.end))
    parts: list[str] = []
    start = 0
    while start < len(word):
        end = start + 1
        inside = [each for each in letters if each.start >= start]
        while reaching := [each.end for each in inside if each.start < end < each.end]:
            end = max(reaching)
        if end - start > _MOST_TOGETHER:
            return None
        ways = list(_ways(word, start, end, letters))
        parts.append(ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})")
        start = end
    return "".join(parts)


def _letters_for(word: str) -> Iterator[_Letter]:
    """Yield the letters that may stand for characters of a word.

    For "sex": ß stands for "ss", of which the second is the word's first character.
    """
    for letter in FOLDED_TO_ASCII:
        folds_to = letter.casefold()
        if len(folds_to) == 1:
            continue
        # Before the word's start as well: there the letter's first characters are outside.
        for start in range(1 - len(folds_to), len(word)):
            end = start + len(folds_to)
            first, last = max(start, 0), min(end, len(word))
            if folds_to[first - start : last - start] == word[first:last]:
                yield _Letter(letter, first, last)


def _ways(word: str, start: int, end: int, letters: Sequence[_Letter]) -> Iterator[str]:
    """Yield the patterns of all texts that fold to a part of a word."""
    if start == end:
        yield ""
        return
    for rest in _ways(word, start + 1, end, letters):
        yield re2.escape(word[start]) + rest
    for each in letters:
        if each.start == start and each.end <= end:
            for rest in _ways(word, each.end, end, letters):
                yield each.letter + rest


def _options() -> Any:
    options = re2.Options()
    options.never_capture = True
    return options
