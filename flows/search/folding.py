"""Texts without the case of their letters, and their trigrams. Pure."""

from __future__ import annotations

from typing import Final

from flows.bytes.database_text import storable_text

TRIGRAM_CHARS: Final = 3


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
