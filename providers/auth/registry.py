"""Every secret value this process has ever resolved, so that the record and the log can cut it out
by value.
"""

from __future__ import annotations

from collections.abc import Callable

MIN_SECRET_CHARS = 8
"""Shorter values would cut ordinary words out of the record."""


class SecretRegistry:
    """A growing set of secret values.

    Adding is thread-safe; readers take `values` and compare `version`.
    """

    def __init__(self) -> None:
        self.values: frozenset[str] = frozenset()
        self.version = 0
        self._tellers: list[Callable[[str], None]] = []

    def tell(self, teller: Callable[[str], None]) -> None:
        """Call `teller` with every secret: those known already, and each new one at once.

        It is called on the thread that adds.
        """
        self._tellers.append(teller)
        for value in self.values:
            teller(value)

    def add(self, value: str) -> None:
        """Remember a secret for the life of the process."""
        value = value.strip()
        if len(value) >= MIN_SECRET_CHARS and value not in self.values:
            self.values = self.values | {value}
            self.version += 1
            for teller in self._tellers:
                teller(value)


SECRETS = SecretRegistry()
"""The registry of this process."""
