"""Words that a search looks for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from flows.search.folding import TRIGRAM_CHARS, folded, spellings

MAX_WORDS: Final = 8
# A quotation that ends with its word is a phrase; a quote inside of pasted JSON is not.
_WORD: Final = re.compile(r'"([^"]+)"(?=\s|$)|(\S+)')
_PASTED_JSON: Final = re.compile(r'"\s*:|\\"|[{\[]\s*"')
"""A key, an escaped quote, or the start of an object or a list."""
_BETWEEN_STRINGS: Final = re.compile(
    r"""
      \\ (?: u[0-9a-fA-F]{0,4} | . | $ )      # an escape: others may write it in another way
    | [{\[,:\s]* " [}\],:\s]*               # a quote, with what may stand around it
    """,
    re.VERBOSE,
)
_OF_THE_PROTOCOL: Final = re.compile(r'"(?:type|role|object)"\s*:\s*"[^"]*"?')
"""Fields whose values no text has."""
_KEY: Final = re.compile(r'(?:"|^)[\w.$-]*"\s*:')
_NO_STRING: Final = re.compile(r"[\s{}\[\],:]*(?:(?:true|false|null|-?\d[\d.eE+-]*)[\s{}\[\],:]*)*")


@dataclass(frozen=True)
class Wanted:
    """Words of a search, as typed. A flow has to contain all of them."""

    words: tuple[str, ...]

    # Asked for each row that is read.
    @cached_property
    def folded(self) -> tuple[tuple[str, ...], ...]:
        """The spellings of each word as they are compared; a flow needs one of each word."""
        every = []
        for word in self.words:
            every.append(tuple(dict.fromkeys(folded(spelled) for spelled in spellings(word))))
        return tuple(every)

    @property
    def long(self) -> tuple[tuple[str, ...], ...]:
        """The folded words that the index knows: three characters or more in each spelling."""
        known = []
        for spelled in self.folded:
            if min(map(len, spelled)) >= TRIGRAM_CHARS:
                known.append(spelled)
        return tuple(known)


def wanted(text: str) -> Wanted:
    """Return the words of a search: `haiku "rate limit"` → "haiku", "rate limit".

    Of pasted JSON the strings are looked for, because texts are indexed without JSON's syntax:
    `"file_path": "src/a b.py", "limit": 30}` → "src/a b.py". Its keys count if it has no others.
    """
    words: list[str] = []
    if _PASTED_JSON.search(text):
        words = _strings(_KEY.sub("", _OF_THE_PROTOCOL.sub("", text))) or _strings(text)
    if not words:
        words = [phrase or word for phrase, word in _WORD.findall(text)]
    return Wanted(tuple(words[:MAX_WORDS]))


def _strings(text: str) -> list[str]:
    """Return the strings of a part of JSON, cut at escapes; the short ones only without others."""
    pieces = [piece.strip() for piece in _BETWEEN_STRINGS.split(text)]
    strings = [piece for piece in pieces if piece and not _NO_STRING.fullmatch(piece)]
    return [each for each in strings if len(each) >= TRIGRAM_CHARS] or strings
