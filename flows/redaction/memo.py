"""Memo for functions of short strings; header names and values repeat in every flow. Pure.

One generation holds all results that are valid for one version of the secrets, in a table for each
function. One bound covers all tables together.
"""

from __future__ import annotations

from collections.abc import Hashable

MAX_CHARS = 2 * 1024 * 1024
"""Keys of all tables together: about 14,000 headers of 40 characters, 6 MB with their results."""
MAX_TEXT_CHARS = 2048
"""Longer keys are not kept; a login's token has as many."""
_ENTRY_CHARS = 100
"""Added for each entry: the memory of an empty string, its slot and its result."""


class Generation:
    """Results that are valid for one version of the secrets, by function."""

    __slots__ = (
        "chars",
        "credentials",
        "headers",
        "max_text_chars",
        "storable_texts",
        "storable_urls",
        "texts",
        "urls",
        "version",
    )

    def __init__(self, version: object, max_text_chars: int) -> None:
        self.version = version
        self.max_text_chars = max_text_chars
        self.chars = 0
        self.texts: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        self.headers: dict[tuple[str, str], str] = {}
        self.credentials: dict[tuple[str, str], tuple[str, ...]] = {}
        self.storable_texts: dict[str, str] = {}
        self.storable_urls: dict[str, str] = {}

    def keep[Key: Hashable, Value](
        self, table: dict[Key, Value], key: Key, value: Value, chars: int
    ) -> Value:
        """Store the result for a key of `chars` characters, unless that is long; return it."""
        if chars <= self.max_text_chars:
            table[key] = value
            # Two threads may lose a count: the bound is an estimate anyway.
            self.chars += chars + _ENTRY_CHARS
        return value


class Memo:
    """The current generation.

    Safe to share between threads: a generation is replaced, never emptied.
    """

    def __init__(self, max_chars: int = MAX_CHARS, max_text_chars: int = MAX_TEXT_CHARS) -> None:
        self._max_chars = max_chars
        self._max_text_chars = max_text_chars
        self._generation = Generation(None, max_text_chars)

    def at(self, version: object) -> Generation:
        """Return the results for this version of the secrets, to look up and to add to.

        Take it before computing a result: one that was computed too early then never counts as
        current.
        """
        generation = self._generation
        if generation.version != version or generation.chars >= self._max_chars:
            generation = Generation(version, self._max_text_chars)
            self._generation = generation
        return generation
