"""Suggestions for what a user may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

FEW: Final = 12
"""Up to so many names are listed beside a suggestion."""
MAX_LISTED: Final = 30
_MAX_WORD_CHARS: Final = 100
_MAX_NAME_CHARS: Final = 80
_MIN_PREFIX_CHARS: Final = 3


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the known word most like `word`, or "". Letter case does not matter.

    `OpenAi` among `openai, google` → `openai`; `claude` among `claude-subscription-work` →
    `claude-subscription-work`.
    """
    by_lower = {name.lower(): name for name in known}
    word = word.strip().lower()
    # The comparison takes time by the product of both lengths.
    if not word or len(word) > _MAX_WORD_CHARS:
        return ""
    # Imported only here: most commands have no misspelt word.
    import difflib

    found = difflib.get_close_matches(word, list(by_lower), n=1, cutoff=cutoff)
    if not found and len(word) >= _MIN_PREFIX_CHARS:
        found = [name for name in by_lower if name.startswith(word)]
        found.sort(key=len)
    return by_lower[found[0]] if found else ""


def name_hint(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: a suggestion, and the names if few.

    - `opnai` among `google, openai` → "did you mean openai? There are: google, openai"
    - `x` among them → "there are: google, openai"
    """
    names = sorted({name for name in known if name})
    match = nearest(word, names)
    if not names:
        return "there are none"
    if not match:
        return f"there are: {_listed(names)}"
    question = f"did you mean {_shown(match)}?"
    if len(names) > FEW:
        return question
    return f"{question} There are: {_listed(names)}"


def no_such(kind: str, word: str, known: Iterable[str]) -> str:
    """Return the sentence about a name that a person wrote and that does not exist.

    Example: "there is no provider “opnai”; did you mean openai? There are: google, openai".
    """
    return f"there is no {kind} “{_shown(word)}”; {name_hint(word, known)}"


def capitalised(sentence: str) -> str:
    """Return a sentence with a capital letter, for a page or REST; commands write none."""
    return sentence[:1].upper() + sentence[1:]


def _listed(names: list[str]) -> str:
    text = ", ".join(_shown(name) for name in names[:MAX_LISTED])
    more = len(names) - MAX_LISTED
    return f"{text} and {more} more" if more > 0 else text


def _shown(name: str) -> str:
    """Return a name for a message or a terminal: short, without control characters."""
    name = name if len(name) <= _MAX_NAME_CHARS else f"{name[:_MAX_NAME_CHARS]}…"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name)
