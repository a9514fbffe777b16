"""Every secret value this process has ever resolved, so that the record and the log can cut it out
by value.
"""

from __future__ import annotations

MIN_SECRET_CHARS = 8
"""Shorter values would cut ordinary words out of the record."""


class SecretRegistry:
    """A growing set of secret values.

    Adding is thread-safe; readers take `values` and compare `version`.
    """

    def __init__(self) -> None:
        self.values: frozenset[str] = frozenset()
        self.version = 0

    def add(self, value: str) -> None:
        """Remember a secret for the life of the process."""
        value = value.strip()
        if len(value) >= MIN_SECRET_CHARS and value not in self.values:
            self.values = self.values | {value}
            self.version += 1


SECRETS = SecretRegistry()
"""The registry of this process."""
