"""What came of short texts, kept because names and header values come again with every flow.

Pure.
"""

from __future__ import annotations

from collections.abc import Hashable

MOST_TEXTS = 2048
MOST_CHARS = 2048
"""Of one text: a login's token has as many.

All together they take 4 MB at most, and what came of them as much.
"""


class _Held[Key: Hashable, Value](dict[Key, Value]):
    """What is held as of one version."""

    def __init__(self, version: object) -> None:
        super().__init__()
        self.version = version

    def put(self, key: Key, value: Value, chars: int) -> Value:
        """Keep `value`, which came of a text of so many characters, unless that is long; returns
        `value`.
        """
        if chars <= MOST_CHARS:
            self[key] = value
        return value


class Seen[Key: Hashable, Value]:
    """Results by what they came of.

    Safe to share between threads: what is held is replaced, never emptied.
    """

    def __init__(self) -> None:
        self._held: _Held[Key, Value] = _Held(None)

    def at(self, version: object) -> _Held[Key, Value]:
        """What is known as of `version`, to look at and to add to.

        Take it before working out what shall be added: what was worked out too early is then never
        taken for new.
        """
        held = self._held
        if held.version != version or len(held) >= MOST_TEXTS:
            held = self._held = _Held(version)
        return held
